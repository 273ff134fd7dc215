"""From an engine's outputs to named results: one function a kind of head."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.errors import FrameError, Reason
from runtime.manifest import QualityHead, UtilityHead

ROUNDING = 0.01
"""How far half precision or 8 bits may carry a probability over its bounds; beyond it the engine is wrong."""
OPINIONS = np.arange(1, 6, dtype=np.float64)
"""The scores 1..5 that a quality distribution is over."""


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


Result = Utility | Quality


def read_head(head: UtilityHead | QualityHead, row: NDArray[Any]) -> Result:
    """One frame's result from one row of the head's output.

    Raises:
        FrameError: ``non-finite``: the engine answers this frame with NaN or infinity; ``out-of-range``: with a
            number that its head cannot mean.
    """
    row = np.asarray(row, np.float64)
    if not np.isfinite(row).all():
        raise FrameError(Reason.NON_FINITE, f"head {head.kind} answered {row.tolist()}")
    if row.min() < -ROUNDING or row.max() > 1 + ROUNDING:
        raise FrameError(Reason.OUT_OF_RANGE, f"head {head.kind} answered {row.tolist()}, not within 0 and 1")
    row = row.clip(0, 1)
    return Utility(float(row)) if isinstance(head, UtilityHead) else _quality(row)


def _quality(shares: NDArray[np.float64]) -> Quality:
    total = float(shares.sum())
    if abs(total - 1) > ROUNDING:
        raise FrameError(Reason.OUT_OF_RANGE, f"head quality answered {shares.tolist()}: the sum is {total}, not 1")
    shares = shares / total
    mos = float(shares @ OPINIONS)
    variance = float(shares @ (OPINIONS - mos) ** 2)
    return Quality(mos, max(0.0, variance) ** 0.5, tuple(float(share) for share in shares))
