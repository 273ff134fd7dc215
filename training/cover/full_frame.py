"""Whole frames at their own size, for networks that take any: the paper's, which are fully convolutional.

The paper trains on crops of 513 px and does not say how it tests. Here the network sees the frame as it is: resizing
would change its sharpness.
"""

from collections.abc import Callable, Sequence

import numpy as np

from runtime.decode import Pixels
from runtime.manifest import Head
from runtime.opencv import cv2
from training.cover.gate import Arrays, Judgement, Levels, judgements

LEAST_SIDE_PX = 128
"""Three poolings at output stride 16 need 8 cells a side; a smaller picture is continued by its mirror image."""


class FullFrame:
    """Judges each picture by itself, at its own size; any number of sizes.

    With tiles, clarity is the mean over square tiles that cover the frame evenly, each as large as the crops in
    training: for frames much wider than these. The mask is always of the whole frame.
    """

    def __init__(
        self, name: str, entry: str, heads: Sequence[Head], infer: Callable[[Arrays], Arrays], tile_px: int | None
    ) -> None:
        """Judge with ``infer``, which takes one batch by the name ``entry``, (n, height, width, 3) uint8."""
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
        below, right = max(0, LEAST_SIDE_PX - height), max(0, LEAST_SIDE_PX - width)
        if below or right:
            pixels = np.asarray(cv2.copyMakeBorder(pixels, 0, below, 0, right, cv2.BORDER_REFLECT), np.uint8)

        def cut(_: int, seen: Levels) -> Levels:
            if not (below or right):
                return seen
            wide = cv2.resize(seen, (width + right, height + below), interpolation=cv2.INTER_LINEAR)
            return np.asarray(wide[:height, :width], np.uint8)

        outputs = self._infer({self._entry: np.ascontiguousarray(pixels)[None]})
        [judgement] = judgements(self._name, self._heads, outputs, cut)
        return judgement


def tiles(pixels: Pixels, side_px: int) -> list[Pixels]:
    """As few square tiles as cover a picture, spread evenly; a side that is shorter than the tile is taken whole."""
    rows, columns = (_starts(length, side_px) for length in pixels.shape[:2])
    return [pixels[top : top + side_px, left : left + side_px] for top in rows for left in columns]


def _starts(length: int, side_px: int) -> list[int]:
    count = max(1, -(-length // side_px))
    last = max(0, length - side_px)
    return [last * at // max(1, count - 1) for at in range(count)]
