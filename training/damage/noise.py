"""Noise of the sensor."""

import numpy as np

from runtime.decode import Pixels
from training.damage.light import light_of, pixels_of

READ_NOISE = 2.0
"""Electrons, root mean square: of an ordinary CMOS sensor."""


def gaussian_noise(pixels: Pixels, sigma: float, rng: np.random.Generator) -> Pixels:
    """Adds white Gaussian noise to the 8-bit values, independent in each channel; ``sigma`` of 0..255."""
    noise = rng.standard_normal(pixels.shape, dtype=np.float32)
    return np.clip(np.rint(pixels + np.float32(sigma) * noise), 0, 255).astype(np.uint8)


def low_light(pixels: Pixels, photons: float, rng: np.random.Generator) -> Pixels:
    """Few photons, amplified until the picture is as bright as before.

    Each channel of each pixel counts its photons (Poisson), ``photons`` of them on average where the picture is white,
    all detected, and is read with noise (``READ_NOISE``).
    """
    light = light_of(pixels)
    counted = rng.poisson(light * np.float32(photons)).astype(np.float32)
    counted += np.float32(READ_NOISE) * rng.standard_normal(pixels.shape, dtype=np.float32)
    return pixels_of(counted / np.float32(photons))
