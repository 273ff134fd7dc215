"""NanoDet: each side of a box is told as a distribution over its distance (Li et al. 2020, Generalized Focal Loss)."""

from collections.abc import Sequence

import numpy as np

from training.networks.candidates import CATEGORIES, Candidates, cells, softmax
from training.networks.description import NanoDet
from training.networks.network import Values


def decode_nanodet(outputs: Sequence[Values], spec: NanoDet, height: int, width: int) -> Candidates:
    """One picture's class outputs (cells, 80) and box outputs (cells, 4 * (reg_max + 1)) as candidates.

    The outputs may be in any order: an output's width tells classes from boxes, its length tells the stride. The
    distance of a side from its cell's centre is the distribution's mean, in strides.

    Raises:
        ValueError: an output is missing or has another shape.
    """
    bins = spec.reg_max + 1
    shapes = {output.shape: output for output in outputs}
    parts = []
    for stride in spec.strides:
        grid = cells(height, width, stride)
        classes = _find(shapes, (len(grid), CATEGORIES))
        logits = _find(shapes, (len(grid), 4 * bins)).reshape(-1, 4, bins)
        distances = softmax(logits) @ np.arange(bins, dtype=np.float32) * stride
        centres = (grid + 0.5) * stride
        boxes = np.concatenate([centres - distances[:, :2], centres + distances[:, 2:]], axis=1)
        parts.append((boxes, classes.argmax(axis=1), classes.max(axis=1)))
    boxes, labels, scores = (np.concatenate(part) for part in zip(*parts, strict=True))
    return Candidates(boxes, labels, scores)


def _find(outputs: dict[tuple[int, ...], Values], shape: tuple[int, int]) -> Values:
    if shape not in outputs:
        raise ValueError(f"an output of shape {shape} a picture is due, the network has {sorted(outputs)}")
    return outputs[shape]
