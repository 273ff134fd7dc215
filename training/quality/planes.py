"""Luminance of pictures, as full-reference networks see it, kept in memory where there is room."""

from pathlib import Path
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from runtime.decode import Pixels
from runtime.opencv import cv2
from training.data.picture import read_picture
from training.models.full_reference import LUMINANCE

Plane = NDArray[np.uint16]
STEPS = 256
"""Of a level of 255. Whole levels would add to every pixel a noise as of a mild distortion."""
WHITE = 255 * STEPS


def luminance_plane(pixels: Pixels) -> Plane:
    """(height, width, 3) uint8 RGB -> (height, width): 0 for black, ``WHITE`` for white; to 1/512 of a level."""
    levels = cv2.transform(pixels.astype(np.float32), np.array([LUMINANCE], np.float32) * STEPS)
    found: Plane = np.rint(levels).astype(np.uint16)
    return found


class Planes:
    """Reads pictures' luminance. For any number of threads.

    What came first is kept, up to so many bytes; the rest is read anew each time. In an order that is shuffled each
    epoch, to forget the oldest would be to forget nearly all before it comes again.
    """

    def __init__(self, room_bytes: int) -> None:
        self._kept: dict[Path, Plane] = {}
        self._room_bytes, self._lock = room_bytes, Lock()

    def of(self, path: Path) -> Plane:
        """A picture's, not to be changed.

        Raises:
            PictureError: it cannot be read.
        """
        known = self._kept.get(path)
        if known is not None:
            return known
        plane = luminance_plane(read_picture(path))
        with self._lock:
            if path not in self._kept and plane.nbytes <= self._room_bytes:
                self._room_bytes -= plane.nbytes
                self._kept[path] = plane
        return plane
