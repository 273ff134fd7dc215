"""What a full-reference network learns from: patches of pictures beside the same patches of their references."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runtime.decode import Pixels
from runtime.errors import ConfigError
from training.data.order import Order
from training.generator import generator
from training.models.full_reference import TILE_PX
from training.quality.fr_recipes import FullReferenceRecipe
from training.quality.kept_pictures import KeptPictures
from training.quality.rated import BEST, WORST, Rated, RatedSet
from training.quality.readers import require_pair

Pair = tuple[Pixels, Pixels]
LOST_SHADES = (0, 255)
LEAST_LOST = 48
"""Levels by which one colour is another in each of R, G and B, so that no one would call it nearly the same."""


@dataclass(frozen=True)
class Batch:
    """What one step learns from."""

    distorted: Pixels
    """(n, 128, 128, 3) uint8 RGB, patches of one picture beside each other."""
    reference: Pixels
    """(n, 128, 128, 3)."""
    share: NDArray[np.float32]
    """(n,): the score of the patch's picture, 0 for the worst and 1 for the best."""


def read_pair(picture: Rated, pictures: KeptPictures) -> Pair:
    """A picture and its reference, (height, width, 3) uint8 RGB.

    Raises:
        PictureError: one cannot be read, they are not of one size, or smaller than a tile.
    """
    assert picture.reference is not None  # ``readers.require_references``
    distorted, reference = pictures.of(picture.path), pictures.of(picture.reference)
    require_pair(picture, _size(distorted), _size(reference), TILE_PX)
    return distorted, reference


class PairPatches:
    """An endless sequence of batches; each is settled by the seed and its step alone.

    Args:
        sets: each picture has a reference.
        recipe: how patches are drawn.
        pictures: where they are read.
        seed: settles all that is drawn.

    Raises:
        ConfigError: there is nothing to learn from.
    """

    def __init__(
        self, sets: Sequence[RatedSet], recipe: FullReferenceRecipe, pictures: KeptPictures, seed: int
    ) -> None:
        self._pictures = [
            (picture, (mos - WORST) / (BEST - WORST))
            for rated in sets
            for picture, mos in zip(rated.pictures, rated.mos5(), strict=True)
        ]
        if not self._pictures:
            raise ConfigError(f"{', '.join(one.name for one in sets)}: there is no picture to learn from")
        self._recipe, self._kept, self._seed = recipe, pictures, seed
        self._order = Order(len(self._pictures), seed)

    def __len__(self) -> int:
        """Pictures."""
        return len(self._pictures)

    @property
    def epoch_steps(self) -> int:
        """Batches in which every picture is drawn as often as the recipe says."""
        drawn = self._recipe.batch_size // self._recipe.patches
        return -(-len(self) * self._recipe.draws // drawn)

    def batch(self, step: int) -> Batch:
        recipe = self._recipe
        rng = generator(f"{self._seed}:patches:{step}")
        places, _ = self._order.batch(step, recipe.batch_size // recipe.patches)
        patches: list[Pair] = []
        shares: list[float] = []
        for place in places:
            picture, share = self._pictures[place]
            distorted, reference = read_pair(picture, self._kept)
            coin = rng.random()
            if coin < recipe.identical:
                distorted, share = reference, 1.0
            elif coin < recipe.identical + recipe.lost:
                (distorted, reference), share = _lost(reference, rng), 0.0
            patches += [self._patch(distorted, reference, rng) for _ in range(recipe.patches)]
            shares += [share] * recipe.patches
        seen, asked = (np.stack(each) for each in zip(*patches, strict=True))
        return Batch(seen, asked, np.array(shares, np.float32))

    def _patch(self, distorted: Pixels, reference: Pixels, rng: np.random.Generator) -> Pair:
        height, width = distorted.shape[:2]
        top, left = (int(rng.integers(side - TILE_PX + 1)) for side in (height, width))
        quarters, mirrored = int(rng.integers(4)), bool(rng.integers(2))
        cut = [pixels[top : top + TILE_PX, left : left + TILE_PX] for pixels in (distorted, reference)]
        if self._recipe.turned:
            cut = [np.rot90(pixels[:, ::-1] if mirrored else pixels, quarters) for pixels in cut]
        return cut[0], cut[1]


def _lost(reference: Pixels, rng: np.random.Generator) -> Pair:
    """One colour, black and white among them, in the picture's place; half the time beside another one."""
    shade = rng.choice(LOST_SHADES, size=1) if rng.random() < 0.5 else rng.integers(256, size=3)
    shown = _of_one_colour(shade, reference)
    if rng.random() < 0.5:
        return shown, reference
    return shown, _of_one_colour((shade + rng.integers(LEAST_LOST, 256 - LEAST_LOST, size=3)) % 256, reference)


def _of_one_colour(colour: NDArray[np.int64], like: Pixels) -> Pixels:
    pixels: Pixels = np.broadcast_to(colour.astype(np.uint8), like.shape)
    return pixels


def _size(pixels: Pixels) -> tuple[int, int]:
    height, width = pixels.shape[:2]
    return int(height), int(width)
