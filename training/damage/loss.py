"""Loss: packets of a video stream that never arrive, and what a decoder puts in their place."""

import numpy as np
from numpy.typing import NDArray

from runtime.decode import Pixels

MACROBLOCK = 16
"""Rows of pixels in a slice: one row of macroblocks, as of H.264 and MPEG-2."""
LONGEST_MOTION = 16
"""Pixels that a picture's content moves from one frame to the next, along either axis."""
GREY = 128
"""What a decoder's buffer holds before anything is decoded."""

Rows = NDArray[np.bool_]


def lose_slices(pixels: Pixels, share: float, rng: np.random.Generator) -> Pixels:
    """Loses ``share`` of the slices (at least one) and conceals them in one of the ways that decoders have.

    The ways: the slice of the frame before (the same scene, displaced by a motion), the last line above drawn on,
    grey. With one seed, what a smaller share loses a larger one loses too.
    """
    height = pixels.shape[0]
    slices = -(-height // MACROBLOCK)
    way = int(rng.integers(3))
    motion = rng.integers(-LONGEST_MOTION, LONGEST_MOTION, size=2, endpoint=True)
    order = rng.permutation(slices)
    lost = np.zeros(slices, np.bool_)
    lost[order[: max(1, round(share * slices))]] = True
    return _conceal(pixels, np.repeat(lost, MACROBLOCK)[:height], way, motion)


def _conceal(pixels: Pixels, lost: Rows, way: int, motion: NDArray[np.int64]) -> Pixels:
    if way == 0:
        return np.where(lost[:, None, None], _displaced(pixels, *motion), pixels)
    if way == 1:
        return _drawn_on(pixels, lost)
    return np.where(lost[:, None, None], np.uint8(GREY), pixels)


def _displaced(pixels: Pixels, right: int, down: int) -> Pixels:
    """The whole picture elsewhere; what comes in over a border is the border's."""
    height, width = pixels.shape[:2]
    rows = np.clip(np.arange(height) - down, 0, height - 1)
    columns = np.clip(np.arange(width) - right, 0, width - 1)
    return pixels[rows][:, columns]


def _drawn_on(pixels: Pixels, lost: Rows) -> Pixels:
    """Lost rows repeat the last intact one above; at the top there is none, and they are grey."""
    last_intact = np.maximum.accumulate(np.where(lost, -1, np.arange(lost.size)))
    return np.where((last_intact < 0)[:, None, None], np.uint8(GREY), pixels[last_intact])
