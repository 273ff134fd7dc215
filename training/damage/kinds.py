"""The kinds of damage, each with the unit and the bounds of its strength."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from runtime.decode import Pixels
from runtime.errors import ConfigError
from training.damage.blur import defocus, gaussian, motion
from training.damage.codec import CODECS
from training.damage.exposure import dark
from training.damage.loss import lose_slices
from training.damage.noise import gaussian_noise, low_light
from training.damage.resolution import downscale


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
    )
}
"""By name."""
