"""The score of a whole picture beside its reference: the mean over tiles that together cover it.

The paper averages patches of 128 x 128 (section II.B) and does not say where they lie; here they lie beside each other,
and the last row and column are moved back to the edge.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from runtime.tiles import tile_corners
from training.models.full_reference import BEST, TILE_PX, WORST
from training.quality.planes import WHITE, Plane

BATCH = 64
"""Tiles in one pass."""


def score_planes(network: nn.Module, distorted: Plane, reference: Plane, device: str = "cpu") -> float:
    """A picture's score in [1, 5].

    Args:
        network: ``FullReference``, in evaluation mode.
        distorted: luminance, as ``luminance_plane`` gives it, at least a tile high and wide.
        reference: of the same size.
        device: that the network is on.
    """
    corners = list(tile_corners(distorted.shape, (TILE_PX, TILE_PX)))
    planes = [torch.from_numpy(_tiles(plane, corners)) for plane in (distorted, reference)]
    with torch.inference_mode():
        shares = torch.cat(
            [
                network.raw(*(part.to(device) for part in parts)).clamp(0, 1)
                for parts in zip(*(plane.split(BATCH) for plane in planes), strict=True)
            ]
        )
    return float(WORST + (BEST - WORST) * shares.double().mean())


def _tiles(plane: Plane, corners: Sequence[tuple[int, int]]) -> NDArray[np.float32]:
    cut = np.stack([plane[top : top + TILE_PX, left : left + TILE_PX] for top, left in corners])
    return cut[:, None].astype(np.float32) / np.float32(WHITE)
