"""Blur: out of focus, in motion, and the Gaussian of the literature. Kernels are centred: nothing shifts."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.decode import Pixels
from runtime.opencv import cv2
from training.damage.light import light_of, pixels_of

Kernel = NDArray[np.float32]
"""Odd sides, sums to 1, symmetric about its centre."""

_SUBPIXELS = 16
"""Chords of a disc in each row of pixels, and points of a motion in each pixel of its length."""


def defocus(pixels: Pixels, radius: float) -> Pixels:
    """The circle of confusion of an ideal lens, ``radius`` in px: a disc, in linear light."""
    return _convolved(pixels, disc(radius))


def motion(pixels: Pixels, length: float, rng: np.random.Generator) -> Pixels:
    """The way of an even motion while the shutter is open, ``length`` in px: a line, in linear light."""
    return _convolved(pixels, line(length, angle=rng.uniform(0, np.pi)))


def gaussian(pixels: Pixels, sigma: float) -> Pixels:
    """Gaussian, ``sigma`` in px, on the 8-bit values, as the literature on image quality does it."""
    side = 2 * int(np.ceil(4 * sigma)) + 1
    return np.asarray(cv2.GaussianBlur(pixels, (side, side), sigma), np.uint8)


def disc(radius: float) -> Kernel:
    """A disc: each pixel weighs as much as of it is covered."""
    reach = int(np.ceil(radius - 0.5))
    side = 2 * reach + 1
    y = (np.arange(side * _SUBPIXELS) + 0.5) / _SUBPIXELS - side / 2
    chord = np.sqrt(np.maximum(radius**2 - y**2, 0))[:, None]
    x = np.arange(-reach, reach + 1)
    covered = np.maximum(np.minimum(x + 0.5, chord) - np.maximum(x - 0.5, -chord), 0)
    covered = covered.reshape(side, _SUBPIXELS, side).sum(axis=1)
    return _normalised(covered + covered.T)


def line(length: float, angle: float) -> Kernel:
    """A line of points, each shared by the four pixels about it; ``angle`` in radians."""
    reach = int(np.ceil(length / 2))
    count = int(np.ceil(length * _SUBPIXELS))
    along = ((np.arange(count) + 0.5) / count - 0.5) * length
    x, y = along * np.cos(angle) + reach, along * np.sin(angle) + reach
    kernel = np.zeros((2 * reach + 2, 2 * reach + 2))
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    right, low = x - left, y - top
    for row, column, weight in (
        (top, left, (1 - low) * (1 - right)),
        (top, left + 1, (1 - low) * right),
        (top + 1, left, low * (1 - right)),
        (top + 1, left + 1, low * right),
    ):
        np.add.at(kernel, (row, column), weight)
    return _normalised(kernel[:-1, :-1])


def _convolved(pixels: Pixels, kernel: Kernel) -> Pixels:
    return pixels_of(cv2.filter2D(light_of(pixels), -1, kernel))


def _normalised(weights: NDArray[Any]) -> Kernel:
    kernel: Kernel = (weights / weights.sum()).astype(np.float32)
    return kernel
