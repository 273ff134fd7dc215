"""The decoder: from what the encoder saw to a foreground map (DeepLabv3+; cover assessment, section 3.2)."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.models.aspp import convolution, normalised

OUTPUT = "saliency"


class MaskDecoder(nn.Module):  # type: ignore[misc] # torch is untyped where only serving is installed
    """The pooled pyramid (batch, pyramid, h, w) and the low-level map (batch, low, H, W) -> logits (batch, H, W).

    Args:
        low: channels of the encoder's low-level map.
        low_width: to so many they are reduced, lest they outweigh the pyramid.
        pyramid: channels of the pyramid.
        width: of the two refining convolutions.
        separable: cheaper ones.
        dropout: after each.
        align_corners: of the enlargement: true where 33 places become 129 (factor 4), false where 16 become 64.
        finer: each place's logits at so many by so many places, where a map finer than the low-level one is wanted.
    """

    def __init__(
        self,
        low: int,
        *,
        low_width: int = 48,
        pyramid: int = 256,
        width: int = 256,
        separable: bool = False,
        dropout: tuple[float, float] = (0.5, 0.1),
        align_corners: bool = True,
        finer: int = 1,
    ) -> None:
        super().__init__()
        self.align_corners, self.finer = align_corners, finer
        self.reduce = normalised(nn.Conv2d(low, low_width, 1, bias=False), channels=low_width)
        self.refine = nn.Sequential(
            convolution(pyramid + low_width, width, separable=separable),
            nn.Dropout(dropout[0]),
            convolution(width, width, separable=separable),
            nn.Dropout(dropout[1]),
            nn.Conv2d(width, finer * finer, 1),
        )

    def forward(self, pyramid: Tensor, low: Tensor) -> Tensor:
        enlarged = self.enlarge(pyramid, low.shape[2:])
        logits = self.refine(torch.cat([enlarged, self.reduce(low)], dim=1))
        if self.finer > 1:
            logits = functional.pixel_shuffle(logits, self.finer)
        return logits.squeeze(1)

    def enlarge(self, maps: Tensor, size: tuple[int, int]) -> Tensor:
        """(batch, channels, h, w) -> (batch, channels, *size), bilinear."""
        enlarged: Tensor = functional.interpolate(maps, size, mode="bilinear", align_corners=self.align_corners)
        return enlarged
