"""Damage of small places: patches that lie beside where they belong, and blocks of a colour."""

import numpy as np

from runtime.decode import Pixels

PATCH = 15
"""Pixels: side of a displaced patch."""
LEAST_REACH, MOST_REACH, REACH_OF_DENSITY = 2, 16, 0.04
"""Pixels: how far it is displaced along either axis at most; TID2013 has 4, 8, 12 and 16 px for 40 to 100 patches."""
BLOCK = 32
"""Pixels: side of a coloured block."""
MEGAPIXEL = 1_000_000


def pattern_noise(pixels: Pixels, density: float, rng: np.random.Generator) -> Pixels:
    """Patches of 15x15 px copied to a place nearby, ``density`` of them on a megapixel, at least one.

    The more there are, the further they go. TID2013 calls it non-eccentricity pattern noise: nothing is there that the
    picture has not elsewhere.
    """
    height, width = pixels.shape[:2]
    side = min(PATCH, height, width)
    reach = min(max(REACH_OF_DENSITY * density - 4, LEAST_REACH), MOST_REACH)
    changed = pixels.copy()
    for _ in range(_count(density, pixels)):
        top, left = int(rng.integers(height - side + 1)), int(rng.integers(width - side + 1))
        down, right = np.rint(rng.uniform(-reach, reach, size=2))
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
