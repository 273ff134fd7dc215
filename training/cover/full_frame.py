"""Whole frames at their own size, for networks that take any: the paper's, which are fully convolutional.

The paper trains on crops of 513 px and does not say how it tests. Here the network sees the frame as it is: resizing
would change its sharpness.
"""

from collections.abc import Callable, Sequence

import numpy as np

from runtime.decode import Pixels
from runtime.manifest import Head
from runtime.opencv import cv2
from training.cover.gate import Arrays, Judgement, judgements

STRIDE_PX = 16
"""Between the places of the networks' last map: cell i lies at pixel 16 i, so a side of 16 n + 1 ends on a cell."""
LEAST_SIDE_PX = 8 * STRIDE_PX + 1
"""Three poolings need 8 cells."""


class FullFrame:
    """Judges each picture by itself, at its own size; any number of sizes.

    With tiles, clarity is the mean over square tiles that cover the frame evenly, each as large as the crops in
    training: for frames much wider than these. The mask is always of the whole frame.
    """

    def __init__(
        self, name: str, entry: str, heads: Sequence[Head], infer: Callable[[Arrays], Arrays], tile_px: int | None
    ) -> None:
        """Judge with ``infer``: a batch named ``entry``, (n, height, width, 3) uint8 -> outputs, maps of that size."""
        self._name, self._entry, self._heads, self._infer, self._tile_px = name, entry, heads, infer, tile_px

    @property
    def view(self) -> str:
        """What it sees, in words."""
        return "the whole frame" + (f", clarity by tiles of {self._tile_px} px" if self._tile_px else "")

    def __call__(self, pictures: Sequence[Pixels]) -> list[Judgement]:
        return [self._judge(pixels) for pixels in pictures]

    def _judge(self, pixels: Pixels) -> Judgement:
        whole = self._look(pixels)
        if self._tile_px is None or whole.clarity is None:
            return whole
        scores = [self._look(tile).clarity for tile in tiles(pixels, self._tile_px)]
        return Judgement(float(np.mean([score for score in scores if score is not None])), whole.saliency)

    def _look(self, pixels: Pixels) -> Judgement:
        height, width = pixels.shape[:2]
        outputs = self._infer({self._entry: continued(pixels)[None]})
        [judgement] = judgements(self._name, self._heads, outputs, lambda _, seen: seen[:height, :width])
        return judgement


def continued(pixels: Pixels) -> Pixels:
    """A picture that goes on to its right and below, by its mirror image, to sides of 16 n + 1, and of 129 at least.

    Of other sides the map's last cells would not lie on the picture's last pixels, and all in it would be moved.
    """
    below, right = (_due(side) - side for side in pixels.shape[:2])
    return np.asarray(cv2.copyMakeBorder(pixels, 0, below, 0, right, cv2.BORDER_REFLECT_101), np.uint8)


def _due(side: int) -> int:
    return max(LEAST_SIDE_PX, -(-(side - 1) // STRIDE_PX) * STRIDE_PX + 1)


def tiles(pixels: Pixels, side_px: int) -> list[Pixels]:
    """As few square tiles as cover a picture, spread evenly; a side that is shorter than the tile is taken whole."""
    rows, columns = (_starts(length, side_px) for length in pixels.shape[:2])
    return [pixels[top : top + side_px, left : left + side_px] for top in rows for left in columns]


def _starts(length: int, side_px: int) -> list[int]:
    count = max(1, -(-length // side_px))
    last = max(0, length - side_px)
    return [last * at // max(1, count - 1) for at in range(count)]
