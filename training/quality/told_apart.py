"""Is a slight blur seen at a camera's resolution, and what is left of it when the frame is shrunk first?

A network that sees a small picture cannot tell what only the large one shows: DeepRN's reason to take pictures at their
own size (section 1).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from runtime.decode import Pixels
from runtime.errors import ConfigError
from runtime.opencv import cv2
from training.cover.halving import halved, halvings
from training.cover.levels import blurred
from training.data.picture import find_pictures, read_picture
from training.feeder import made_ahead
from training.quality.gate import QualityGate

Floats = NDArray[np.float64]
Size = tuple[int, int]
"""Width and height in pixels."""
FRAME: Size = (1280, 720)
SIGMA_PX = 1.0
SHRUNK: tuple[Size, ...] = ((640, 360), (320, 180), (224, 126))
AHEAD = 2


@dataclass(frozen=True, slots=True)
class ToldApart:
    """Of one gate and one size that the frames were shrunk to and enlarged from again."""

    size: Size
    """``FRAME``: they were left as they are."""
    photographs: int
    told: float
    """Share whose sharp frame has the higher mean opinion score; equal is not higher."""
    difference: float
    """Mean of sharp minus blurred, in scores of [1, 5]."""
    sharp: float
    """Mean score of the sharp frames."""


@dataclass(frozen=True)
class BlurTest:
    """What came of a folder of photographs."""

    sigma_px: float
    frame: Size
    photographs: int
    too_small: int
    """Photographs left out: they do not fill the frame."""
    rows: dict[str, tuple[ToldApart, ...]]
    """By gate."""


def blur_test(
    folder: Path,
    gates: Sequence[QualityGate],
    *,
    sigma_px: float = SIGMA_PX,
    frame: Size = FRAME,
    shrunk: Sequence[Size] = SHRUNK,
    workers: int = 1,
) -> BlurTest:
    """Show each photograph's frame, sharp and blurred, to each gate, at each size.

    Args:
        folder: of sharp photographs; large ones are halved first (``training.cover.halving``), then the middle is cut.
        gates: each sees the frames through its own preprocessing.
        sigma_px: of the Gaussian.
        frame: that is cut.
        shrunk: sizes that frames are shrunk to (area) and enlarged from again (bilinear), besides as they are.
        workers: threads that read.

    Raises:
        ConfigError: no picture, one that cannot be read, or none that fills the frame.
    """
    paths = find_pictures(folder)
    sizes = (frame, *shrunk)
    pairs: dict[str, list[Floats]] = {gate.name: [] for gate in gates}
    count = 0
    for versions in _versions(paths, sizes, sigma_px, workers):
        if versions:
            count += 1
            for gate in gates:
                pairs[gate.name].append(gate.mos(versions).reshape(len(sizes), 2))
    if not count:
        raise ConfigError(f"{folder}: none of its {len(paths)} pictures fills a frame of {frame[0]}x{frame[1]} pixels")
    rows = {name: tuple(_rows(sizes, np.stack(own))) for name, own in pairs.items()}
    return BlurTest(sigma_px, frame, count, len(paths) - count, rows)


def middle(pixels: Pixels, frame: Size) -> Pixels | None:
    """The frame out of a photograph's middle, at its own resolution; None for a photograph that does not fill it."""
    pixels = halved(pixels, halvings(*pixels.shape[:2]))
    top, left = ((own - due) // 2 for own, due in zip(pixels.shape[:2], frame[::-1], strict=True))
    if top < 0 or left < 0:
        return None
    return np.ascontiguousarray(pixels[top : top + frame[1], left : left + frame[0]])


def through(pixels: Pixels, size: Size) -> Pixels:
    """A frame as it comes back from a smaller one; the very pixels where the size is its own."""
    own = (pixels.shape[1], pixels.shape[0])
    if own == size:
        return pixels
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, own, interpolation=cv2.INTER_LINEAR), np.uint8)


def _versions(paths: Sequence[Path], sizes: Sequence[Size], sigma_px: float, workers: int) -> Iterator[list[Pixels]]:
    """Of each photograph: sharp and blurred, for each size; empty for one that is too small."""

    def of(path: Path) -> list[Pixels]:
        sharp = middle(read_picture(path), sizes[0])
        if sharp is None:
            return []
        pair = (sharp, blurred(sharp, sigma_px))
        return [through(one, size) for size in sizes for one in pair]

    tracked = track(paths, "photographs", console=Console(stderr=True), transient=True)
    yield from made_ahead(of, tracked, workers=workers, ahead=AHEAD)


def _rows(sizes: Sequence[Size], pairs: Floats) -> Iterator[ToldApart]:
    """``pairs``: (photographs, sizes, 2), sharp first."""
    for place, size in enumerate(sizes):
        sharp, blurry = pairs[:, place].T
        told = float((sharp > blurry).mean())
        yield ToldApart(size, len(pairs), told, float((sharp - blurry).mean()), float(sharp.mean()))
