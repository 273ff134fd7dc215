"""Undistorted pictures that a proxy set begins with: cuts out of sharp photographs, at their own resolution."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from runtime.decode import Pixels
from runtime.errors import ConfigError
from runtime.opencv import cv2
from training.cover.halving import halved, halvings
from training.data.picture import find_pictures, picture_size, read_picture

LEAST_SIDE = 128
"""Pixels; what is smaller shows too little to be judged, and no tile of the full-reference network fits in."""
NAMED = 5
"""Of the pictures that are too small, in the error."""
CANDIDATES = 4
"""How many places are looked at for each cut that is taken."""


@dataclass(frozen=True, slots=True)
class Photograph:
    """A picture to cut references out of."""

    path: Path
    name: str
    """Of its folder and below: the content that all cuts of it share."""
    sha256: str


def find_photographs(folders: Sequence[Path], limit: int | None, seed: int) -> list[Photograph]:
    """Every picture of the folders, each content once, by name; at most ``limit`` of a folder, chosen by the seed.

    Raises:
        ConfigError: a folder has no picture, one cannot be read, or some are smaller than a reference may be; or two
            folders have one name, by which their photographs would be taken for each other.
    """
    names = [folder.resolve().name for folder in folders]
    if len(set(names)) < len(names):
        raise ConfigError(
            f"--pictures: two folders are called alike ({', '.join(names)}), and a photograph goes by its folder's "
            "name: rename one, or give their common folder"
        )
    found: dict[str, Photograph] = {}
    small: list[str] = []
    for folder in folders:
        paths = find_pictures(folder)
        if limit is not None and len(paths) > limit:
            paths = sorted(sorted(paths, key=lambda path: _place(path.relative_to(folder), seed))[:limit])
        for path in paths:
            height, width = picture_size(path)
            if min(height, width) < LEAST_SIDE:
                small.append(f"{path} ({width} x {height})")
                continue
            sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
            name = _utf8(path, f"{folder.resolve().name}/{path.relative_to(folder).as_posix()}")
            found.setdefault(sha256, Photograph(path, name, sha256))
    if small:
        named = ", ".join(small[:NAMED]) + (", ..." if len(small) > NAMED else "")
        raise ConfigError(
            f"--pictures: {len(small)} smaller than {LEAST_SIDE} x {LEAST_SIDE} pixels, the least: take out {named}"
        )
    return list(found.values())


def _utf8(path: Path, name: str) -> str:
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise ConfigError(
            f"{str(path)!r}: a name that is not UTF-8 cannot stand in a set's table: rename it"
        ) from error
    return name


def cuts(photograph: Photograph, size: tuple[int, int], count: int, seed: int) -> list[Pixels]:
    """Parts of a photograph, (height, width, 3) uint8 RGB, new pixels: the most detailed of those that were looked at.

    Large photographs are halved first (``training.cover.halving``): at full size most are soft at the pixel. A part
    without detail, such as sky or what is out of focus, would be called undistorted where nobody could tell.

    Args:
        photograph: to be cut.
        size: (height, width) of a part, turned for an upright photograph; a smaller photograph is taken whole along
            that side.
        count: at most so many, fewer where the photograph has room for fewer.
        seed: of the places.
    """
    pixels = read_picture(photograph.path)
    pixels = halved(pixels, halvings(*pixels.shape[:2]))
    tall, wide = (min(own, asked) for own, asked in zip(pixels.shape[:2], _turned(size, pixels), strict=True))
    room = max(1, int(pixels.shape[0] * pixels.shape[1] / (tall * wide)))
    rng = np.random.Generator(np.random.PCG64([seed, int(photograph.sha256[:12], 16)]))
    places = _places(pixels.shape[:2], (tall, wide), CANDIDATES * count, rng)
    places.sort(key=lambda place: _detail(pixels[place[0] : place[0] + tall, place[1] : place[1] + wide]), reverse=True)
    taken: list[tuple[int, int]] = []
    for place in places:
        if len(taken) < min(count, room) and all(_apart(place, other, (tall, wide)) for other in taken):
            taken.append(place)
    return [np.ascontiguousarray(pixels[top : top + tall, left : left + wide]) for top, left in taken]


def _turned(size: tuple[int, int], pixels: Pixels) -> tuple[int, int]:
    upright = pixels.shape[0] > pixels.shape[1]
    return (max(size), min(size)) if upright else size


def _places(
    whole: tuple[int, ...], part: tuple[int, int], count: int, rng: np.random.Generator
) -> list[tuple[int, int]]:
    tops = rng.integers(whole[0] - part[0] + 1, size=count)
    lefts = rng.integers(whole[1] - part[1] + 1, size=count)
    return [(int(top), int(left)) for top, left in zip(tops, lefts, strict=True)]


def _detail(part: Pixels) -> float:
    """Mean steepness of the luminance, after the noise of single pixels is taken off."""
    grey = cv2.GaussianBlur(cv2.cvtColor(part, cv2.COLOR_RGB2GRAY), (0, 0), 0.8).astype(np.int16)
    return float(np.abs(np.diff(grey, axis=0)).mean() + np.abs(np.diff(grey, axis=1)).mean())


def _apart(place: tuple[int, int], other: tuple[int, int], size: tuple[int, int]) -> bool:
    """At most half of the sides is shared."""
    return any(abs(one - two) >= side / 2 for one, two, side in zip(place, other, size, strict=True))


def _place(name: Path, seed: int) -> bytes:
    return hashlib.sha256(f"{seed}:{name.as_posix()}".encode(errors="replace")).digest()
