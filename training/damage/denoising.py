"""Noise, and what the attempt to be rid of it leaves."""

import numpy as np

from runtime.decode import Pixels
from training.damage.codec import CODECS
from training.damage.noise import gaussian_noise
from training.damage.spectrum import thresholded

SHIFTS = ((0, 0), (2, 5), (5, 2), (4, 4))
"""Places of the blocks' grid, over which the mean is taken: no edges of blocks are left."""
HARD = 2.7
"""Coefficients below so many standard deviations are taken for noise."""


def denoise(pixels: Pixels, sigma: float, rng: np.random.Generator) -> Pixels:
    """Noise of ``sigma`` of 255, then taken off by thresholds in blocks of 8x8: texture is smeared.

    A filter of TID2013's own kind: hard thresholds on a sliding discrete cosine transform.
    """
    noisy = gaussian_noise(pixels, sigma, rng)
    height, width = pixels.shape[:2]
    total = np.zeros(pixels.shape, np.float32)
    for down, right in SHIFTS:
        padded = np.pad(noisy, ((down, 0), (right, 0), (0, 0)), mode="edge")
        total += thresholded(padded, HARD * sigma)[down : down + height, right : right + width]
    return np.clip(np.rint(total / len(SHIFTS)), 0, 255).astype(np.uint8)


def noisy_jpeg(pixels: Pixels, sigma: float, rng: np.random.Generator) -> Pixels:
    """A noisy picture, ``sigma`` of 255, compressed as JPEG the harder the noisier it is."""
    quality = min(95, max(1, 95 - 2.2 * sigma))
    return CODECS["jpeg"].compress(gaussian_noise(pixels, sigma, rng), quality)
