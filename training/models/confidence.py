"""How sure a classifier is of what it sees, as a utility."""

import torch
from torch import Tensor, nn

from training.models.efficientnet_lite import MEAN, STD, efficientnet_lite0

OUTPUT = "utility"


class Confidence(nn.Module):  # type: ignore[misc] # torch is untyped where only serving is installed
    """Pixels (batch, 3, height, width), float, RGB, 0..255 -> ``utility``: the largest class probability (batch,)."""

    def __init__(self, classifier: nn.Module) -> None:
        super().__init__()
        self.classifier = classifier

    def forward(self, pixels: Tensor) -> dict[str, Tensor]:
        logits = self.classifier((pixels - MEAN) / STD)
        return {OUTPUT: torch.softmax(logits, dim=1).amax(dim=1)}


def efficientnet_lite0_confidence() -> nn.Module:
    """The network without trained weights.

    Raises:
        ConfigError: timm is not installed.
    """
    return Confidence(efficientnet_lite0())
