"""Utility for machines on EfficientNet-Lite0: will machine tasks still work on this picture?

Batch normalisation is part of the convolutions: the network is fine-tuned with ImageNet's statistics, on the very
graph that is served.
"""

import contextlib
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from training.models.confidence import OUTPUT
from training.models.efficientnet_lite import MEAN, STD, efficientnet_lite0, load_imagenet
from training.models.folding import fold, quicken

FEATURES = 1280
CLASSES = "classes"
"""The trunk's ImageNet logits, an output in training only."""


class Utility(nn.Module):  # type: ignore[misc] # torch is untyped where only serving is installed
    """Pixels (batch, 3, height, width), float, RGB, 0..255 -> ``utility`` (batch,) in [0, 1].

    The head reads the trunk's pooled features and, with ``statistics``, how sure its ImageNet classifier is: the
    logarithms of the so many highest probabilities, in order, and the entropy.
    """

    def __init__(self, trunk: nn.Module, *, statistics: int = 10, hidden: int = 128, dropout: float = 0.0) -> None:
        super().__init__()
        self.trunk = trunk
        self.statistics = statistics
        self.head = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(FEATURES + (statistics + 1 if statistics else 0), hidden),
            nn.ReLU(),
            nn.Linear(hidden, 1),
        )

    def forward(self, pixels: Tensor) -> dict[str, Tensor]:
        """What is served."""
        features = self._features(pixels)
        classes = self.trunk.get_classifier()(features) if self.statistics else None
        return {OUTPUT: torch.sigmoid(self._judge(features, classes))}

    def logits(self, pixels: Tensor) -> dict[str, Tensor]:
        """What is trained: ``utility`` (batch,) before the sigmoid, ``classes`` (batch, 1000); float32."""
        features = self._features(pixels)
        classes = self.trunk.get_classifier()(features)
        return {OUTPUT: self._judge(features, classes), CLASSES: classes.float()}

    def _features(self, pixels: Tensor) -> Tensor:
        features: Tensor = self.trunk.forward_head(self.trunk.forward_features((pixels - MEAN) / STD), pre_logits=True)
        return features

    def _judge(self, features: Tensor, classes: Tensor | None) -> Tensor:
        device = features.device.type
        exact = torch.autocast(device, enabled=False) if torch.is_autocast_enabled(device) else contextlib.nullcontext()
        with exact:
            features = features.float()
            if classes is not None and self.statistics:
                features = torch.cat([features, sureness(classes.float(), self.statistics)], dim=1)
            judged: Tensor = self.head(features).squeeze(1)
            return judged


def sureness(classes: Tensor, count: int) -> Tensor:
    """Logits (batch, classes) -> (batch, count + 1): the highest log-probabilities, highest first, and the entropy."""
    logarithms = torch.log_softmax(classes, dim=1)
    entropy = -(logarithms.exp() * logarithms).sum(dim=1, keepdim=True)
    return torch.cat([logarithms.topk(count, dim=1).values, entropy], dim=1)


def efficientnet_lite0_utility(statistics: int = 10, hidden: int = 128, dropout: float = 0.0) -> Utility:
    """The network without trained weights.

    Raises:
        ConfigError: timm is not installed.
    """
    trunk = quicken(fold(efficientnet_lite0()))
    network = Utility(trunk, statistics=statistics, hidden=hidden, dropout=dropout)
    network.eval()
    return network


def load_imagenet_trunk(network: Utility) -> None:
    """Give the trunk, classifier included, the weights trained on ImageNet; the head stays as it is.

    Raises:
        ConfigError: the weights' package is not installed.
    """
    whole = efficientnet_lite0()
    load_imagenet(whole)
    weights: Mapping[str, Tensor] = quicken(fold(whole)).state_dict()
    network.trunk.load_state_dict(weights, strict=True)
