"""DeepRN's first stage as something the trainer can fit: five classes of quality, from squares of the pictures."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from runtime.decode import Pixels
from training.cover.training import as_tensor
from training.data.order import Order
from training.data.picture import PictureError, read_picture
from training.generator import generator
from training.models.deeprn import CLASSES
from training.quality.deeprn_recipes import DeepRNRecipe
from training.quality.readers import Sizes
from training.quality.teachers import Teachers
from training.quality.variants import least_side, variant

NEW_PARTS = ("last.",)


@dataclass(frozen=True)
class Batch:
    """What one step learns from."""

    pixels: Pixels
    """(n, side, side, 3) uint8 RGB."""
    classes: NDArray[np.int64]
    """(n,), 0 the worst."""


class ClassesTask:
    """See ``training.trainer.Task``.

    Args:
        teachers: what is learned.
        validation: seen at its centre, after an epoch.
        recipe: of both stages.
        seed: settles all that is drawn.
        device: PyTorch's name of it.
    """

    def __init__(
        self, teachers: Teachers, validation: Teachers, recipe: DeepRNRecipe, *, seed: int = 0, device: str = "cpu"
    ) -> None:
        self._teachers, self._validation, self._recipe = teachers, validation, recipe
        self._seed, self._device = seed, device
        self._order = Order(len(teachers), seed)
        self._classes = teachers.classes()
        self._weights = torch.from_numpy(class_weights(self._classes)).to(device) if recipe.balanced else None

    @property
    def epoch_steps(self) -> int:
        """Batches with as many squares as there are pictures."""
        return -(-len(self._teachers) // self._recipe.classes.batch_size)

    @property
    def counts(self) -> list[int]:
        """Pictures of each class, the worst first."""
        return [int(count) for count in np.bincount(self._classes, minlength=CLASSES)]

    def batch(self, step: int) -> Batch:
        size = self._recipe.classes.batch_size
        places, _ = self._order.batch(step, size)
        squares = [
            self._square(int(place), generator(f"{self._seed}:classes:{step * size + number}"))
            for number, place in enumerate(places)
        ]
        return Batch(np.stack(squares), self._classes[places])

    def losses(self, network: nn.Module, batch: Batch) -> dict[str, Tensor]:
        found = network(as_tensor(batch.pixels, self._device))
        wanted = torch.from_numpy(batch.classes).to(self._device)
        return {"loss": functional.cross_entropy(found, wanted, weight=self._weights)}

    def validate(self, network: nn.Module) -> dict[str, float]:
        """``error``: the share that falls into another class; ``far``: into one that is not even its neighbour."""
        found = []
        for path in self._validation.paths:
            square = _cut(read_picture(path), self._recipe.crop_px, 0.5, 0.5)
            found.append(int(network(as_tensor(square[None], self._device)).argmax()))
        off = np.abs(np.array(found) - self._validation.classes())
        return {"error": float(np.mean(off > 0)), "far": float(np.mean(off > 1))}

    def is_new(self, parameter: str) -> bool:
        return parameter.startswith(NEW_PARTS)

    def _square(self, place: int, rng: np.random.Generator) -> Pixels:
        path, name = self._teachers.paths[place], self._teachers.names[place]
        variants = self._recipe.variants
        shown = variant(read_picture(path), int(rng.integers(variants.count)), variants, name)
        return _cut(shown, self._recipe.crop_px, rng.random(), rng.random())


def require_squares(sizes: Sizes, recipe: DeepRNRecipe) -> None:
    """Make sure, before long work, that squares can be cut out of every picture, and out of each of its copies.

    Args:
        sizes: (height, width) by file.
        recipe: of the squares and the copies.

    Raises:
        PictureError: one is too small.
    """
    for path, (height, width) in sizes.items():
        left = least_side(height, width, recipe.variants)
        if left < recipe.crop_px:
            raise PictureError(
                f"{path} has {width} x {height} pixels, of which turning and shifting may leave {left} along a side, "
                f"and squares of {recipe.crop_px} are cut out of it; --set crop_px={left} or less takes it, too"
            )


def class_weights(classes: NDArray[np.int64]) -> NDArray[np.float32]:
    """(CLASSES,): what each counts, so that all that have pictures count alike and a picture counts 1 in the mean."""
    counts = np.bincount(classes, minlength=CLASSES)
    present = np.count_nonzero(counts)
    return np.where(counts, len(classes) / (present * np.maximum(counts, 1)), 0).astype(np.float32)


def _cut(pixels: Pixels, side: int, down: float, across: float) -> Pixels:
    height, width = pixels.shape[:2]
    assert min(height, width) >= side  # ``require_squares``
    top, left = int(down * (height - side + 1)), int(across * (width - side + 1))
    return np.ascontiguousarray(pixels[top : top + side, left : left + side])
