"""Choosing covers among pictures: the best ones that differ in what they show."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from runtime.cover import Cover
from runtime.cover_crop import Rectangle, to_pixels
from runtime.opencv import cv2
from runtime.preprocess import Pixels

GRID = 8
"""Cells across and down a cover's content: coarse enough that a step aside changes little."""
DISTINCT = 20.0
"""Covers whose contents differ by less count as the same scene (mean CIE76 difference of their cells). Between the
demo's photographs it is 27 at least; the same one moved by a tenth, or a fifth brighter, is 15 away at most."""
NEGLIGIBLE = 0.5
"""A distance that nobody sees: below it any difference counts."""

Content = NDArray[np.float32]


class Source(NamedTuple):
    """Where a picture is from: a file, or a frame of a video."""

    path: Path
    frame: int | None = None
    time_s: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """A picture that may become a cover; sizes in pixels, of the full upright picture."""

    source: Source
    width: int
    height: int
    cover: Cover
    content: Content
    """Of its crop, as ``content_of`` makes it."""

    @property
    def crop(self) -> Rectangle:
        """The cover, in pixels."""
        assert self.cover.crop is not None
        return to_pixels(self.cover.crop, (self.width, self.height))

    @property
    def score(self) -> float:
        """The cover's."""
        assert self.cover.score is not None
        return self.cover.score


class Choice(NamedTuple):
    """A chosen cover."""

    candidate: Candidate
    distinct: bool
    """False: it resembles a better one, and was taken because too few differ."""


def content_of(pixels: Pixels, cover: Cover) -> Content:
    """What a cover shows, coarsely: its crop in ``GRID`` x ``GRID`` cells, CIE L*a*b*.

    Args:
        pixels: uint8 (height, width, 3), RGB: the picture, at any size.
        cover: with its crop.
    """
    assert cover.crop is not None
    left, top, right, bottom = to_pixels(cover.crop, (pixels.shape[1], pixels.shape[0]))
    left, top = min(left, pixels.shape[1] - 1), min(top, pixels.shape[0] - 1)
    part = pixels[top : max(bottom, top + 1), left : max(right, left + 1)]
    small = cv2.resize(part, (GRID, GRID), interpolation=cv2.INTER_AREA).astype(np.float32) / np.float32(255)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2Lab), np.float32)


def difference(first: Content, second: Content) -> float:
    """Mean over the cells of their distance in L*a*b* (CIE76): 100 is black to white."""
    return float(np.linalg.norm(first - second, axis=2).mean())


def choose(candidates: Iterable[Candidate], count: int) -> list[Choice]:
    """The best covers, diverse in content; the same for the same candidates in the same order.

    The best score comes first; then, again and again, the best one of those that differ from every chosen one by at
    least ``DISTINCT``. Where fewer than ``count`` do, half that distance is enough for the rest, and so on.

    Returns:
        At most ``count``, in the order in which they were chosen.
    """
    left = [_Left(candidate) for candidate in sorted(candidates, key=lambda candidate: -candidate.score)]
    chosen: list[Choice] = []
    distance = DISTINCT
    while left and len(chosen) < count:
        _choose_apart(left, chosen, count, distance)
        distance = distance / 2 if distance > NEGLIGIBLE else 0.0
    return chosen


@dataclass(slots=True, eq=False)
class _Left:
    """A candidate that is not chosen, and how near it is to those that are: each of them is compared with once."""

    candidate: Candidate
    nearest: float = float("inf")
    compared: int = 0

    def keeps(self, distance: float, chosen: Sequence[Choice]) -> bool:
        while self.compared < len(chosen) and self.nearest >= distance:
            other = chosen[self.compared].candidate
            self.nearest = min(self.nearest, difference(self.candidate.content, other.content))
            self.compared += 1
        return self.nearest >= distance


def _choose_apart(left: list[_Left], chosen: list[Choice], count: int, distance: float) -> None:
    """Move from ``left`` to ``chosen`` what keeps that distance from all that is chosen."""
    for one in list(left):
        if len(chosen) == count:
            return
        if one.keeps(distance, chosen):
            chosen.append(Choice(one.candidate, distinct=distance == DISTINCT))
            left.remove(one)
