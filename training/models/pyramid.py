"""Features at several scales: pyramid pooling of one map, and a feature pyramid over maps of several depths.

After "Deep Multi-Scale Features Learning for Distorted Image Quality Assessment", section II.A.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

BINS = (1, 2, 4, 8)
"""Bins along each side of a map, a level each."""
LEVEL_WIDTH = 8
"""Channels of a level, where levels are enlarged and joined."""
SUMMARY = 4
"""Side of the maps that the fully connected layers read."""


class FlatPyramid(nn.Module):  # type: ignore[misc] # torch is untyped where only serving is installed
    """Maps (batch, channels, side, side) -> (batch, channels * 85): the means of all bins.

    The reading of Fig. 3 as the pooling of He et al. (2014), whose name the paper gives it. ``side`` must be a multiple
    of 8: then each level is a pooling of fixed bins, which every runtime has.
    """

    def forward(self, maps: Tensor) -> Tensor:
        side = maps.shape[-1]
        return torch.cat([functional.avg_pool2d(maps, side // bins).flatten(1) for bins in BINS], dim=1)


class PyramidPooling(nn.Module):  # type: ignore[misc] # as above
    """Maps (batch, channels, side, side) -> (batch, channels + 32, side, side): they, and their means at four scales.

    The reading of Fig. 3 as the pooling of PSPNet, which the paper cites. Sides as in ``FlatPyramid``.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.levels = nn.ModuleList(
            nn.Sequential(nn.Conv2d(channels, LEVEL_WIDTH, 1), nn.BatchNorm2d(LEVEL_WIDTH), nn.ELU()) for _ in BINS
        )
        self.width = channels + LEVEL_WIDTH * len(BINS)

    def forward(self, maps: Tensor) -> Tensor:
        side = maps.shape[-1]
        found = [maps]
        for bins, level in zip(BINS, self.levels, strict=True):
            means = level(functional.avg_pool2d(maps, side // bins))
            found.append(functional.interpolate(means, size=(side, side), mode="bilinear", align_corners=False))
        return torch.cat(found, dim=1)


class FeaturePyramid(nn.Module):  # type: ignore[misc] # as above
    """Maps of a stream from the finest to the coarsest, each of half the side -> (batch, levels * width * 16).

    Lin et al. (2017): from the coarsest down, each map is brought to one width, enlarged to twice its side (nearest),
    added to the next finer one; a 3x3 convolution smooths each sum. Of each level, the means over 4 x 4 parts are read.

    There is no activation in it, so all of that is one linear map of the inputs, and it is computed from means: those
    of the maps, over the parts and over the parts moved by a pixel to each side, which is what a mean of a 3x3
    convolution is made of. The numbers are the same, for a fiftieth of the multiplications. No bias comes before the
    smoothing, which has its own.

    Args:
        channels: of each map.
        side: of the finest.
        width: of the sums.
    """

    def __init__(self, channels: Sequence[int], side: int, width: int = 32) -> None:
        super().__init__()
        self.laterals = nn.ModuleList(nn.Conv2d(own, width, 1, bias=False) for own in channels)
        self.smooth = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in channels)
        self.features = len(channels) * width * SUMMARY**2
        for place in range(len(channels)):
            for level in range(place + 1):
                weights = moved_parts(side >> place, enlarged=2 ** (place - level))
                self.register_buffer(_name(place, level), weights, persistent=False)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        found = []
        for level, smooth in enumerate(self.smooth):
            joined = self._joined(level, maps)
            weight = smooth.weight.flatten(1)[:, :, None, None]
            found.append(functional.conv2d(joined, weight, smooth.bias).flatten(1))
        return torch.cat(found, dim=1)

    def _joined(self, level: int, maps: Sequence[Tensor]) -> Tensor:
        """The moved means of a level's sum: (batch, width * 9, 4, 4), as the smoothing's weights lie."""
        parts = []
        for place in range(level, len(maps)):
            weights = self.get_buffer(_name(place, level))
            means = weights.T @ (maps[place] @ weights)  # (batch, channels, 12, 12)
            parts.append(self.laterals[place](means))
        total: Tensor = sum(parts[1:], start=parts[0])
        # Rows and columns are (move, part) each: (batch, width, move, part, move, part).
        apart = total.unflatten(3, (3, SUMMARY)).unflatten(2, (3, SUMMARY))
        found: Tensor = apart.permute(0, 1, 2, 4, 3, 5).flatten(1, 3)
        return found


def _name(place: int, level: int) -> str:
    return f"parts_{place}_{level}"


def moved_parts(side: int, enlarged: int) -> Tensor:
    """What each pixel along a side counts in the means over 4 parts, moved by -1, 0 and 1 pixels: (side, 12).

    Beyond the side lies 0, as around a convolution. With ``enlarged``, the pixels that a part moves by are those of a
    map enlarged so often (nearest).
    """
    part = side * enlarged // SUMMARY
    pixels = torch.arange(side * enlarged)[:, None]
    # A convolution's first weight meets the pixel before.
    moved = [(pixels - move) // part == torch.arange(SUMMARY) for move in (-1, 0, 1)]
    return torch.cat(moved, dim=1).float().unflatten(0, (side, enlarged)).sum(dim=1) / part
