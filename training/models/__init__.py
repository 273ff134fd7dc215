"""Networks in PyTorch: the code that a checkpoint's weights are loaded into.

A network's ``forward`` takes pixels (batch, 3, height, width), float, RGB, 0..255, patches of them as (batch, patches,
3, height, width), one tensor for each input of its checkpoint, and gives a dict of named
outputs, each with the batch first and in its head's final range: normalisation, softmax and scaling are inside.
"""

from collections.abc import Callable

from torch import nn

from training.models.confidence import efficientnet_lite0_confidence
from training.models.cover_deeplab import cover_deeplab
from training.models.cover_light import cover_light
from training.models.deeprn import deeprn
from training.models.full_reference import full_reference
from training.models.quality_light import quality_light
from training.models.resnet import resnet18_utility
from training.models.utility import efficientnet_lite0_utility

ARCHITECTURES: dict[str, Callable[..., nn.Module]] = {
    "cover-deeplab": cover_deeplab,
    "cover-light": cover_light,
    "deeprn": deeprn,
    "efficientnet-lite0-confidence": efficientnet_lite0_confidence,
    "efficientnet-lite0-utility": efficientnet_lite0_utility,
    "full-reference": full_reference,
    "quality-light": quality_light,
    "resnet18-utility": resnet18_utility,
}
"""By the name in a checkpoint's JSON; the JSON's ``arguments`` are passed by name. None of them loads weights."""
