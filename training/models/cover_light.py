"""Clarity and saliency at a gateway's price: EfficientNet-Lite0, separable convolutions, and a look from near.

After cover assessment, section 3 (a shared encoder, atrous spatial pyramid pooling, a clarity branch and a mask
decoder), with these changes:

- The encoder keeps its strides, which its ImageNet weights know; its last map, at 1/32, is enlarged and joined with
  the one at 1/16, so that the pyramid has the paper's output stride for a quarter of the price of dilation.
- The whole picture is seen at a fixed size, where blur of a pixel or two is gone; so clarity also reads patches
  at the picture's own resolution.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.models.aspp import Aspp, normalised
from training.models.clarity import OUTPUT as CLARITY
from training.models.clarity import ClarityBranch, score_of
from training.models.efficientnet_lite import MEAN, STD, efficientnet_lite0, load_imagenet
from training.models.folding import fold, quicken
from training.models.mask_decoder import OUTPUT as SALIENCY
from training.models.mask_decoder import MaskDecoder
from training.models.patches import PatchBranch

HEIGHT_PX, WIDTH_PX = 224, 320
"""What is served: of the shape that most cameras' frames have about, so that no side is squeezed much."""
PATCH_PX = 64
LOW, MIDDLE, LAST = 1, 4, 6
"""Stages of the trunk whose maps are read: at 1/4, 1/16 and 1/32."""
CHANNELS = {LOW: 24, MIDDLE: 112, LAST: 320}
HEAD_WIDTH = 64


class CoverLight(nn.Module):  # type: ignore[misc] # torch is untyped where only serving is installed
    """Pixels (batch, 3, height, width) and patches (batch, patches, 3, h, w), float, RGB, 0..255 -> both outputs.

    ``clarity`` (batch,) in [1, 10]; ``saliency`` (batch, height / 2, width / 2) in [0, 1]. Sides are multiples of 32,
    at least 128.
    """

    def __init__(self, trunk: nn.Module, *, pyramid: int = 96, width: int = 48, dropout: float = 0.1) -> None:
        super().__init__()
        self.trunk = trunk
        self.far = normalised(nn.Conv2d(CHANNELS[LAST], pyramid, 1, bias=False), channels=pyramid)
        self.near = normalised(nn.Conv2d(CHANNELS[MIDDLE], pyramid, 1, bias=False), channels=pyramid)
        # On a map of 16 x 16 the paper's rates would reach over its borders; these reach as far in parts of the map.
        self.aspp = Aspp(2 * pyramid, pyramid, rates=(3, 6, 9), separable=True, dropout=dropout)
        self.narrow = normalised(nn.Conv2d(pyramid, width, 1, bias=False), channels=width)  # enlarging it is dear
        self.decoder = MaskDecoder(
            CHANNELS[LOW],
            low_width=16,
            pyramid=width,
            width=width,
            separable=True,
            dropout=(0.0, 0.0),
            align_corners=False,
            finer=2,
        )
        self.clarity = ClarityBranch(pyramid, HEAD_WIDTH)
        self.patches = PatchBranch()
        self.judge = nn.Sequential(
            nn.Linear(HEAD_WIDTH + 2 * self.patches.width, HEAD_WIDTH), nn.ReLU(inplace=True), nn.Linear(HEAD_WIDTH, 1)
        )

    def forward(self, pixels: Tensor, patches: Tensor) -> dict[str, Tensor]:
        """What is served."""
        logits = self.logits(pixels, patches)
        return {
            CLARITY: score_of(torch.sigmoid(logits[CLARITY])),
            SALIENCY: torch.sigmoid(logits[SALIENCY]),
        }

    def logits(self, pixels: Tensor, patches: Tensor) -> dict[str, Tensor]:
        """What is trained: both before the sigmoid, float32."""
        low, pyramid = self._look(pixels)
        near = torch.cat([self.clarity(pyramid).float(), self.patches(patches)], dim=1)
        return {
            CLARITY: self.judge(near).squeeze(1).float(),
            SALIENCY: self.decoder(self.narrow(pyramid), low).float(),
        }

    def _look(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """The low-level map, and the pyramid at 1/16."""
        trunk = self.trunk
        maps: dict[int, Tensor] = {}
        seen = trunk.bn1(trunk.conv_stem((pixels - MEAN) / STD))
        for place, stage in enumerate(trunk.blocks):
            maps[place] = seen = stage(seen)
        far = functional.interpolate(self.far(maps[LAST]), maps[MIDDLE].shape[2:], mode="bilinear", align_corners=False)
        return maps[LOW], self.aspp(torch.cat([far, self.near(maps[MIDDLE])], dim=1))


def cover_light(pyramid: int = 96, width: int = 48, dropout: float = 0.1) -> CoverLight:
    """The network without trained weights.

    Raises:
        ConfigError: timm is not installed.
    """
    network = CoverLight(quicken(fold(_trunk())), pyramid=pyramid, width=width, dropout=dropout)
    network.eval()
    return network


def load_imagenet_trunk(network: CoverLight) -> None:
    """Give the trunk the weights trained on ImageNet; all else stays as it is.

    Raises:
        ConfigError: the weights' package is not installed.
    """
    whole = efficientnet_lite0()
    load_imagenet(whole)
    network.trunk.load_state_dict(quicken(fold(_without_head(whole))).state_dict(), strict=True)


def freeze(network: CoverLight, stages: int) -> None:
    """Keep the trunk's beginning, up to so many of its seven stages, from training; 0: nothing."""
    if stages:
        for part in (network.trunk.conv_stem, network.trunk.blocks[:stages]):
            part.requires_grad_(False)


def _trunk() -> nn.Module:
    return _without_head(efficientnet_lite0())


def _without_head(whole: nn.Module) -> nn.Module:
    """The classifier's last layers see nothing that a map would need."""
    for name in ("conv_head", "bn2", "global_pool", "classifier"):
        delattr(whole, name)
    return whole
