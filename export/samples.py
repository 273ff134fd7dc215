"""Real pictures as samples of an engine's inputs, through the runtime's own decoder and preprocessing.

An engine that compares is shown each picture beside copies of it: the picture is the reference, a copy what is judged.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.damage import COPIES, LIVE_DAMAGE
from runtime.decode import Decoder, Picture
from runtime.errors import ConfigError, FrameError
from runtime.manifest import Input
from runtime.preprocess import Preprocessor, Size, common_least
from runtime.tiles import tile_corners

MAX_PIXELS = 100_000_000
SUFFIXES = {".jpg", ".jpeg", ".png"}
TILES = 4
"""Of each copy that an engine of tiles is shown: serving pools all, and no picture differs by more than its tiles."""


@dataclass(frozen=True, eq=False)
class Samples:
    """Pictures as a network takes them: by input's name (n, ...), and sample i of every input is of picture i."""

    inputs: Mapping[str, NDArray[Any]]

    def __len__(self) -> int:
        return len(next(iter(self.inputs.values())))

    def __getitem__(self, chosen: "slice | NDArray[np.integer[Any]]") -> "Samples":
        """Some of them, by a slice or by their numbers."""
        return Samples({name: values[chosen] for name, values in self.inputs.items()})

    def batches(self, size: int) -> "Iterator[Samples]":
        """All of them, ``size`` at a time, the last ones fewer."""
        return (self[start : start + size] for start in range(0, len(self), size))


def load_samples(paths: Sequence[Path], specs: Sequence[Input], *, damaged: bool = False) -> Samples:
    """Samples of pictures, in the order of the paths, as serving would make them.

    Args:
        paths: pictures, and folders that are searched with their subfolders.
        specs: the inputs.
        damaged: after each picture come its copies: JPEG quality 10 and 5, blurred, dark. Inputs of tiles show each
            picture beside those copies, and one of JPEG quality 95, whatever is asked for here.

    Returns:
        for each input (n, *spec.shape) of its dtype, n > 0.

    Raises:
        ConfigError: there are no pictures, or one of them cannot be read.
    """
    found = find_pictures(paths)
    if any(spec.tiles for spec in specs):
        return _load_tiles(found, specs)
    decoder, preprocessors = Decoder(MAX_PIXELS), {spec.name: Preprocessor(spec) for spec in specs}
    least = common_least(list(preprocessors.values()))
    copies = 1 + (len(LIVE_DAMAGE) if damaged else 0)
    samples = {name: preprocessor.batch(len(found) * copies) for name, preprocessor in preprocessors.items()}
    pictures = ((path, encoded) for path in found for encoded in _encoded(path, decoder, damaged))
    for index, (path, encoded) in enumerate(pictures):
        picture = _decode(decoder, encoded, path, least)
        for name, preprocessor in preprocessors.items():
            preprocessor.fill(picture.pixels, samples[name][index], (picture.height, picture.width))
    return Samples(samples)


def _load_tiles(found: Sequence[Path], specs: Sequence[Input]) -> Samples:
    decoder, views = Decoder(MAX_PIXELS), [(spec, Preprocessor(spec)) for spec in specs]
    samples: dict[str, list[NDArray[Any]]] = {spec.name: [] for spec in specs}
    for path in found:
        reference = _decode(decoder, path.read_bytes(), path, None).pixels.copy()
        corners = _spread(reference.shape[:2], (specs[0].height, specs[0].width), path)
        for name in ("whole", *LIVE_DAMAGE):
            frame = _decode(decoder, COPIES[name](reference), path, None).pixels
            for spec, view in views:
                shown = frame if spec.of == "frame" else reference
                samples[spec.name].extend(_cut(shown, corner, spec, view) for corner in corners)
    return Samples({name: np.stack(tiles) for name, tiles in samples.items()})


def _spread(size: tuple[int, ...], tile: Size, path: Path) -> list[tuple[int, int]]:
    """At most ``TILES`` corners, evenly over all of the picture's."""
    try:
        corners = list(tile_corners((size[0], size[1]), tile))
    except ValueError as error:
        raise ConfigError(f"--pictures {path}: {error}; leave it out") from error
    return [corners[at] for at in sorted({(2 * i + 1) * len(corners) // (2 * TILES) for i in range(TILES)})]


def _cut(pixels: NDArray[np.uint8], corner: tuple[int, int], spec: Input, view: Preprocessor) -> NDArray[Any]:
    (top, left), [slot] = corner, view.batch(1)
    view.fill(pixels[top : top + spec.height, left : left + spec.width], slot)
    return np.asarray(slot)


def draw_samples(samples: Samples, count: int) -> Samples:
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
        pixels = _decode(decoder, whole, path, None).pixels.copy()  # decoding a copy overwrites the decoder's scratch
        yield from (COPIES[name](pixels) for name in LIVE_DAMAGE)


def _decode(decoder: Decoder, encoded: bytes, path: Path, least: Size | None) -> Picture:
    try:
        return decoder.decode(encoded, least)
    except FrameError as error:
        raise ConfigError(f"--pictures {path}: {error}; leave it out") from error
