"""A maker of real video files."""

import struct
from collections.abc import Iterable, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray


def write_film(path: Path, frames: Iterable[NDArray[np.uint8]], fps: float) -> Path:
    """Write frames, RGB and of one size, as Motion JPEG (an ``.avi``) or MPEG-4 (an ``.mp4``)."""
    frames = list(frames)
    height, width = frames[0].shape[:2]
    codec = cv2.VideoWriter.fourcc(*("mp4v" if path.suffix == ".mp4" else "MJPG"))
    writer = cv2.VideoWriter(str(path), codec, fps, (width, height))
    assert writer.isOpened(), f"this OpenCV writes no {path}"
    for frame in frames:
        writer.write(np.ascontiguousarray(frame[:, :, ::-1]))
    writer.release()
    return path


def with_durations(value: bytes, durations: Sequence[float]) -> bytes:
    """That ``.mp4`` with another duration for each frame, in its own frames: ISO/IEC 14496-12, ``stts``.

    The media data come first in what OpenCV writes, so the boxes around the table may grow.
    """
    at = value.index(b"stts") - 4
    size, tick = struct.unpack_from(">I16xI", value, at)
    entries = b"".join(struct.pack(">II", 1, round(duration * tick)) for duration in durations)
    table = struct.pack(">I4sII", 16 + len(entries), b"stts", 0, len(entries) // 8) + entries
    grown = bytearray(value[:at] + table + value[at + size :])
    for kind in (b"moov", b"trak", b"mdia", b"minf", b"stbl"):
        box = grown.index(kind, grown.index(b"moov")) - 4
        struct.pack_into(">I", grown, box, struct.unpack_from(">I", grown, box)[0] + len(table) - size)
    shown = grown.index(b"elst") + 12  # how much of the track a player shows
    struct.pack_into(
        ">I", grown, shown, round(struct.unpack_from(">I", grown, shown)[0] * sum(durations) / len(durations))
    )
    return bytes(grown)
