"""Frames of a video file, taken evenly."""

from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from runtime.errors import ConfigError
from runtime.opencv import cv2

WHOLE = 0.9
"""The share of the frames that a container counts which must be there; containers estimate."""


class VideoFrame(NamedTuple):
    """One frame: its number from 0, its time from the beginning, and its pixels, uint8 (height, width, 3), RGB."""

    number: int
    time_s: float
    pixels: NDArray[np.uint8]


class Video:
    """A video file that can be read from its beginning as often as wanted.

    Raises:
        ConfigError: OpenCV cannot open it, or it tells no frame rate.
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
            ConfigError: not one frame can be read, or the file breaks off early.
        """

        def begins(number: int) -> bool:
            period = self.fps * every_s
            return number == 0 or int(number / period) > int((number - 1) / period)

        return self._read(begins)

    def frames(self, numbers: Collection[int]) -> Iterator[VideoFrame]:
        """Those frames, in the video's order. It is read from its beginning: not every codec can be sought exactly.

        Raises:
            ConfigError: one of them is not there.
        """
        left = set(numbers)
        if left:
            for frame in self._read(left.__contains__):
                left.discard(frame.number)
                yield frame
                if not left:
                    return

    def _read(self, wanted: Callable[[int], bool]) -> Iterator[VideoFrame]:
        capture = self._open()
        number = 0
        try:
            while capture.grab():
                if wanted(number):
                    readable, pixels = capture.retrieve()
                    if not readable:
                        break
                    yield VideoFrame(number, number / self.fps, np.asarray(pixels[:, :, ::-1], np.uint8))
                number += 1
        finally:
            capture.release()
        if number == 0:
            raise ConfigError(f"{self.path}: not one frame can be read: is it a video in a format that OpenCV knows?")
        if number < WHOLE * self.count:
            raise ConfigError(f"{self.path}: breaks off after {number} of about {self.count} frames")

    def _open(self) -> cv2.VideoCapture:
        capture = cv2.VideoCapture(str(self.path))
        if not capture.isOpened():
            raise ConfigError(f"{self.path}: neither a picture's name nor a video that OpenCV can open")
        return capture
