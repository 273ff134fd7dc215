"""A maker of real video files."""

from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray


def write_film(path: Path, frames: Iterable[NDArray[np.uint8]], fps: float) -> Path:
    """Write frames, RGB and of one size, as Motion JPEG (an ``.avi``)."""
    frames = list(frames)
    height, width = frames[0].shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), fps, (width, height))
    assert writer.isOpened(), f"this OpenCV writes no {path}"
    for frame in frames:
        writer.write(np.ascontiguousarray(frame[:, :, ::-1]))
    writer.release()
    return path
