"""Which samples a step learns from, and how each is made."""

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import simplejpeg

from runtime.decode import Pixels
from runtime.errors import ConfigError
from training.cover.cover_set import CoverSet
from training.cover.levels import blurred
from training.cover.manifest import CoverSample
from training.cover.recipes import CoverRecipe
from training.cover.views import View, Views
from training.data.order import Order
from training.generator import generator

JPEG_QUALITIES = 50, 96
"""From, and up to but for the last."""


@dataclass(frozen=True)
class Part:
    """A set that is learned from, and how many of 1 samples are of it."""

    samples: CoverSet
    share: float


class Drawing:
    """An endless sequence of samples; each place in it is settled by the seed and its number alone.

    A set alone is gone through epoch after epoch, each in an order of its own; of several, each draws from such an
    order by chance.
    """

    def __init__(self, parts: Sequence[Part], views: Views, recipe: CoverRecipe, seed: int) -> None:
        """Raises ConfigError where a set has nothing to learn from, or the shares are none."""
        for part in parts:
            if not len(part.samples):
                raise ConfigError(f"{part.samples.name} has no picture to learn from: all are of its test split")
            if not 0 < part.share < math.inf:
                raise ConfigError(f"{part.samples.name}: a share of {part.share:g} is none; more than 0 is due")
        self._parts, self._views, self._recipe, self._seed = list(parts), views, recipe, seed
        shares = np.array([part.share for part in parts], float)
        self._bounds = np.cumsum(shares / shares.sum())
        self._orders = [Order(len(part.samples), seed) for part in parts]

    def __len__(self) -> int:
        """Samples of all sets."""
        return sum(len(part.samples) for part in self._parts)

    def draw(self, place: int) -> tuple[CoverSample, View]:
        """The sample at a place, and what is shown of it."""
        rng = generator(f"{self._seed}:cover:{place}")
        chosen = min(int(np.searchsorted(self._bounds, rng.random(), side="right")), len(self._parts) - 1)
        # How often a set was drawn before is not counted: its order is entered at the place, as if it stood alone.
        index, _ = self._orders[chosen].batch(place, 1)
        sample = self._parts[chosen].samples.samples[int(index[0])]
        return sample, self._view(self._parts[chosen].samples, sample, rng)

    def _view(self, samples: CoverSet, sample: CoverSample, rng: np.random.Generator) -> View:
        later = samples.header.blur == "on-read"  # then only what is looked at need be blurred
        picture = samples.read(dataclasses.replace(sample, sigma_px=0.0) if later else sample)
        window = self._views.window(picture, rng)
        pixels = window.of(picture.pixels)
        if later:
            pixels = blurred(np.ascontiguousarray(pixels), sample.sigma_px)
        if rng.random() < self._recipe.jpeg:
            pixels = _compressed(pixels, int(rng.integers(*JPEG_QUALITIES)))
        mask = None if picture.mask is None else window.of(picture.mask)
        if self._recipe.flip and rng.random() < 0.5:
            pixels, mask = pixels[:, ::-1], None if mask is None else mask[:, ::-1]
        return self._views.view(np.ascontiguousarray(pixels), None if mask is None else np.ascontiguousarray(mask))


def _compressed(pixels: Pixels, quality: int) -> Pixels:
    """As a JPEG of 4:2:0 leaves them."""
    encoded = simplejpeg.encode_jpeg(np.ascontiguousarray(pixels), quality, colorsubsampling="420")
    return np.asarray(simplejpeg.decode_jpeg(encoded), np.uint8)
