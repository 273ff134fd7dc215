"""Tone and colour: brightness, contrast, saturation, few levels, and colours that do not lie on each other."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from runtime.decode import Pixels
from runtime.opencv import cv2

NEUTRAL = np.array([0, 128, 128], np.float32)
"""Colour differences of grey, beside the luminance."""


def brighter(pixels: Pixels, shift: float) -> Pixels:
    """Every value raised by ``shift`` of 255."""
    return _rounded(pixels + np.float32(shift))


def darker(pixels: Pixels, shift: float) -> Pixels:
    """Every value lowered by ``shift`` of 255."""
    return _rounded(pixels - np.float32(shift))


def more_contrast(pixels: Pixels, factor: float) -> Pixels:
    """Distances from the picture's mean times ``factor``."""
    return _stretched(pixels, factor)


def less_contrast(pixels: Pixels, factor: float) -> Pixels:
    """Distances from the picture's mean divided by ``factor``."""
    return _stretched(pixels, 1 / factor)


def less_saturation(pixels: Pixels, share: float) -> Pixels:
    """Colour differences lose ``share``; 1 leaves none."""
    planes = cv2.cvtColor(pixels, cv2.COLOR_RGB2YCrCb).astype(np.float32)
    factors = np.array([1, 1 - share, 1 - share], np.float32)
    changed = _rounded((planes - NEUTRAL) * factors + NEUTRAL)
    return np.asarray(cv2.cvtColor(changed, cv2.COLOR_YCrCb2RGB), np.uint8)


def more_saturation(pixels: Pixels, share: float) -> Pixels:
    """Colour differences gain ``share``."""
    planes = cv2.cvtColor(pixels, cv2.COLOR_RGB2YCrCb).astype(np.float32)
    factors = np.array([1, 1 + share, 1 + share], np.float32)
    changed = _rounded((planes - NEUTRAL) * factors + NEUTRAL)
    return np.asarray(cv2.cvtColor(changed, cv2.COLOR_YCrCb2RGB), np.uint8)


def quantisation(pixels: Pixels, step: float) -> Pixels:
    """Values in steps of ``step`` of 255: smooth surfaces get edges."""
    values = pixels.astype(np.float32)
    return _rounded((np.floor(values / np.float32(step)) + np.float32(0.5)) * np.float32(step))


def dither(pixels: Pixels, colours: float) -> Pixels:
    """So many colours, chosen for the picture (median cut), laid out by error diffusion (Floyd and Steinberg)."""
    whole = Image.fromarray(pixels)
    palette = whole.quantize(int(colours), method=Image.Quantize.MEDIANCUT)
    return np.asarray(
        whole.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG).convert("RGB"), np.uint8
    ).copy()


def aberration(pixels: Pixels, shift: float) -> Pixels:
    """A lens that bends colours unlike: red moves ``shift`` px to the left and up, blue the other way.

    Both lose their focus, too: Gaussian, sigma of 0.4 of the shift.
    """
    red, green, blue = (np.ascontiguousarray(pixels[:, :, channel]) for channel in range(3))
    return np.stack([_moved(red, -shift), green, _moved(blue, shift)], axis=2)


def _moved(plane: NDArray[np.uint8], shift: float) -> NDArray[np.uint8]:
    height, width = plane.shape
    way = np.array([[1, 0, shift], [0, 1, shift / 2]], np.float32)
    side = 2 * int(np.ceil(1.2 * abs(shift))) + 1
    plane = np.asarray(cv2.GaussianBlur(plane, (side, side), 0.4 * abs(shift)), np.uint8)
    moved = cv2.warpAffine(plane, way, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(moved, np.uint8).reshape(height, width)


def _stretched(pixels: Pixels, factor: float) -> Pixels:
    mean = np.float32(pixels.mean())
    return _rounded((pixels - mean) * np.float32(factor) + mean)


def _rounded(values: NDArray[Any]) -> Pixels:
    return np.asarray(np.clip(np.rint(values), 0, 255), np.uint8)
