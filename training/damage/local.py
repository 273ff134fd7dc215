"""Damage of small places: patches that lie beside where they belong, and blocks of a colour."""

import numpy as np

from runtime.decode import Pixels

PATCH, REACH = 15, 12
"""Pixels: side of a displaced patch, and how far it is displaced along either axis at most."""
BLOCK = 32
"""Pixels: side of a coloured block."""
MEGAPIXEL = 1_000_000


def pattern_noise(pixels: Pixels, density: float, rng: np.random.Generator) -> Pixels:
    """Patches of 15x15 px copied to a place nearby, ``density`` of them on a megapixel, at least one.

    TID2013 calls it non-eccentricity pattern noise: nothing is there that the picture has not elsewhere.
    """
    height, width = pixels.shape[:2]
    side = min(PATCH, height, width)
    changed = pixels.copy()
    for _ in range(_count(density, pixels)):
        top, left = int(rng.integers(height - side + 1)), int(rng.integers(width - side + 1))
        down, right = rng.integers(-REACH, REACH, size=2, endpoint=True)
        low, far = int(np.clip(top + down, 0, height - side)), int(np.clip(left + right, 0, width - side))
        changed[low : low + side, far : far + side] = pixels[top : top + side, left : left + side]
    return changed


def local_blocks(pixels: Pixels, density: float, rng: np.random.Generator) -> Pixels:
    """Blocks of 32x32 px of one random colour each, ``density`` of them on a megapixel, at least one."""
    height, width = pixels.shape[:2]
    side = min(BLOCK, height, width)
    changed = pixels.copy()
    for _ in range(_count(density, pixels)):
        top, left = int(rng.integers(height - side + 1)), int(rng.integers(width - side + 1))
        changed[top : top + side, left : left + side] = rng.integers(256, size=3)
    return changed


def _count(density: float, pixels: Pixels) -> int:
    height, width = pixels.shape[:2]
    return max(1, round(density * int(height) * int(width) / MEGAPIXEL))
