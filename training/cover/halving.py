"""Large photographs are halved before use: at full size most are soft at the pixel, whatever their subject."""

import numpy as np

from runtime.decode import Pixels
from runtime.opencv import cv2
from training.data.mask import FOREGROUND, IGNORE, Mask

LEAST_SIDE = 720
"""Pixels; the shorter side is never halved below, but once by a picture of more than ``LARGE_PIXELS``."""
LARGE_PIXELS = 3_000_000


def halvings(height: int, width: int) -> int:
    """How often a picture is halved: as long as its shorter side stays at least 720 px; above 3 MP at least once."""
    count = 0
    while min(height, width) >> (count + 1) >= LEAST_SIDE:
        count += 1
    return max(count, int(height * width > LARGE_PIXELS))


def halved(pixels: Pixels, times: int) -> Pixels:
    """Mean of each 2x2 pixels, rounded half up, an odd last row or column left out; so many times."""
    for _ in range(times):
        height, width = (side // 2 for side in pixels.shape[:2])
        whole = pixels[: 2 * height, : 2 * width]
        pixels = np.asarray(cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
    return pixels


def halved_mask(mask: Mask, times: int) -> Mask:
    """As ``halved``: foreground where at least half of the pixels are, ignored where one was."""
    foreground = halved(np.where(mask == FOREGROUND, 255, 0).astype(np.uint8), times) >= 128
    ignored = halved(np.where(mask == IGNORE, 255, 0).astype(np.uint8), times) > 0
    return np.where(ignored, IGNORE, foreground).astype(np.uint8)
