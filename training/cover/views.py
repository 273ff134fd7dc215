"""What a network is shown of a picture in training: windows as they will be served, or crops at native resolution."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from runtime.decode import Pixels
from runtime.manifest import Input
from runtime.opencv import cv2
from runtime.preprocess import Preprocessor
from training.cover.cover_set import CoverPicture
from training.cover.recipes import CoverRecipe
from training.data.mask import FOREGROUND, IGNORE, Mask

TRIES = 8
LEAST_OBJECT = 0.5
"""Of the object's pixels: a window that shows less of it is drawn again."""


@dataclass(frozen=True)
class Box:
    """A part of a picture, in pixels."""

    top: int
    left: int
    height: int
    width: int

    def of(self, pixels: Pixels) -> Pixels:
        """That part of an array (height, width, ...)."""
        return pixels[self.top : self.top + self.height, self.left : self.left + self.width]


@dataclass(frozen=True)
class View:
    """One sample."""

    inputs: tuple[Pixels, ...]
    """Per input of the network, uint8, channels last."""
    wanted: NDArray[np.float32]
    """(height, width): share of foreground in each pixel of the map; 0 without a mask."""
    counted: NDArray[np.float32]
    """(height, width): 1 where the mask is known."""


class Views(Protocol):
    """From a picture to a sample."""

    def window(self, picture: CoverPicture, rng: np.random.Generator) -> Box:
        """The part that is looked at, drawn anew each time."""

    def middle(self, picture: CoverPicture) -> Box:
        """The part that is looked at where nothing is drawn."""

    def view(self, pixels: Pixels, mask: Mask | None) -> View:
        """That part, as the network is shown it."""


class ServedViews:
    """Windows of a picture, resized and cut into patches as the gateway does it.

    A window changes the object's size and the aspect ratio, and leaves the pixels' sharpness as it is.
    """

    def __init__(self, inputs: Sequence[Input], map_size: tuple[int, int], recipe: CoverRecipe) -> None:
        self._preprocessors = [Preprocessor(spec) for spec in inputs]
        self._map_size, self._least = map_size, recipe.least_window

    def window(self, picture: CoverPicture, rng: np.random.Generator) -> Box:
        """See ``Views``."""
        height, width = picture.pixels.shape[:2]
        total = 0 if picture.mask is None else int((picture.mask == FOREGROUND).sum())
        for _ in range(TRIES):
            tall, wide = (round(side * rng.uniform(self._least, 1)) for side in (height, width))
            box = Box(int(rng.integers(height - tall + 1)), int(rng.integers(width - wide + 1)), tall, wide)
            if not total or picture.mask is None or (box.of(picture.mask) == FOREGROUND).sum() >= LEAST_OBJECT * total:
                return box
        return Box(0, 0, height, width)

    def middle(self, picture: CoverPicture) -> Box:
        """See ``Views``: all of it."""
        return Box(0, 0, *picture.pixels.shape[:2])

    def view(self, pixels: Pixels, mask: Mask | None) -> View:
        """See ``Views``."""
        slots = []
        for preprocessor in self._preprocessors:
            batch = preprocessor.batch(1)
            preprocessor.fill(pixels, batch[0])
            slots.append(batch[0])
        return View(tuple(slots), *target(mask, self._map_size))


class CropViews:
    """Squares at the picture's own resolution; what is missing to their side is black, and counts for nothing."""

    def __init__(self, recipe: CoverRecipe) -> None:
        self._side, self._object_crops = recipe.crop_px, recipe.object_crops

    def window(self, picture: CoverPicture, rng: np.random.Generator) -> Box:
        """See ``Views``."""
        height, width = picture.pixels.shape[:2]
        tall, wide = min(height, self._side), min(width, self._side)
        top, left = int(rng.integers(height - tall + 1)), int(rng.integers(width - wide + 1))
        if picture.mask is not None and rng.random() < self._object_crops:
            places = np.argwhere(picture.mask == FOREGROUND)
            if len(places):
                row, column = places[rng.integers(len(places))]
                top = int(np.clip(row - rng.integers(tall), 0, height - tall))
                left = int(np.clip(column - rng.integers(wide), 0, width - wide))
        return Box(top, left, tall, wide)

    def middle(self, picture: CoverPicture) -> Box:
        """See ``Views``: a square."""
        height, width = picture.pixels.shape[:2]
        tall, wide = min(height, self._side), min(width, self._side)
        return Box((height - tall) // 2, (width - wide) // 2, tall, wide)

    def view(self, pixels: Pixels, mask: Mask | None) -> View:
        """See ``Views``."""
        height, width = pixels.shape[:2]
        margins = (0, self._side - height, 0, self._side - width)
        square = cv2.copyMakeBorder(pixels, *margins, cv2.BORDER_CONSTANT, value=(0, 0, 0))
        known = np.full((height, width), IGNORE, np.uint8) if mask is None else mask
        padded = cv2.copyMakeBorder(known, *margins, cv2.BORDER_CONSTANT, value=(IGNORE,))
        return View((np.asarray(square, np.uint8),), *target(np.asarray(padded, np.uint8), (self._side, self._side)))


def target(mask: Mask | None, size: tuple[int, int]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """What a map of ``size`` (height, width) should be, and where that is known; both float32 in [0, 1]."""
    if mask is None:
        return np.zeros(size, np.float32), np.zeros(size, np.float32)
    known = (mask != IGNORE).astype(np.float32)
    wanted = (mask == FOREGROUND).astype(np.float32)
    if mask.shape != size:
        wanted, known = (
            np.asarray(cv2.resize(each, size[::-1], interpolation=cv2.INTER_AREA), np.float32)
            for each in (wanted, known)
        )
    return wanted, (known > 0.5).astype(np.float32)
