"""Spatial pyramid pooling: a map of any size becomes a vector of one length (He et al.; DeepRN, section 3)."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

Pool = Literal["average", "max"]
Edges = Literal["covering", "rounded"]


class SpatialPyramid(nn.Module):  # type: ignore[misc] # torch is untyped where only serving is installed
    """(batch, channels, height, width) -> (batch, channels * bins): level by level, channel by channel, row by row.

    It exports to ONNX at a fixed size and at an open one. PyTorch's own adaptive pooling does so at sizes alone that
    are multiples of the bins', and 3 bins on the 24 x 32 map of a 1024 x 768 picture are not.

    Args:
        levels: each cuts the map into that many rows and as many columns of bins; the paper has one level of 3.
        pool: what becomes of a bin; the paper leaves it open, the KonIQ team averages.
        edges: ``covering``: from the floor to the ceiling of the exact edge, so that bins may share a row, as adaptive
            pooling does. ``rounded``: each edge is rounded, half to even, as the KonIQ team does; on a side that is
            shorter than a level, bins are empty and give 0.

    Raises:
        ValueError: no level, or one below 1.
    """

    def __init__(self, levels: Sequence[int] = (3,), *, pool: Pool = "average", edges: Edges = "covering") -> None:
        super().__init__()
        if not levels or min(levels) < 1:
            raise ValueError(f"levels of a pyramid are numbers of bins along a side, at least 1; not {tuple(levels)}")
        self.levels, self.pool, self.edges = tuple(levels), pool, edges

    @property
    def bins(self) -> int:
        """Of all levels together."""
        return sum(level**2 for level in self.levels)

    def forward(self, seen: Tensor) -> Tensor:
        return torch.cat([self._level(seen, level).flatten(1) for level in self.levels], dim=1)

    def _level(self, seen: Tensor, level: int) -> Tensor:
        """(batch, channels, level, level). Mean and maximum are separable: first along the width, then the height."""
        pooled = self._last_side(seen, level).transpose(2, 3)
        return self._last_side(pooled, level).transpose(2, 3)

    def _last_side(self, seen: Tensor, level: int) -> Tensor:
        inside = _inside(seen.shape[3], level, self.edges, seen.device)
        if self.pool == "average":
            # The means' weights, not 0 and 1 with a division after: sums of half precision would overflow.
            weights = inside.to(torch.float32) / inside.sum(dim=0).clamp(min=1)
            return seen @ weights.to(seen.dtype)
        each = [torch.where(inside[:, place], seen, float("-inf")).amax(dim=3) for place in range(level)]
        pooled = torch.stack(each, dim=3)
        return pooled if self.edges == "covering" else torch.where(inside.any(dim=0), pooled, 0)


def _inside(side: int, level: int, edges: Edges, device: torch.device) -> Tensor:
    """(side, level): whether a place is inside of a bin. Computed, not kept: of an exported graph the side may be open.

    Of a fixed size the exporter makes a constant of it.
    """
    place = torch.arange(side, device=device).reshape(-1, 1)
    number = torch.arange(level, device=device)
    if edges == "rounded":
        first, end = (torch.round((number + step) * side / level) for step in (0, 1))
    else:
        first, end = number * side // level, ((number + 1) * side + level - 1) // level
    return (place >= first) & (place < end)
