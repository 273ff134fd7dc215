"""Noise that is not white: coloured, correlated, hidden in texture, in single pixels, or as strong as the light."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.decode import Pixels
from runtime.opencv import cv2

CHROMA = 2.5
"""How much stronger chroma noise is in the two colour differences than in the luminance."""
MASKING_PX = 5
"""Side of the neighbourhood whose activity hides noise."""

Floats = NDArray[np.float32]


def chroma_noise(pixels: Pixels, sigma: float, rng: np.random.Generator) -> Pixels:
    """White Gaussian noise, ``sigma`` of 255 in the luminance and ``CHROMA`` times that in both colour differences."""
    planes = cv2.cvtColor(pixels, cv2.COLOR_RGB2YCrCb).astype(np.float32)
    planes += _white(pixels, rng) * np.array([sigma, CHROMA * sigma, CHROMA * sigma], np.float32)
    return np.asarray(cv2.cvtColor(_rounded(planes), cv2.COLOR_YCrCb2RGB), np.uint8)


def correlated_noise(pixels: Pixels, sigma: float, rng: np.random.Generator) -> Pixels:
    """Noise that neighbours share, as after demosaicking: white, averaged over 3x3 pixels; ``sigma`` of 255."""
    smooth = np.asarray(cv2.blur(_white(pixels, rng), (3, 3)), np.float32) * np.float32(3 * sigma)
    return _rounded(pixels + smooth)


def masked_noise(pixels: Pixels, sigma: float, rng: np.random.Generator) -> Pixels:
    """Noise where texture hides it: its deviation follows the local activity; ``sigma`` of 255, over the picture."""
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.float32)
    mean = cv2.blur(grey, (MASKING_PX, MASKING_PX))
    activity = np.sqrt(np.maximum(cv2.blur(grey * grey, (MASKING_PX, MASKING_PX)) - mean * mean, 0)) + 0.5
    activity = np.asarray(cv2.blur(activity, (MASKING_PX, MASKING_PX)), np.float32)
    share = activity / np.sqrt(np.mean(activity * activity))
    return _rounded(pixels + np.float32(sigma) * np.minimum(share, 4)[:, :, None] * _white(pixels, rng))


def high_frequency_noise(pixels: Pixels, sigma: float, rng: np.random.Generator) -> Pixels:
    """White noise without its low frequencies; ``sigma`` of 255."""
    white = _white(pixels, rng)
    high = white - np.asarray(cv2.GaussianBlur(white, (5, 5), 1.0), np.float32)
    return _rounded(pixels + np.float32(sigma / 0.93) * high)


def impulse(pixels: Pixels, share: float, rng: np.random.Generator) -> Pixels:
    """Salt and pepper: ``share`` of the values, channel by channel, become 0 or 255."""
    drawn = rng.random(pixels.shape, dtype=np.float32)
    salt = rng.random(pixels.shape, dtype=np.float32) < 0.5
    return np.asarray(np.where(drawn < share, np.where(salt, np.uint8(255), np.uint8(0)), pixels), np.uint8)


def multiplicative_noise(pixels: Pixels, sigma: float, rng: np.random.Generator) -> Pixels:
    """Speckle: each value times 1 plus Gaussian noise of ``sigma``."""
    return _rounded(pixels * (1 + np.float32(sigma) * _white(pixels, rng)))


def _white(pixels: Pixels, rng: np.random.Generator) -> Floats:
    return rng.standard_normal(pixels.shape, dtype=np.float32)


def _rounded(values: NDArray[Any]) -> Pixels:
    return np.asarray(np.clip(np.rint(values), 0, 255), np.uint8)
