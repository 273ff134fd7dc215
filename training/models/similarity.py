"""What a picture differs from its reference in, as maps: of light, of colour, and of edges.

What the metrics that agree best with people are made of: the similarity of gradients (Liu et al. 2012; Xue et al. 2014)
and of chroma (Zhang et al. 2014, "VSI"; Ziaei Nafchi et al. 2016, "MDSI"). From a residual whose sign is lost no
convolution can find them again.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

PLANES = 7
MOST = 6.0
"""How far from 0 a normalised plane may be: what is worse than all that was learned from must not become what nothing
was learned of. Squares of it also stay within half precision when they are summed."""
PARTS = 4
"""Parts of a tile along each side, of which the means are told."""
GRADIENT, CHROMA = 0.0026, 0.0085
"""What keeps the similarities from a division by nothing, for pixels in [0, 1]: 170 and 550 of 255 squared."""
BLUENESS, REDNESS = 0.564, 0.713
"""Of the differences B - Y and R - Y: ITU-R BT.601."""
SCHARR = (3 / 16, 10 / 16, 3 / 16)
LUMINANCE = (0.299, 0.587, 0.114)


class Similarity(nn.Module):  # type: ignore[misc] # torch is untyped where only serving is installed
    """Tiles of a picture and of its reference, (batch, 3, side, side), RGB in 0..255 -> (batch, 7, side, side).

    Normalised planes, bent to lie within -6 and 6: the difference of luminance; the length of the difference in
    luminance and both colours; the difference of the gradients' lengths; how unlike gradients and chroma are; and both
    at half size. ``side`` is even.
    """

    def __init__(self) -> None:
        super().__init__()
        self.normal = nn.BatchNorm2d(PLANES)
        self.features = 2 * PLANES * PARTS**2

    def forward(self, distorted: Tensor, reference: Tensor) -> Tensor:
        own, other = (luminance_and_chroma(pixels.contiguous()) for pixels in (distorted, reference))
        light = own[0] - other[0]
        length = (light**2 + (own[1] - other[1]) ** 2 + (own[2] - other[2]) ** 2).sqrt()
        edges = [gradient(planes[0]) for planes in (own, other)]
        halves = [[functional.avg_pool2d(plane, 2) for plane in planes] for planes in (own, other)]
        unlike = [unlike_edges(*edges), unlike_chroma(own[1:], other[1:])]
        at_half = unlike_edges(*(gradient(planes[0]) for planes in halves)), unlike_chroma(*(one[1:] for one in halves))
        unlike += [functional.interpolate(maps, scale_factor=2.0, mode="nearest") for maps in at_half]
        planes = self.normal(torch.cat([light, length, edges[0] - edges[1], *unlike], dim=1))
        return MOST * torch.tanh(planes / MOST)

    def summary(self, planes: Tensor) -> Tensor:
        """Means over 4 x 4 parts, of the planes and of their squares: (batch, 224)."""
        part = planes.shape[-1] // PARTS
        return torch.cat([functional.avg_pool2d(maps, part).flatten(1) for maps in (planes, planes**2)], dim=1)


def luminance(pixels: Tensor) -> Tensor:
    """(batch, 3, height, width) RGB in 0..255 -> (batch, 1, height, width) in [0, 1]."""
    red, green, blue = (share / 255 for share in LUMINANCE)
    return red * pixels[:, :1] + green * pixels[:, 1:2] + blue * pixels[:, 2:]


def luminance_and_chroma(pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(batch, 3, height, width) RGB in 0..255 -> Y in [0, 1], Cb and Cr in [-0.5, 0.5], (batch, 1, height, width)."""
    light = luminance(pixels)
    return light, BLUENESS * (pixels[:, 2:] / 255 - light), REDNESS * (pixels[:, :1] / 255 - light)


def gradient(plane: Tensor) -> Tensor:
    """Lengths of the gradients (Scharr) of a plane (batch, 1, height, width), which goes on as its edge beyond it.

    Of slices, not a convolution: under autocast that would see eight bits of the luminance.
    """
    beyond = functional.pad(plane, (1, 1, 1, 1), mode="replicate")
    across = beyond[..., 2:] - beyond[..., :-2]
    down = beyond[..., 2:, :] - beyond[..., :-2, :]
    first, middle, last = SCHARR
    across = first * across[..., :-2, :] + middle * across[..., 1:-1, :] + last * across[..., 2:, :]
    down = first * down[..., :-2] + middle * down[..., 1:-1] + last * down[..., 2:]
    return (across**2 + down**2).sqrt()


def unlike_edges(own: Tensor, other: Tensor) -> Tensor:
    """How unlike two lengths of gradients are, in [0, 1], 0 alike.

    1 less the similarity (2 a b + c) / (a^2 + b^2 + c), which is (a - b)^2 / (a^2 + b^2 + c).
    """
    return (own - other) ** 2 / (own**2 + other**2 + GRADIENT)


def unlike_chroma(own: Sequence[Tensor], other: Sequence[Tensor]) -> Tensor:
    """As ``unlike_edges``, of Cb and Cr together, which have a sign: in [0, 2], 1 where one picture has no colour."""
    apart = sum((a - b) ** 2 for a, b in zip(own, other, strict=True))
    return apart / (sum(plane**2 for plane in (*own, *other)) + CHROMA)
