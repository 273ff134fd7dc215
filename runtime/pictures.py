"""The pictures that ``assess`` is given, files and what lies in folders; and the files that it writes."""

from collections.abc import Iterable
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

VIDEOS = {".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm", ".wmv"}
"""What a folder is searched for as well, where videos are wanted."""


class Found(NamedTuple):
    """A picture's file; ``name`` is its path below the folder that was searched, or its own name."""

    path: Path
    name: Path


class Search(NamedTuple):
    """What was found, each file once, and how many were left out."""

    found: list[Found]
    again: int
    """Given or found a second time, under whatever name."""
    own: int
    """Below the folder that results go to."""


def find_pictures(paths: Iterable[Path], *, videos: bool = False, own: Path | None = None) -> Search:
    """Every file given, and the pictures below every folder given, sorted by name.

    Args:
        paths: files and folders.
        videos: folders are searched for videos, too.
        own: the folder that results go to. Where a folder that holds it is searched, what lies in it is left out: it
            is of an earlier run.

    Raises:
        ConfigError: a path does not exist, or a folder holds no picture.
    """
    found: dict[Path, Found] = {}
    seen = left_out = 0
    for path in paths:
        if path.is_file():
            files = [Found(path, Path(path.name))]
        elif path.is_dir():
            files = [
                Found(file, file.relative_to(path)) for file in _below(path, PICTURES | VIDEOS if videos else PICTURES)
            ]
            fresh = [each for each in files if not _results(own, path, each.path)]
            left_out += len(files) - len(fresh)
            if not fresh:
                raise ConfigError(f"{path}: no picture in this folder but those in {own}, where the results go")
            files = fresh
        else:
            raise ConfigError(f"{path}: no such file or folder")
        seen += len(files)
        for each in files:
            found.setdefault(each.path.resolve(), each)
    return Search(list(found.values()), seen - len(found), left_out)


def _below(folder: Path, suffixes: set[str]) -> list[Path]:
    found = sorted(file for file in folder.rglob("*") if file.is_file() and file.suffix.lower() in suffixes)
    if not found:
        raise ConfigError(f"{folder}: no picture in this folder (looked for {', '.join(sorted(suffixes))})")
    return found


def _results(own: Path | None, searched: Path, file: Path) -> bool:
    """Whether it lies in the folder of results, which lies below the folder that is searched."""
    if own is None or searched.resolve() not in own.resolve().parents:
        return False
    return file.resolve().is_relative_to(own.resolve())


def is_picture(path: Path) -> bool:
    """Whether the name is a picture's."""
    return path.suffix.lower() in PICTURES


def is_video(path: Path) -> bool:
    """Whether the name is a video's."""
    return path.suffix.lower() in VIDEOS


def read_bytes(path: Path) -> bytes:
    """A picture's encoded bytes.

    Raises:
        ConfigError: the file cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: cannot read it: {error.strerror}") from error


def write_bytes(path: Path, value: bytes, asked_by: str) -> None:
    """Write a file of results, and make its folder where there is none.

    Args:
        path: where.
        value: what.
        asked_by: the flag, for the error's text.

    Raises:
        ConfigError: the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(value)
    except OSError as error:
        raise ConfigError(f"{asked_by}: {path}: cannot write it: {error.strerror}") from error


def printable(path: Path) -> str:
    """The path as it can be printed: a name on disk need not be UTF-8."""
    return str(path).encode(errors="replace").decode()
