"""The pictures that ``assess`` is given: files, and what lies in folders."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from runtime.errors import ConfigError

PICTURES = {
    ".jpg",
    ".jpeg",
    ".png",
    ".gif",
    ".webp",
    ".bmp",
    ".tif",
    ".tiff",
    ".avif",
    ".heic",
    ".jp2",
    ".jxl",
}
"""What a folder is searched for. Some of these become dead letters: better told than left out in silence."""


class Found(NamedTuple):
    """A picture's file; ``name`` is its path below the folder that was searched, or its own name."""

    path: Path
    name: Path


def find_pictures(paths: Iterable[Path]) -> Iterator[Found]:
    """Every file given, and the pictures below every folder given, sorted by name.

    Raises:
        ConfigError: a path does not exist, or a folder holds no picture.
    """
    for path in paths:
        if path.is_file():
            yield Found(path, Path(path.name))
        elif path.is_dir():
            found = sorted(file for file in path.rglob("*") if file.is_file() and is_picture(file))
            if not found:
                raise ConfigError(f"{path}: no picture in this folder (looked for {', '.join(sorted(PICTURES))})")
            yield from (Found(file, file.relative_to(path)) for file in found)
        else:
            raise ConfigError(f"{path}: no such file or folder")


def is_picture(path: Path) -> bool:
    """Whether the name is a picture's."""
    return path.suffix.lower() in PICTURES


def read_bytes(path: Path) -> bytes:
    """A picture's encoded bytes.

    Raises:
        ConfigError: the file cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: cannot read it: {error.strerror}") from error


def printable(path: Path) -> str:
    """The path as it can be printed: a name on disk need not be UTF-8."""
    return str(path).encode(errors="replace").decode()
