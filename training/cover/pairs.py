"""How surely a blur is told: the same picture sharp and blurred, which of the two scores lower?"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runtime.decode import Pixels
from runtime.opencv import cv2
from training.cover.levels import blurred
from training.cover.manifest import CoverSample

Floats = NDArray[np.float64]
FrameSize = tuple[int, int]
"""Width and height in pixels."""
SHARP = 0.0


@dataclass(frozen=True)
class FurtherBlurs:
    """Blurs beside the set's own, that each sharp picture is shown under as well."""

    sigmas_px: tuple[float, ...] = ()
    frame: FrameSize | None = None
    """That each picture is made before: as a camera's. None: it stays as it is."""

    def versions(self, pixels: Pixels) -> dict[float, Pixels]:
        """By sigma, the sharp one (0) among them; empty where nothing is asked for, or the picture is too small."""
        whole = pixels if self.frame is None or not self.sigmas_px else framed(pixels, self.frame)
        if whole is None or not self.sigmas_px:
            return {}
        return {sigma: blurred(whole, sigma) for sigma in (SHARP, *self.sigmas_px)}


@dataclass(frozen=True)
class Pairs:
    """Of one gate and one blur."""

    sigma_px: float
    frame: FrameSize | None
    """That the pictures were made first; None: they are as the set has them."""
    further: bool
    """Whether the blur is one beside the set's."""
    pictures: int
    """That the gate has scored both sharp and under this blur."""
    below: float
    """Share of them that score lower under it; equal is not lower."""


def framed(pixels: Pixels, frame: FrameSize) -> Pixels | None:
    """Scale a picture down by area until it just covers the frame, and cut out the middle; None for a smaller one."""
    height, width = pixels.shape[:2]
    scale = max(frame[0] / width, frame[1] / height)
    if scale > 1:
        return None
    size = max(frame[0], round(width * scale)), max(frame[1], round(height * scale))
    scaled = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    left, top = (size[0] - frame[0]) // 2, (size[1] - frame[1]) // 2
    return np.ascontiguousarray(scaled[top : top + frame[1], left : left + frame[0]], np.uint8)


def pairs_in_set(samples: Sequence[CoverSample], clarity: Floats) -> list[Pairs]:
    """Each blur of the set against the same picture without any, from the least blur on.

    Args:
        samples: in order.
        clarity: (samples,) NaN where there is none.
    """
    sharp = {one.source: score for one, score in zip(samples, clarity, strict=True) if one.sigma_px == 0}
    found: dict[float, list[tuple[float, float]]] = {}
    for one, score in zip(samples, clarity, strict=True):
        if one.sigma_px > 0 and one.source in sharp:
            found.setdefault(one.sigma_px, []).append((sharp[one.source], score))
    return [pair for sigma in sorted(found) for pair in _pairs(sigma, None, np.array(found[sigma]), further=False)]


def pairs_beside(further: FurtherBlurs, clarity: dict[float, Floats]) -> list[Pairs]:
    """Each further blur.

    Args:
        further: what was asked for.
        clarity: by sigma, 0 among them; each (samples,), NaN where there is none.
    """
    return [
        pair
        for sigma in further.sigmas_px
        for pair in _pairs(sigma, further.frame, np.stack([clarity[SHARP], clarity[sigma]], axis=1), further=True)
    ]


def _pairs(sigma_px: float, frame: FrameSize | None, both: Floats, *, further: bool) -> list[Pairs]:
    """One, or none where no picture has both scores."""
    told = both[np.isfinite(both).all(axis=1)]
    if not len(told):
        return []
    return [Pairs(sigma_px, frame, further, len(told), float((told[:, 1] < told[:, 0]).mean()))]
