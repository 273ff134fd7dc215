"""Utility for machines on EfficientNet-Lite0: will machine tasks still work on this picture?

The trunk's batch normalisation is part of its convolutions: the network is fine-tuned with ImageNet's statistics, on
the very graph that is served.
"""

import contextlib
import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from training.models.confidence import OUTPUT
from training.models.efficientnet_lite import MEAN, STD, efficientnet_lite0, load_imagenet
from training.models.folding import fold, quicken

FEATURES = 1280
STAGES = 24, 40, 80, 112, 192, 320
"""Channels of the trunk's stages but the first, from 56 x 56 to 7 x 7; that one has more values than all others."""
CLASSES = "classes"
"""The trunk's ImageNet logits, an output in training only."""


class Utility(nn.Module):  # type: ignore[misc] # torch is untyped where only serving is installed
    """Pixels (batch, 3, height, width), float, RGB, 0..255 -> ``utility`` (batch,) in [0, 1].

    The head reads three things. What the trunk sees: its pooled features. With ``stages``, how the picture was
    damaged: each channel's mean and deviation after all stages but the first, for little of noise, blocks and blur
    is left in the last. With ``statistics``, how sure the ImageNet classifier is: the logarithms of the so many
    highest probabilities, in order, and the entropy. With ``prior``, the answer begins at the highest probability,
    and the head corrects it.
    """

    def __init__(
        self,
        trunk: nn.Module,
        *,
        stages: bool = False,
        statistics: int = 10,
        prior: bool = False,
        hidden: int = 128,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.trunk = trunk
        self.prior = prior
        self.stages = stages
        self.statistics = statistics
        width = FEATURES + (2 * sum(STAGES) if stages else 0) + (statistics + 1 if statistics else 0)
        self.head = nn.Sequential(
            nn.BatchNorm1d(width, affine=False) if stages else nn.Identity(),  # they differ in scale by orders
            nn.Dropout(dropout),
            nn.Linear(width, hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, 1),
        )
        if prior:
            nn.init.zeros_(self.head[-1].weight)
            nn.init.zeros_(self.head[-1].bias)

    def forward(self, pixels: Tensor) -> dict[str, Tensor]:
        """What is served."""
        features, stages = self._look(pixels)
        classes = self.trunk.get_classifier()(features) if self.statistics else None
        return {OUTPUT: torch.sigmoid(self._judge(features, stages, classes))}

    def logits(self, pixels: Tensor) -> dict[str, Tensor]:
        """What is trained: ``utility`` (batch,) before the sigmoid, ``classes`` (batch, 1000); float32."""
        features, stages = self._look(pixels)
        classes = self.trunk.get_classifier()(features)
        return {OUTPUT: self._judge(features, stages, classes), CLASSES: classes.float()}

    def _look(self, pixels: Tensor) -> tuple[Tensor, list[Tensor]]:
        trunk = self.trunk
        stages: list[Tensor] = []
        seen = trunk.bn1(trunk.conv_stem((pixels - MEAN) / STD))
        for place, stage in enumerate(trunk.blocks):
            seen = stage(seen)
            if self.stages and place:
                stages += pooled(seen)
        return trunk.forward_head(trunk.bn2(trunk.conv_head(seen)), pre_logits=True), stages

    def _judge(self, features: Tensor, stages: list[Tensor], classes: Tensor | None) -> Tensor:
        device = features.device.type
        exact = torch.autocast(device, enabled=False) if torch.is_autocast_enabled(device) else contextlib.nullcontext()
        with exact:
            parts = [features.float(), *stages]
            if classes is not None and self.statistics:
                parts.append(sureness(classes.float(), self.statistics))
            judged: Tensor = self.head(torch.cat(parts, dim=1)).squeeze(1)
            return judged + confidence(parts[-1][:, 0]) if self.prior else judged


def confidence(logarithm: Tensor) -> Tensor:
    """Logarithms of probabilities -> their log-odds, 14 at most."""
    return logarithm - torch.log1p(-logarithm.exp().clamp(max=1 - 1e-6))


def pooled(channels: Tensor) -> tuple[Tensor, Tensor]:
    """(batch, channels, height, width) -> each channel's mean and its standard deviation, (batch, channels) float32."""
    channels = channels.float()
    means = channels.mean(dim=(2, 3), keepdim=True)
    # A norm: one operation in ONNX, which 8 bits leave alone; a square would be the slow Pow, or a Mul in 8 bits.
    norms = torch.linalg.vector_norm(channels - means, dim=(2, 3))
    return means.flatten(1), norms / math.sqrt(channels[0, 0].numel())


def freeze(network: Utility, stages: int) -> None:
    """Keep the trunk's beginning, up to so many of its seven stages, from training; 0: nothing."""
    if stages:
        for part in (network.trunk.conv_stem, network.trunk.blocks[:stages]):
            part.requires_grad_(False)


def sureness(classes: Tensor, count: int) -> Tensor:
    """Logits (batch, classes) -> (batch, count + 1): the highest log-probabilities, highest first, and the entropy."""
    logarithms = torch.log_softmax(classes, dim=1)
    entropy = -(logarithms.exp() * logarithms).sum(dim=1, keepdim=True)
    return torch.cat([logarithms.topk(count, dim=1).values, entropy], dim=1)


def efficientnet_lite0_utility(
    stages: bool = False, statistics: int = 10, prior: bool = False, hidden: int = 128, dropout: float = 0.0
) -> Utility:
    """The network without trained weights.

    Raises:
        ConfigError: timm is not installed.
    """
    trunk = quicken(fold(efficientnet_lite0()))
    network = Utility(trunk, stages=stages, statistics=statistics, prior=prior, hidden=hidden, dropout=dropout)
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
