"""Whether a score of 0.8 is right eight times in ten."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

BINS = 15


@dataclass(frozen=True, slots=True)
class Reliability:
    """Scores beside what came of them, by bins of equal width over [0, 1]; empty bins are left out."""

    score: NDArray[np.float64]
    """(bins,) mean score."""
    frequency: NDArray[np.float64]
    """(bins,) share of positives."""
    count: NDArray[np.int64]
    """(bins,) number of samples, each at least 1."""


def reliability(scores: NDArray[Any], positives: NDArray[np.bool_], bins: int = BINS) -> Reliability:
    """The reliability diagram's points.

    Args:
        scores: (n,) in [0, 1]; bin i holds [i / bins, (i + 1) / bins), the last one 1.0 too.
        positives: (n,).
        bins: how many.
    """
    wide = scores.astype(np.float64)  # the sums of single-precision scores would differ by order
    index = np.minimum((wide * bins).astype(np.int64), bins - 1)
    count = np.bincount(index, minlength=bins)
    held = count > 0
    score = np.bincount(index, wide, bins)[held] / count[held]
    return Reliability(score, np.bincount(index, positives, bins)[held] / count[held], count[held])


def ece(scores: NDArray[Any], positives: NDArray[np.bool_], bins: int = BINS) -> float:
    """Expected calibration error: mean over samples of the bin's |score - frequency|; NaN for no samples."""
    if not len(scores):
        return float("nan")
    points = reliability(scores, positives, bins)
    return float(np.average(np.abs(points.score - points.frequency), weights=points.count))
