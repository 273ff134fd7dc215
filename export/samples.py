"""Real pictures as samples of an engine's input, through the runtime's own decoder and preprocessing."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.damage import COPIES, LIVE_DAMAGE
from runtime.decode import Decoder
from runtime.errors import ConfigError, FrameError
from runtime.manifest import Input
from runtime.preprocess import Preprocessor

MAX_PIXELS = 100_000_000
SUFFIXES = {".jpg", ".jpeg", ".png"}


def load_samples(paths: Sequence[Path], spec: Input, *, damaged: bool = False) -> NDArray[Any]:
    """Samples of pictures, in the order of the paths, as serving would make them.

    Args:
        paths: pictures, and folders that are searched with their subfolders.
        spec: the input.
        damaged: after each picture come its copies: JPEG quality 10 and 5, blurred, dark.

    Returns:
        (n, *spec.shape) of the input's dtype, n > 0.

    Raises:
        ConfigError: there are no pictures, or one of them cannot be read.
    """
    found = find_pictures(paths)
    decoder, preprocessor = Decoder(MAX_PIXELS), Preprocessor(spec)
    copies = 1 + (len(LIVE_DAMAGE) if damaged else 0)
    samples = preprocessor.batch(len(found) * copies)
    slots = iter(samples)
    for path in found:
        for encoded in _encoded(path, decoder, damaged):
            preprocessor.fill(_pixels(decoder, encoded, path, preprocessor.least), next(slots))
    return samples


def draw_samples(samples: NDArray[Any], count: int) -> NDArray[Any]:
    """At most ``count`` of them, in their order, drawn from all: each n-th may be the same kind of copy."""
    return samples[np.sort(np.random.default_rng(0).permutation(len(samples))[:count])]


def find_pictures(paths: Sequence[Path]) -> list[Path]:
    """The files among the paths, and the pictures in the folders, sorted folder by folder, each file once.

    Raises:
        ConfigError: a path does not exist, or there are no pictures.
    """
    found: list[Path] = []
    for path in paths:
        if not path.exists():
            raise ConfigError(f"--pictures {path}: there is no such file or folder")
        found += [path] if path.is_file() else pictures_in(path)
    found = list({path.resolve(): path for path in reversed(found)}.values())[::-1]
    if not found:
        where = ", ".join(map(str, paths)) or "nothing given"
        raise ConfigError(f"--pictures: no pictures ({', '.join(sorted(SUFFIXES))}) in {where}")
    return found


def pictures_in(folder: Path) -> list[Path]:
    """The pictures in a folder and its subfolders, sorted."""
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())


def _encoded(path: Path, decoder: Decoder, damaged: bool) -> Iterator[bytes]:
    whole = path.read_bytes()
    yield whole
    if damaged:
        pixels = _pixels(decoder, whole, path, None).copy()  # decoding a copy overwrites the decoder's scratch
        yield from (COPIES[name](pixels) for name in LIVE_DAMAGE)


def _pixels(decoder: Decoder, encoded: bytes, path: Path, least: tuple[int, int] | None) -> NDArray[np.uint8]:
    try:
        return decoder.decode(encoded, least).pixels
    except FrameError as error:
        raise ConfigError(f"--pictures {path}: {error}; leave it out") from error
