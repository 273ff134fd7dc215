"""The score of a whole picture beside its reference, of the scores of the tiles that together cover it.

The paper averages patches of 128 x 128 (section II.B) and does not say where they lie; here they lie beside each other,
and the last row and column are moved back to the edge.
"""

import numpy as np
import torch
from torch import Tensor, nn

from runtime.decode import Pixels
from runtime.tiles import tile_corners
from training.cover.training import as_tensor
from training.models.full_reference import BEST, TILE_PX, WORST

BATCH = 64
"""Tiles in one pass."""
LEAST = 1e-6
"""Added under the root, which has no slope at 0."""


def score_pair(
    network: nn.Module, distorted: Pixels, reference: Pixels, pooling: float = 1.0, device: str = "cpu"
) -> float:
    """A picture's score in [1, 5].

    Args:
        network: ``FullReference``, in evaluation mode.
        distorted: (height, width, 3) uint8 RGB, at least a tile high and wide.
        reference: of the same size.
        pooling: see ``runtime.manifest.QualityFrHead``.
        device: that the network is on.
    """
    corners = list(tile_corners(distorted.shape[:2], (TILE_PX, TILE_PX)))
    tiles = [
        np.stack([pixels[top : top + TILE_PX, left : left + TILE_PX] for top, left in corners])
        for pixels in (distorted, reference)
    ]
    with torch.inference_mode():
        shares = torch.cat(
            [
                network.raw(*(as_tensor(pixels[at : at + BATCH], device) for pixels in tiles)).clamp(0, 1)
                for at in range(0, len(corners), BATCH)
            ]
        )
    lost = ((1 - shares.double()) ** pooling).mean() ** (1 / pooling)
    return float(BEST - (BEST - WORST) * lost)


def pooled(shares: Tensor, pooling: float) -> Tensor:
    """(pictures, tiles) of raw answers -> (pictures,): as ``score_pair``, but with a finite slope at the best score."""
    if pooling == 1:
        return shares.mean(dim=1)
    lost = nn.functional.relu(1 - shares) ** pooling
    return 1 - (lost.mean(dim=1) + LEAST) ** (1 / pooling)
