"""Exposure: a frame that is too dark."""

import numpy as np

from runtime.decode import Pixels
from training.damage.light import light_of, pixels_of


def dark(pixels: Pixels, share: float) -> Pixels:
    """Underexposed: ``share`` of the light is left, rounded to 8 bits. Noise is a kind of its own, ``low_light``."""
    return pixels_of(light_of(pixels) * np.float32(share))
