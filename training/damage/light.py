"""Between 8-bit values and light: what happens before the sensor happens to light, not to values."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.decode import Pixels
from runtime.opencv import cv2

Light = NDArray[np.float32]
"""(height, width, 3), linear; 1 is white, 0 is black."""

_STEPS = 2**16
"""Of the table back to values: 20 a value where the curve is steepest, at black."""


def light_of(pixels: Pixels) -> Light:
    """The light that sRGB values stand for (IEC 61966-2-1)."""
    return np.asarray(cv2.LUT(pixels, _LIGHT), np.float32)


def pixels_of(light: NDArray[Any]) -> Pixels:
    """The nearest sRGB values; below black and above white are clipped. ``pixels_of(light_of(x))`` is ``x``."""
    steps = np.clip(light, 0, 1) * (_STEPS - 1)
    pixels: Pixels = _VALUES[np.rint(steps).astype(np.uint16)]
    return pixels


def _srgb_to_linear(value: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def _linear_to_srgb(light: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)


_LIGHT = _srgb_to_linear(np.arange(256) / 255).astype(np.float32)
_VALUES = np.rint(_linear_to_srgb(np.arange(_STEPS) / (_STEPS - 1)) * 255).astype(np.uint8)
