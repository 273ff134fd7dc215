"""Atrous spatial pyramid pooling: what lies around a place, near and far (DeepLabv3+; cover assessment, section 3)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from training.models.depthwise import DepthwiseConv


def normalised(*layers: nn.Module, channels: int) -> nn.Sequential:
    """Convolutions without bias, their normalisation, and ReLU."""
    return nn.Sequential(*layers, nn.BatchNorm2d(channels), nn.ReLU(inplace=True))


def convolution(entering: int, leaving: int, *, dilation: int = 1, separable: bool = False) -> nn.Sequential:
    """3x3, normalised; ``separable``: one filter a channel, then 1x1."""
    if not separable:
        wide = nn.Conv2d(entering, leaving, 3, padding=dilation, dilation=dilation, bias=False)
        return normalised(wide, channels=leaving)
    deep = DepthwiseConv(entering, 3, padding=dilation, dilation=dilation, bias=False)
    return nn.Sequential(
        deep,
        nn.BatchNorm2d(entering),
        *normalised(nn.Conv2d(entering, leaving, 1, bias=False), channels=leaving),
    )


class Aspp(nn.Module):  # type: ignore[misc] # torch is untyped where only serving is installed
    """(batch, entering, h, w) -> (batch, leaving, h, w).

    A 1x1 convolution, 3x3 ones of several dilations, and the mean of the whole map; all of them joined by 1x1.

    Args:
        entering: channels of the encoder's last map.
        leaving: channels of each branch and of the whole.
        rates: the dilations; 6, 12 and 18 at an output stride of 16.
        separable: cheaper 3x3 convolutions.
        dropout: of the joined map; both of the paper's branches see it.
    """

    def __init__(
        self,
        entering: int,
        leaving: int = 256,
        *,
        rates: Sequence[int] = (6, 12, 18),
        separable: bool = False,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        self.near = normalised(nn.Conv2d(entering, leaving, 1, bias=False), channels=leaving)
        self.around = nn.ModuleList(
            convolution(entering, leaving, dilation=rate, separable=separable) for rate in rates
        )
        # No normalisation here: of one picture a channel would be one value.
        self.whole = nn.Sequential(nn.Conv2d(entering, leaving, 1), nn.ReLU(inplace=True))
        joined = normalised(nn.Conv2d((2 + len(rates)) * leaving, leaving, 1, bias=False), channels=leaving)
        self.join = nn.Sequential(*joined, nn.Dropout(dropout))

    def forward(self, seen: Tensor) -> Tensor:
        whole = self.whole(seen.mean(dim=(2, 3), keepdim=True)).expand(-1, -1, *seen.shape[2:])
        joined: Tensor = self.join(torch.cat([self.near(seen), *(each(seen) for each in self.around), whole], dim=1))
        return joined
