"""A video and its reference, frame by frame."""

import itertools
from collections.abc import Iterator
from typing import NamedTuple

from runtime.errors import ConfigError
from runtime.full_reference import PixelPair
from runtime.tiles import Size
from runtime.video import TICK_S, Video


class FramePair(NamedTuple):
    """The frames of one number, from 0; its time in seconds from the first, as the judged video tells it."""

    number: int
    time_s: float
    pixels: PixelPair


class VideoPair:
    """Two videos, whose frames of one number belong together.

    Args:
        frame: what is judged.
        reference: what it is held against.
        tile: height and width that a frame must have at least, in pixels.
    """

    def __init__(self, frame: Video, reference: Video, tile: Size) -> None:
        self._frame, self._reference = frame, reference
        self._tile = tile
        self.counts = (0, 0)
        """How many frames the video and its reference have, once ``sample`` has come to its end."""

    def sample(self, every_s: float | None) -> Iterator[FramePair]:
        """The frames up to the end of the shorter video.

        Args:
            every_s: one frame, the first, of so many seconds; None: each.

        Raises:
            ConfigError: the videos' frames are not of one size, or smaller than a tile; or as ``Video.sample``.
        """
        period = -1
        videos = (self._frame.every_frame(), self._reference.every_frame())
        for one, other in itertools.zip_longest(*videos):
            self.counts = (self.counts[0] + (one is not None), self.counts[1] + (other is not None))
            if one is None or other is None:
                continue  # only counted
            if one.number == 0:
                self._require_sizes(one.pixels.shape[:2], other.pixels.shape[:2])
            before, period = period, one.number if every_s is None else int((one.time_s + TICK_S) / every_s)
            if period > before:
                yield FramePair(one.number, one.time_s, PixelPair(one.pixels, other.pixels))

    def _require_sizes(self, size: tuple[int, ...], other: tuple[int, ...]) -> None:
        if size != other:
            raise ConfigError(
                f"{self._frame.path}: frames of {size[1]} x {size[0]} pixels, and those of its reference "
                f"{self._reference.path} are {other[1]} x {other[0]}: give the reference at the video's size"
            )
        if size[0] < self._tile[0] or size[1] < self._tile[1]:
            raise ConfigError(
                f"{self._frame.path}: frames of {size[1]} x {size[0]} pixels; the engine compares tiles of "
                f"{self._tile[1]} x {self._tile[0]}, and a frame that is enlarged would be another one"
            )
