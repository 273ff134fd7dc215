"""The kinds of damage, each with the unit and the bounds of its strength."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from runtime.decode import Pixels
from runtime.errors import ConfigError
from training.damage.bit_errors import jpeg_errors
from training.damage.blur import defocus, gaussian, motion
from training.damage.codec import CODECS
from training.damage.denoising import denoise, noisy_jpeg
from training.damage.exposure import dark
from training.damage.grain import (
    chroma_noise,
    correlated_noise,
    high_frequency_noise,
    impulse,
    masked_noise,
    multiplicative_noise,
)
from training.damage.jpeg2000 import jpeg2000, jpeg2000_errors
from training.damage.local import local_blocks, pattern_noise
from training.damage.loss import lose_slices
from training.damage.noise import gaussian_noise, low_light
from training.damage.resolution import downscale
from training.damage.spectrum import comfort_noise, sparse
from training.damage.tone import (
    aberration,
    brighter,
    darker,
    dither,
    less_contrast,
    less_saturation,
    more_contrast,
    more_saturation,
    quantisation,
)


@dataclass(frozen=True, slots=True)
class Kind:
    """What can happen to a frame. It leaves the picture's size, place and scale alone."""

    name: str
    unit: str
    bounds: tuple[float, float]
    """Lowest and highest strength, both allowed, both above 0."""
    harsher: Literal["lower", "higher"]
    """Which strengths do more harm."""
    apply: Callable[[Pixels, float, np.random.Generator], Pixels]
    """(height, width, 3) uint8 RGB, strength, generator -> new pixels of the same shape."""
    whole: bool = False
    """Strengths are whole numbers."""

    @property
    def allowed(self) -> str:
        """The strengths that are allowed, for people: ``quality 1 to 100, whole numbers``."""
        low, high = self.bounds
        return f"{self.unit} {low:g} to {high:g}" + (", whole numbers" if self.whole else "")

    def check(self, strength: float) -> None:
        """Refuse what ``allowed`` does not name.

        Raises:
            ConfigError: names the strength and what is allowed.
        """
        low, high = self.bounds
        if not low <= strength <= high or (self.whole and strength != round(strength)):
            raise ConfigError(f"{self.name} has no strength {strength:g}; allowed are {self.allowed}")


def _fixed(function: Callable[[Pixels, float], Pixels]) -> Callable[[Pixels, float, np.random.Generator], Pixels]:
    """A damage in which nothing is random."""
    return lambda pixels, strength, _: function(pixels, strength)


def kind_named(name: str) -> Kind:
    """The kind of that name.

    Raises:
        ConfigError: there is none; lists those that there are.
    """
    if name not in KINDS:
        raise ConfigError(f"there is no kind of damage {name!r}; there are {', '.join(KINDS)}")
    return KINDS[name]


KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("jpeg", "quality", (1, 100), "lower", _fixed(CODECS["jpeg"].compress), whole=True),
        Kind("webp", "quality", (1, 100), "lower", _fixed(CODECS["webp"].compress), whole=True),
        Kind("avif", "quality", (1, 100), "lower", _fixed(CODECS["avif"].compress), whole=True),
        Kind("blur", "px (radius out of focus)", (0.6, 100), "higher", _fixed(defocus)),
        Kind("gaussian", "px (sigma)", (0.2, 50), "higher", _fixed(gaussian)),
        Kind("motion", "px (length of the way)", (1, 200), "higher", motion),
        Kind("noise", "of 255 (sigma)", (0.5, 255), "higher", gaussian_noise),
        Kind("low_light", "photons at white", (0.5, 100_000), "lower", low_light),
        Kind("dark", "of the light", (0.0001, 1), "lower", _fixed(dark)),
        Kind("downscale", "times smaller", (1, 100), "higher", _fixed(downscale)),
        Kind("loss", "of the slices", (0.01, 1), "higher", lose_slices),
        Kind("chroma_noise", "of 255 (sigma of the luminance)", (0.5, 100), "higher", chroma_noise),
        Kind("correlated_noise", "of 255 (sigma)", (0.5, 255), "higher", correlated_noise),
        Kind("masked_noise", "of 255 (sigma)", (0.5, 255), "higher", masked_noise),
        Kind("high_frequency_noise", "of 255 (sigma)", (0.5, 255), "higher", high_frequency_noise),
        Kind("impulse", "of the values", (0.0001, 1), "higher", impulse),
        Kind("multiplicative_noise", "times the value (sigma)", (0.005, 2), "higher", multiplicative_noise),
        Kind("comfort_noise", "largest coefficient of 8x8 that changes", (1, 1000), "higher", comfort_noise),
        Kind("quantisation", "of 255 (step)", (2, 255), "higher", _fixed(quantisation)),
        Kind("dither", "colours", (2, 256), "lower", _fixed(dither), whole=True),
        Kind("denoise", "of 255 (sigma of the noise before)", (1, 100), "higher", denoise),
        Kind("noisy_jpeg", "of 255 (sigma of the noise before)", (1, 60), "higher", noisy_jpeg),
        Kind("jpeg2000", "times fewer bytes", (2, 1000), "higher", _fixed(jpeg2000)),
        Kind("jpeg_errors", "of the rows of blocks", (0.01, 1), "higher", jpeg_errors),
        Kind("jpeg2000_errors", "of the blocks of coefficients", (0.0005, 1), "higher", jpeg2000_errors),
        Kind("pattern_noise", "patches on a megapixel", (1, 10_000), "higher", pattern_noise),
        Kind("local_blocks", "blocks on a megapixel", (1, 1000), "higher", local_blocks),
        Kind("brighter", "of 255", (1, 200), "higher", _fixed(brighter)),
        Kind("darker", "of 255", (1, 200), "higher", _fixed(darker)),
        Kind("more_contrast", "times the contrast", (1.01, 10), "higher", _fixed(more_contrast)),
        Kind("less_contrast", "times less contrast", (1.01, 50), "higher", _fixed(less_contrast)),
        Kind("less_saturation", "of the colour", (0.01, 1), "higher", _fixed(less_saturation)),
        Kind("more_saturation", "of the colour, more", (0.01, 5), "higher", _fixed(more_saturation)),
        Kind("aberration", "px (shift of red and of blue)", (0.1, 20), "higher", _fixed(aberration)),
        Kind("sparse", "of the coefficients of 16x16", (0.004, 1), "lower", _fixed(sparse)),
    )
}
"""By name."""
