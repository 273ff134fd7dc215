"""The distribution of opinions at a gateway's price: DeepRN's plan on EfficientNet-Lite0, with a look from near.

After DeepRN, section 3 (pretrained convolutions, spatial pyramid pooling of the whole picture, fully connected layers
to five shares), with these changes:

- The trunk is cut off at 1/16: what lies behind knows objects, which quality does not ask for.
- The whole picture at its own size would cost ten times as much as a gateway has. So it is seen twice: all of it at a
  small fixed size (exposure, contrast, colour, large faults), and patches at its own resolution (blur, noise, blocks).
"""

import torch
from torch import Tensor, nn

from training.models.efficientnet_lite import MEAN, STD, efficientnet_lite0, load_imagenet
from training.models.folding import fold, quicken
from training.models.spp import SpatialPyramid

OUTPUT = "quality"
HEIGHT_PX, WIDTH_PX = 144, 192
"""Of the whole picture."""
PATCH_PX = 96
STAGES = 5
"""Of the trunk's seven; the fifth ends at 1/16 with ``CHANNELS``."""
CHANNELS = 112
LEVELS = (1, 3)
"""Of the pyramid; 3 is the paper's."""


class QualityLight(nn.Module):  # type: ignore[misc] # torch is untyped where only serving is installed
    """Pixels (batch, 3, height, width) and patches (batch, patches, 3, h, w), float, RGB, 0..255 -> ``quality``.

    (batch, 5): shares of the votes 1 to 5, which sum to 1.
    """

    def __init__(self, width: int = 192, hidden: int = 256, dropout: float = 0.2) -> None:
        super().__init__()
        self.far, self.near = _trunk(), _trunk()
        self.far_features, self.near_features = _features(width // 2), _features(width)
        self.pyramid = SpatialPyramid(LEVELS)
        self.weight = nn.Linear(width, 1)
        bins = sum(side**2 for side in LEVELS)
        self.head = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(bins * (width // 2) + 2 * width, hidden),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(hidden, hidden),
            nn.ReLU(inplace=True),
            nn.Linear(hidden, 5),
        )

    def forward(self, pixels: Tensor, patches: Tensor) -> dict[str, Tensor]:
        """What is served."""
        return {OUTPUT: torch.softmax(self.logits(pixels, patches), dim=1)}

    def logits(self, pixels: Tensor, patches: Tensor) -> Tensor:
        """What is trained: (batch, 5), before the softmax."""
        return self.head(self.features(pixels, patches))

    def features(self, pixels: Tensor, patches: Tensor) -> Tensor:
        """What the head reads: (batch, n) float32."""
        whole = self.pyramid(self.far_features(_seen(self.far, pixels))).float()
        return torch.cat([whole, self._look_from_near(patches)], dim=1)

    def _look_from_near(self, patches: Tensor) -> Tensor:
        """Two means over the patches: the plain one, and one that counts each by how much the network makes of it."""
        count = patches.shape[1]
        each = self.near_features(_seen(self.near, patches.flatten(0, 1))).mean(dim=(2, 3)).float()
        shares = torch.softmax(self.weight(each).reshape(-1, count, 1), dim=1)
        each = each.reshape(-1, count, each.shape[1])
        return torch.cat([each.mean(dim=1), (shares * each).sum(dim=1)], dim=1)


def quality_light(width: int = 192, hidden: int = 256, dropout: float = 0.2) -> QualityLight:
    """The network without trained weights.

    Raises:
        ConfigError: timm is not installed.
    """
    network = QualityLight(width, hidden, dropout)
    network.eval()
    return network


def load_imagenet_trunks(network: QualityLight) -> None:
    """Give both trunks the weights trained on ImageNet; all else stays as it is.

    Raises:
        ConfigError: the weights' package is not installed.
    """
    whole = efficientnet_lite0()
    load_imagenet(whole)
    weights = quicken(fold(_cut(whole))).state_dict()
    for trunk in (network.far, network.near):
        trunk.load_state_dict(weights, strict=True)


def _seen(trunk: nn.Module, pixels: Tensor) -> Tensor:
    seen: Tensor = trunk.blocks(trunk.bn1(trunk.conv_stem((pixels - MEAN) / STD)))
    return seen


def _trunk() -> nn.Module:
    return quicken(fold(_cut(efficientnet_lite0())))


def _cut(whole: nn.Module) -> nn.Module:
    """The classifier without what comes after the fifth stage."""
    for name in ("conv_head", "bn2", "global_pool", "classifier"):
        delattr(whole, name)
    whole.blocks = whole.blocks[:STAGES]
    return whole


def _features(width: int) -> nn.Module:
    """The trunk's last map is linear: a mean over it alone would see no more than one over its input."""
    return nn.Sequential(nn.Conv2d(CHANNELS, width, 1), nn.ReLU(inplace=True))
