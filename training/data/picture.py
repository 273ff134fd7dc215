"""Pictures on disk, read as the gateway would read them."""

import os
from pathlib import Path

import numpy as np

from runtime.decode import Decoder, Pixels
from runtime.errors import ConfigError, FrameError, Reason
from runtime.foreign import decode_foreign, is_foreign
from runtime.header import read_header
from runtime.opencv import cv2

ENDINGS = {".jpg", ".jpeg", ".png", ".webp", ".bmp"}
"""Lower-case endings of files that count as pictures; what is inside decides how they are read."""

_HEADER_BYTES = 65_536
"""Holds nearly every header; a larger one (a big colour profile) costs a second read."""

_DECODER = Decoder()


class PictureError(ConfigError):
    """A file is not a picture that can be read. The text names the file and its fault."""


def find_pictures(root: Path) -> list[Path]:
    """Every picture below a folder, by its ending, sorted; hidden files and folders are left out.

    Raises:
        ConfigError: no such folder, a folder below it that cannot be read, or no picture in it.
    """
    if not root.is_dir():
        raise ConfigError(f"{root} is not a folder: give the folder that holds the pictures")
    found: list[Path] = []
    for folder, below, names in os.walk(root, onerror=_refuse, followlinks=True):
        below[:] = [name for name in below if not name.startswith(".")]
        found += (Path(folder, name) for name in names if not name.startswith(".") and _ending(name) in ENDINGS)
    if not found:
        raise ConfigError(f"there is no picture ({', '.join(sorted(ENDINGS))}) in {root} or below it")
    return sorted(found, key=lambda path: path.relative_to(root).as_posix())


def read_picture(path: Path, *, side: int | None = None) -> Pixels:
    """The picture in a file: (height, width, 3) uint8 RGB, C-contiguous, upright, the caller's own.

    Takes what the gateway takes, whatever the file's ending says, and WebP and BMP besides.

    Args:
        path: the file.
        side: in pixels; a picture whose shorter side is longer is shrunk to it, see ``shrink``. None: as it is.

    Raises:
        PictureError: the file cannot be read, or is no whole picture.
    """
    return decode_picture(_content(path), path, side=side)


def decode_picture(content: bytes, path: Path, *, side: int | None = None) -> Pixels:
    """``read_picture`` for bytes that were read already; ``path`` is what errors name."""
    try:
        # The copy is out of the decoder's scratch.
        pixels = decode_foreign(content) if is_foreign(content) else _DECODER.decode(content).pixels.copy()
    except FrameError as error:
        raise _error(path, error) from error
    return pixels if side is None else shrink(pixels, side)


def shrink(pixels: Pixels, side: int) -> Pixels:
    """The picture, its shorter side ``side`` pixels long (area average); as it is if that is no longer already."""
    if side < 1:
        raise ConfigError(f"a picture's side is {side} pixels; 1 is the least")
    height, width = pixels.shape[:2]
    shorter = min(height, width)
    if shorter <= side:
        return pixels
    size = (round(width * side / shorter), round(height * side / shorter))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)


def picture_size(path: Path) -> tuple[int, int]:
    """Height and width in pixels, upright; a JPEG's or PNG's from its header alone.

    Raises:
        PictureError: as ``read_picture``, as far as the header tells.
    """
    content = _content(path, _HEADER_BYTES)
    if is_foreign(content):
        height, width = read_picture(path).shape[:2]
        return height, width
    try:
        return read_header(content).upright_size
    except FrameError as error:
        if error.reason is not Reason.TRUNCATED or len(content) < _HEADER_BYTES:
            raise _error(path, error) from error
    try:
        return read_header(_content(path)).upright_size
    except FrameError as error:
        raise _error(path, error) from error


def _refuse(error: OSError) -> None:
    raise ConfigError(f"{error.filename} cannot be read: {error.strerror}") from error


def _ending(name: str) -> str:
    return os.path.splitext(name)[1].lower()


def _content(path: Path, size: int = -1) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(size)
    except OSError as error:
        raise PictureError(f"{path} cannot be read: {error.strerror}") from error


def _error(path: Path, error: FrameError) -> PictureError:
    fault = error.detail.replace("; send JPEG or PNG", "; JPEG, PNG, WebP and BMP are read")
    return PictureError(f"{path} cannot be used: {fault}. Replace it, or take it out")
