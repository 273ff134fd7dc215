"""What the field of salient objects reports of a map of probabilities: MAE, and F at 256 thresholds.

As U²-Net's and DUTS's comparisons do it: probabilities in 8 bits, beta² = 0.3.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.data.mask import FOREGROUND, IGNORE
from training.metrics.segmentation import Label, Probability

BETA_SQUARED = 0.3
"""Precision counts more than recall."""
THRESHOLDS = 256
"""A pixel of 8-bit level v is foreground at threshold t if v >= t; t from 0 to 255."""

Curve = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class SaliencyErrors:
    """One picture's."""

    mae: float
    """Mean absolute difference of the probability to 0 or 1, over the counted pixels; NaN where there are none."""
    curve: Curve | None
    """(256,) F at each threshold; None where no true pixel is foreground: there is no recall."""
    adaptive: float
    """F at twice the map's mean (at most the highest level), the adaptive threshold; NaN as ``curve`` is None."""


class SaliencySum:
    """Adds pictures up; nothing grows with their number."""

    def __init__(self) -> None:
        self._curve = np.zeros(THRESHOLDS)
        self._mae, self._adaptive = 0.0, 0.0
        self._pictures, self._with_object = 0, 0

    def add(self, errors: SaliencyErrors) -> None:
        """Count one more picture."""
        if np.isfinite(errors.mae):
            self._mae += errors.mae
            self._pictures += 1
        if errors.curve is not None:
            self._curve += errors.curve
            self._adaptive += errors.adaptive
            self._with_object += 1

    @property
    def mae(self) -> float:
        """Mean over the pictures, 0 to 1; NaN for none."""
        return self._mae / self._pictures if self._pictures else float("nan")

    @property
    def max_f(self) -> float:
        """The best of the F curve's mean over the pictures that hold an object: one threshold for all; NaN for none."""
        return float(self._curve.max()) / self._with_object if self._with_object else float("nan")

    @property
    def mean_f(self) -> float:
        """That curve's mean over the 256 thresholds."""
        return float(self._curve.mean()) / self._with_object if self._with_object else float("nan")

    @property
    def adaptive_f(self) -> float:
        """Mean of F at each picture's own threshold."""
        return self._adaptive / self._with_object if self._with_object else float("nan")


def saliency_errors(probability: Probability, label: Label) -> SaliencyErrors:
    """Hold one map to its label.

    Args:
        probability: (height, width) in [0, 1].
        label: (height, width) of 0, 1 and 255, which counts nowhere.
    """
    counted = label != IGNORE
    values, truth = probability[counted], label[counted] == FOREGROUND
    if not len(values):
        return SaliencyErrors(float("nan"), None, float("nan"))
    mae = float(np.abs(values - truth).mean(dtype=np.float64))
    if not truth.any():
        return SaliencyErrors(mae, None, float("nan"))
    levels = np.rint(values * (THRESHOLDS - 1)).astype(np.uint8)
    curve = _f_curve(levels, truth)
    own = min(THRESHOLDS - 1, int(np.ceil(2 * levels.mean(dtype=np.float64))))  # levels are whole: >= 4.2 is >= 5
    return SaliencyErrors(mae, curve, float(curve[own]))


def _f_curve(levels: NDArray[np.uint8], truth: NDArray[np.bool_]) -> Curve:
    """(256,); where nothing is predicted, precision and F are 0."""
    cells = np.bincount(levels + truth * np.intp(THRESHOLDS), minlength=2 * THRESHOLDS).reshape(2, THRESHOLDS)
    wrong, right = np.cumsum(cells[:, ::-1], axis=1)[:, ::-1]
    precision = right / np.maximum(right + wrong, 1)
    recall = right / right[0]
    measure: Curve = (1 + BETA_SQUARED) * precision * recall / np.maximum(BETA_SQUARED * precision + recall, 1e-12)
    return measure
