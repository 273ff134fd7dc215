"""From an engine's outputs to named results: one function a kind of head."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.errors import FrameError, Reason
from runtime.manifest import ClarityHead, Head, QualityFrHead, QualityHead, SaliencyHead, UtilityHead

ROUNDING = 0.01
"""How far half precision or 8 bits may carry a number over its bounds, as a share of its range; beyond it the engine
is wrong."""
OPINIONS = np.arange(1, 6, dtype=np.float64)
"""The scores 1..5 that a quality distribution is over."""
OBJECT = 128
"""From this level on a saliency map's pixel is of the object: exactly where the probability is 0.5 or more."""


@dataclass(frozen=True, slots=True)
class Utility:
    """Probability in [0, 1] that a machine task still works on this frame."""

    score: float

    @property
    def value(self) -> float:
        """The number that stands for this result in a table."""
        return self.score


@dataclass(frozen=True, slots=True)
class Quality:
    """Human opinion: mean and standard deviation on 1..5, and the share of each score."""

    mos: float
    std: float
    distribution: tuple[float, ...]

    @property
    def value(self) -> float:
        """The number that stands for this result in a table."""
        return self.mos


@dataclass(frozen=True, slots=True)
class Clarity:
    """How sharp the frame is, on [1, 10] (cover assessment, section 4.1)."""

    score: float

    @property
    def value(self) -> float:
        """The number that stands for this result in a table."""
        return self.score


@dataclass(frozen=True, slots=True, eq=False)
class Saliency:
    """How probably each place is of the foreground: uint8 (height, width), 0..255 for the probabilities 0..1.

    8 bits are a quarter of what the engine answers, and what OpenCV's components want. Rounding is half up, so that
    levels of at least ``OBJECT`` are exactly the probabilities of at least 0.5.
    """

    map: NDArray[np.uint8]

    @property
    def value(self) -> float:
        """The number that stands for this result in a table: the object's share of the map."""
        return float(np.count_nonzero(self.map >= OBJECT)) / self.map.size


@dataclass(frozen=True, slots=True)
class FullReference:
    """Mean opinion score on 1..5 of a picture held against its reference; of one tile, or of all together."""

    score: float

    @property
    def value(self) -> float:
        """The number that stands for this result in a table."""
        return self.score


Result = Utility | Quality | Clarity | Saliency | FullReference

RANGES = {"utility": (0, 1), "quality": (0, 1), "clarity": (1, 10), "saliency": (0, 1), "quality_fr": (1, 5)}
"""What each kind of head may answer."""


def read_head(head: Head, row: NDArray[Any]) -> Result:
    """One frame's result from one row of the head's output.

    Raises:
        FrameError: ``non-finite``: the engine answers this frame with NaN or infinity; ``out-of-range``: with a
            number that its head cannot mean.
    """
    row = np.asarray(row)
    low, high = RANGES[head.kind]
    least, most = float(row.min()), float(row.max())  # NaN, wherever it is, is in both
    if not np.isfinite([least, most]).all():
        raise FrameError(Reason.NON_FINITE, f"head {head.kind} answered {_shown(row)}")
    slack = ROUNDING * (high - low)
    if least < low - slack or most > high + slack:
        raise FrameError(Reason.OUT_OF_RANGE, f"head {head.kind} answered {_shown(row)}, not within {low} and {high}")
    match head:
        case UtilityHead():
            return Utility(float(row.astype(np.float64).clip(low, high)))
        case QualityHead():
            return _quality(row.astype(np.float64).clip(low, high))
        case ClarityHead():
            return Clarity(float(row.astype(np.float64).clip(low, high)))
        case QualityFrHead():
            return FullReference(float(row.astype(np.float64).clip(low, high)))
        case SaliencyHead():
            levels = row.astype(np.float32).clip(low, high) * np.float32(255) + np.float32(0.5)
            return Saliency(levels.astype(np.uint8))


def _shown(row: NDArray[Any]) -> str:
    """A score or a distribution as it is; of a map only what it goes from and to."""
    return str(row.tolist()) if row.ndim < 2 else f"a map from {row.min()} to {row.max()}"


def _quality(shares: NDArray[np.float64]) -> Quality:
    total = float(shares.sum())
    if abs(total - 1) > ROUNDING:
        raise FrameError(Reason.OUT_OF_RANGE, f"head quality answered {shares.tolist()}: the sum is {total}, not 1")
    shares = shares / total
    mos = float(shares @ OPINIONS)
    variance = float(shares @ (OPINIONS - mos) ** 2)
    return Quality(mos, max(0.0, variance) ** 0.5, tuple(float(share) for share in shares))
