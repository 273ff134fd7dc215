"""Frames of a video file, taken evenly."""

import itertools
import math
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from runtime.errors import ConfigError
from runtime.opencv import cv2
from runtime.pictures import printable

WHOLE = 0.9
"""The share of the frames that a container counts which must be there; containers estimate."""
TICK_S = 1e-4
"""A frame that comes so little before a period's beginning comes at it: containers count in ticks of their own."""


class VideoFrame(NamedTuple):
    """One frame: its number from 0, its time from the first, and its pixels, uint8 (height, width, 3), RGB."""

    number: int
    time_s: float
    pixels: NDArray[np.uint8]


class Video:
    """A video file that can be read from its beginning as often as wanted.

    Frames have the times that the container tells, also where their rate varies. One that is told no later time than
    the frame before it comes one period of the frame rate later.

    Raises:
        ConfigError: OpenCV cannot open it, its name is not UTF-8, or it tells no frame rate.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        capture = self._open()
        self.fps = float(capture.get(cv2.CAP_PROP_FPS))
        self.count = max(0, int(capture.get(cv2.CAP_PROP_FRAME_COUNT)))
        """Frames, as the container tells; 0 where it does not."""
        capture.release()
        if not 0 < self.fps < float("inf"):
            raise ConfigError(f"{path}: tells no frame rate: convert it to another container, or extract its frames")

    def sample(self, every_s: float) -> Iterator[VideoFrame]:
        """The first frame of each ``every_s`` seconds.

        Raises:
            ConfigError: not one frame can be read, one is damaged, or the file breaks off early.
        """
        last = -1

        def begins(_: int, time_s: float) -> bool:
            nonlocal last
            before, last = last, int((time_s + TICK_S) / every_s)
            return last > before

        return self._read(begins)

    def every_frame(self) -> Iterator[VideoFrame]:
        """Each frame.

        Raises:
            ConfigError: as ``sample``.
        """
        return self._read(lambda *_: True)

    def samples(self, every_s: float) -> int | None:
        """About how many frames ``sample`` gives; None where the container does not count them."""
        return min(self.count, math.ceil(self.count / self.fps / every_s)) or None

    def frames(self, numbers: Collection[int]) -> Iterator[VideoFrame]:
        """Those frames, in the video's order. It is read from its beginning: not every codec can be sought exactly.

        Raises:
            ConfigError: one of them is not there, or damaged.
        """
        left = set(numbers)
        if left:
            for frame in self._read(lambda number, _: number in left):
                left.discard(frame.number)
                yield frame
                if not left:
                    return
            raise ConfigError(f"{self.path}: frame {min(left)} is not there any more: changed while it was assessed?")

    def _read(self, wanted: Callable[[int, float], bool]) -> Iterator[VideoFrame]:
        capture = self._open()
        number = 0
        try:
            for number, time_s in enumerate(self._times(capture), 1):
                if wanted(number - 1, time_s):
                    readable, pixels = capture.retrieve()
                    if not readable:
                        raise ConfigError(f"{self.path}: frame {number - 1}, at {time_s:.2f} s, cannot be decoded")
                    yield VideoFrame(number - 1, time_s, np.asarray(pixels[:, :, ::-1], np.uint8))
        finally:
            capture.release()
        if number == 0:
            raise ConfigError(f"{self.path}: not one frame can be read: is it a video in a format that OpenCV knows?")
        if number < WHOLE * self.count:
            raise ConfigError(f"{self.path}: breaks off after {number} of about {self.count} frames")

    def _times(self, capture: cv2.VideoCapture) -> Iterator[float]:
        """Grab the frames, one by one."""
        first = time_s = 0.0
        for number in itertools.count():
            if not capture.grab():
                return
            told_s = float(capture.get(cv2.CAP_PROP_POS_MSEC)) / 1000
            if number == 0:
                first = told_s
            else:
                time_s = told_s - first if told_s - first > time_s else time_s + 1 / self.fps
            yield time_s

    def _open(self) -> cv2.VideoCapture:
        name = str(self.path)
        if printable(self.path) != name:  # OpenCV's binding ends the process
            raise ConfigError(f"{printable(self.path)}: OpenCV opens no video whose name is not UTF-8: rename it")
        capture = cv2.VideoCapture(name)
        if not capture.isOpened():
            raise ConfigError(f"{self.path}: neither a picture's name nor a video that OpenCV can open")
        return capture
