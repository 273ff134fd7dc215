"""Frames to publish: from a video file, a camera, or pictures on a disk."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray

from stream.errors import StreamError

PICTURES = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"}
AS_THEY_ARE = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")
"""How the files begin that are published byte for byte: what the gateway reads."""
QUALITY = 90


class FootageError(StreamError):
    """What should be published is not there or cannot be read: the operator's fault."""

    exit_code = 2


class Shot(NamedTuple):
    """One frame, encoded; ``name`` is its file, or its number in the video."""

    name: str
    value: bytes


@dataclass(frozen=True)
class Footage:
    """A run of frames, from the first to the last, as often as ``shots`` is called.

    Args:
        name: what to call its stream, unless the user says otherwise.
        shots: yields one run.
        count: how many frames a run has, as far as its container tells; None if it is without end.
        fps: its own rate in frames per second; None if it has none.
        live: a camera, whose frames come when they come.
    """

    name: str
    shots: Callable[[], Iterator[Shot]]
    count: int | None = None
    fps: float | None = None
    live: bool = False


def open_footage(source: str, quality: int | None) -> Footage:
    """Find out what ``source`` is: a folder, a picture, a video file, a camera's URL or a device number.

    Args:
        source: as the user gave it.
        quality: JPEG quality to encode with, 1 to 100; None leaves JPEG and PNG files as they are.

    Raises:
        FootageError: it is not there, or nothing can be read from it.
    """
    if "://" in source or source.isdecimal():
        return _camera(source, quality or QUALITY)
    path = Path(source)
    if path.is_dir():
        files = sorted((file for file in path.iterdir() if file.suffix.lower() in PICTURES), key=_natural)
        if not files:
            raise FootageError(f"{path}: no picture in this folder (looked for {', '.join(sorted(PICTURES))})")
        return _pictures(path.resolve().name, files, quality)
    if not path.is_file():
        raise FootageError(f"{path}: no such file or folder")
    if path.suffix.lower() in PICTURES:
        return _pictures(path.stem, [path], quality)
    return _video(path, quality or QUALITY)


def _pictures(name: str, files: list[Path], quality: int | None) -> Footage:
    return Footage(name, lambda: (Shot(file.name, _read(file, quality)) for file in files), count=len(files))


def _video(path: Path, quality: int) -> Footage:
    capture = _open(str(path), str(path))
    fps, count = capture.get(cv2.CAP_PROP_FPS), int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    readable, _ = capture.read()
    capture.release()
    if not readable:
        raise FootageError(f"{path}: not one frame can be read: is it a video in a format that OpenCV knows?")
    return Footage(
        path.stem,
        lambda: _whole(_frames(_open(str(path), str(path)), quality), count, path),
        count=count if count > 0 else None,
        fps=fps if fps > 0 else None,
    )


def _camera(source: str, quality: int) -> Footage:
    shown = without_password(source)
    device: str | int = int(source) if source.isdecimal() else source
    name = f"camera-{source}" if source.isdecimal() else urlsplit(source).hostname or "camera"
    capture = _open(device, shown)
    return Footage(name, lambda: _until_lost(_frames(capture, quality), shown), live=True)


def _until_lost(shots: Iterable[Shot], shown: str) -> Iterator[Shot]:
    yield from shots
    raise StreamError(f"{shown}: the camera sends no more frames")


def _whole(shots: Iterable[Shot], count: int, path: Path) -> Iterator[Shot]:
    seen = 0
    for shot in shots:
        yield shot
        seen += 1
    if seen < 0.9 * count:  # containers estimate
        raise FootageError(f"{path}: breaks off after {seen} of about {count} frames")


def _open(source: str | int, shown: str) -> cv2.VideoCapture:
    try:
        str(source).encode()
    except UnicodeEncodeError as error:  # OpenCV's binding would end the process
        shown = shown.encode(errors="replace").decode()
        raise FootageError(f"{shown}: OpenCV opens no video whose name is not UTF-8: rename it") from error
    capture = cv2.VideoCapture(source)
    if not capture.isOpened():
        raise FootageError(f"{shown}: cannot be opened: is it a video or a camera that OpenCV knows, and free to read?")
    return capture


def _frames(capture: cv2.VideoCapture, quality: int) -> Iterator[Shot]:
    number = 0
    try:
        while True:
            readable, pixels = capture.read()
            if not readable:
                return
            yield Shot(f"{number:06d}", _jpeg(pixels, quality))
            number += 1
    finally:
        capture.release()


def _read(path: Path, quality: int | None) -> bytes:
    try:
        value = path.read_bytes()
    except OSError as error:
        raise FootageError(f"{path}: cannot read it: {error.strerror}") from error
    if quality is None and value.startswith(AS_THEY_ARE):
        return value
    pixels = cv2.imdecode(np.frombuffer(value, np.uint8), cv2.IMREAD_COLOR) if value else None
    if pixels is None:
        raise FootageError(f"{path}: not a picture that OpenCV knows, so it cannot be made a JPEG")
    return _jpeg(pixels, quality or QUALITY)


def _jpeg(pixels: "cv2.typing.MatLike", quality: int) -> bytes:
    bgr: NDArray[np.uint8] = np.ascontiguousarray(pixels, np.uint8)
    return bytes(simplejpeg.encode_jpeg(bgr, quality=quality, colorspace="BGR", colorsubsampling="420"))


def _natural(path: Path) -> list[tuple[int, str]]:
    """Sorts ``frame-9`` before ``frame-10``."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", path.name)]


def without_password(source: str) -> str:
    """A camera's URL as it may be shown."""
    return re.sub(r"//[^/@]*@", "//", source)
