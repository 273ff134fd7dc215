"""A classifier's output as probabilities of ImageNet-1k's classes."""

from collections.abc import Sequence

import numpy as np

from training.data.imagenet_classes import CLASSES
from training.networks.answer import Classes
from training.networks.candidates import expect_shape, softmax
from training.networks.description import Logits, Probabilities
from training.networks.network import Values


def decode_classes(outputs: Sequence[Values], spec: Logits | Probabilities) -> Classes:
    """One picture's output (offset + 1000,); what comes before ImageNet's classes is left out, the rest sums to 1.

    Raises:
        ValueError: an output is missing, has another shape, or is no distribution where one is promised.
    """
    if len(outputs) != 1:
        raise ValueError(f"one output is due, the network has {len(outputs)}")
    values = outputs[0].astype(np.float64)
    expect_shape(values, (spec.offset + CLASSES,))
    if not np.isfinite(values).all():
        raise ValueError("the output has values that are not finite")
    if isinstance(spec, Logits):
        return Classes(softmax(values[spec.offset :]).astype(np.float32))
    if values.min() < 0 or not np.isclose(values.sum(), 1, atol=0.01):
        raise ValueError(f"probabilities sum to 1, these to {values.sum():.3g}: is it of the kind logits?")
    kept = values[spec.offset :]
    return Classes((kept / kept.sum()).astype(np.float32))
