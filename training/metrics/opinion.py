"""How well scores agree with people's opinions: the field's measures, and the curve that is fitted before some."""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.optimize import OptimizeWarning, curve_fit

from training.metrics.correlation import lcc

Numbers = NDArray[Any]
Floats = NDArray[np.float64]
NAN = float("nan")
LEAST_TO_FIT = 5
"""Pictures: the curve has four parameters."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """Of predicted scores with true ones. NaN where a measure says nothing: too few pictures, or all of one score."""

    pictures: int
    plcc: float
    """Pearson's linear correlation with no curve fitted, -1 to 1; 1 is the best."""
    plcc_fitted: float
    """The same after the logistic curve."""
    srocc: float
    """Spearman's correlation of ranks, -1 to 1; 1 is the best."""
    krcc: float
    """Kendall's tau-b, -1 to 1; 1 is the best."""
    rmse: float
    """Root mean square error in the truth's unit, from 0, the best: of scores on the truth's own scale alone."""
    rmse_fitted: float
    """The same after the curve."""
    logistic: bool
    """Whether the curve could be fitted; else a line was, or nothing (NaN)."""


def agreement(truth: Numbers, predicted: Numbers) -> Agreement:
    """All measures of (n,) predicted scores with (n,) true ones."""
    own, other = truth.astype(np.float64), predicted.astype(np.float64)
    curve, logistic = _curve(own, other)
    return Agreement(
        pictures=len(own),
        plcc=lcc(own, other),
        plcc_fitted=NAN if curve is None else lcc(own, curve),
        srocc=srocc(own, other),
        krcc=krcc(own, other),
        rmse=rmse(own, other),
        rmse_fitted=NAN if curve is None else rmse(own, curve),
        logistic=logistic,
    )


def srocc(truth: Numbers, predicted: Numbers) -> float:
    """Spearman's correlation: Pearson's of the ranks, ties sharing theirs; NaN where it says nothing."""
    # Not scipy's own, which also works out a p: the bootstrap asks thousands of times.
    return lcc(stats.rankdata(truth), stats.rankdata(predicted))


def krcc(truth: Numbers, predicted: Numbers) -> float:
    """Kendall's tau-b: ties on either side are taken out of both counts; NaN where it says nothing."""
    if len(truth) < 2 or not np.ptp(truth) or not np.ptp(predicted):
        return NAN
    return float(stats.kendalltau(truth, predicted).statistic)


def rmse(truth: Numbers, predicted: Numbers) -> float:
    """Root mean square error; NaN of nothing."""
    if not len(truth):
        return NAN
    error = predicted.astype(np.float64) - truth
    return float(np.sqrt(np.mean(error * error)))


def fitted(truth: Numbers, predicted: Numbers) -> Floats:
    """Predicted scores (n,) through the curve that was fitted to them, in the truth's unit.

    The logistic curve with four parameters of the Video Quality Experts Group (final report, phase II, 2003):
    ``b2 + (b1 - b2) / (1 + exp(-(x - b3) / |b4|))``; it is monotone. Where it cannot be fitted, a line; of fewer than
    ``LEAST_TO_FIT`` pictures, or where all of one side are equal, the scores as they are.
    """
    own, other = truth.astype(np.float64), predicted.astype(np.float64)
    curve, _ = _curve(own, other)
    return other if curve is None else curve


def _curve(truth: Floats, predicted: Floats) -> tuple[Floats | None, bool]:
    """The fitted scores, None where there is nothing to fit; and whether the logistic fits."""
    if len(truth) < LEAST_TO_FIT or not np.ptp(predicted) or not np.ptp(truth) or not np.isfinite(predicted).all():
        return None, False
    spread = float(predicted.std())
    x = (predicted - predicted.mean()) / spread
    rising = float(np.corrcoef(x, truth)[0, 1]) >= 0
    high, low = (truth.max(), truth.min()) if rising else (truth.min(), truth.max())
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", OptimizeWarning)  # of the parameters' covariance, which nobody asks for
            found, _ = curve_fit(_logistic, x, truth, [high, low, 0.0, 0.5], maxfev=10_000)
    except RuntimeError:
        slope, offset = np.polyfit(x, truth, 1)
        return slope * x + offset, False
    return _logistic(x, *found), True


def _logistic(x: Floats, high: float, low: float, middle: float, width: float) -> Floats:
    steepness = max(abs(width), 1e-6)
    curve: Floats = low + (high - low) / (1 + np.exp(np.clip(-(x - middle) / steepness, -60, 60)))
    return curve
