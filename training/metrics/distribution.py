"""How near predicted shares of the votes 1 to 5 are to the true ones.

Before anything is measured, shares below 0 become 0 and each row is brought to a sum of 1. DeepRN's Table 3 reports
numbers that no normalised distributions can have (a KS above 2.5 times the MAE): its predictions were not.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.metrics.correlation import lcc
from training.metrics.opinion import srocc
from training.metrics.votes import cut_gaussian, koniq_deviation, mean_and_deviation

Numbers = NDArray[Any]
Floats = NDArray[np.float64]
SMOOTHING = 1e-3
"""Added to every share before a logarithm is taken. The divergences depend on it."""
KONIQ_SD_CURVE: Callable[[Floats], Floats] = koniq_deviation
_SCORES = np.arange(1, 6, dtype=np.float64)
_HALVINGS = 40


@dataclass(frozen=True, slots=True)
class DistributionErrors:
    """Means over pictures, NaN of none; 0 is the best of all but the last two, of which 1 is."""

    pictures: int
    kl: float
    """Symmetric Kullback-Leibler divergence, KL(p||q) + KL(q||p), in nats, after ``SMOOTHING``."""
    jeffreys: float
    """Half of it."""
    js: float
    """Jensen-Shannon divergence, in nats, 0 to ln 2."""
    ks: float
    """Kolmogorov-Smirnov distance: the largest difference of the cumulative shares, 0 to 1."""
    emd1: float
    """Earth mover's distance with r = 1, in scores, 0 to 4: the sum of the differences of the cumulative shares."""
    emd2: float
    """With r = 2, as NIMA has it (Eq. 1): root of the mean over the five bins, 0 to 0.894. Where others take the root
    of the sum, it is sqrt(5) times as much."""
    mae: float
    """Mean absolute error of a share, 0 to 0.4."""
    rmse: float
    """Root mean square error of a picture's shares."""
    plcc_sd: float
    """Pearson's correlation of the standard deviations, -1 to 1."""
    srocc_sd: float
    """Spearman's."""


def distribution_errors(truth: Numbers, predicted: Numbers) -> DistributionErrors:
    """Of predicted shares (n, 5), beside true ones (n, 5)."""
    p, q = normalised(truth), normalised(predicted)
    divergence = kl(p, q)
    deviations = mean_and_deviation(p)[1], mean_and_deviation(q)[1]
    gaps = np.abs(p - q)
    return DistributionErrors(
        pictures=len(p),
        kl=_mean(divergence),
        jeffreys=_mean(divergence) / 2,
        js=_mean(js(p, q)),
        ks=_mean(ks(p, q)),
        emd1=_mean(emd1(p, q)),
        emd2=_mean(emd2(p, q)),
        mae=_mean(gaps),
        rmse=_mean(np.sqrt((gaps**2).mean(axis=1))),
        plcc_sd=lcc(*deviations),
        srocc_sd=srocc(*deviations),
    )


def normalised(shares: Numbers) -> Floats:
    """Rows (n, 5) that sum to 1, nothing below 0; a row with nothing above 0 becomes even, one with a NaN all NaN."""
    above = np.maximum(shares.astype(np.float64), 0)
    total = above.sum(axis=1, keepdims=True)
    return np.where(total == 0, 1 / above.shape[1], above / np.where(total == 0, 1, total))


def kl(truth: Numbers, predicted: Numbers) -> Floats:
    """(n,): see ``DistributionErrors.kl``."""
    p, q = (normalised(normalised(each) + SMOOTHING) for each in (truth, predicted))
    divergence: Floats = ((p - q) * np.log(p / q)).sum(axis=1)
    return divergence


def js(truth: Numbers, predicted: Numbers) -> Floats:
    """(n,): see ``DistributionErrors.js``."""
    p, q = normalised(truth), normalised(predicted)
    middle = (p + q) / 2
    return (_entropy_to(p, middle) + _entropy_to(q, middle)) / 2


def ks(truth: Numbers, predicted: Numbers) -> Floats:
    """(n,): see ``DistributionErrors.ks``."""
    distance: Floats = _cumulative_gaps(truth, predicted).max(axis=1)
    return distance


def emd1(truth: Numbers, predicted: Numbers) -> Floats:
    """(n,): see ``DistributionErrors.emd1``."""
    distance: Floats = _cumulative_gaps(truth, predicted)[:, :-1].sum(axis=1)
    return distance


def emd2(truth: Numbers, predicted: Numbers) -> Floats:
    """(n,): see ``DistributionErrors.emd2``."""
    distance: Floats = np.sqrt((_cumulative_gaps(truth, predicted) ** 2).mean(axis=1))
    return distance


def mean_distribution(shares: Numbers) -> Floats:
    """(5,): the first baseline, one distribution for all pictures."""
    return np.asarray(normalised(shares).mean(axis=0), np.float64)


def fit_sd_curve(mos: Numbers, deviations: Numbers) -> Callable[[Floats], Floats]:
    """The second baseline's curve: a parabola from means to standard deviations, fitted to a set's own (n,)."""
    coefficients = np.polyfit(mos, deviations, 2)
    return lambda means: np.asarray(np.polyval(coefficients, means), np.float64)


def discretised(mos: Numbers, deviations: Numbers) -> Floats:
    """The second baseline: (n, 5), Gaussians cut into five, whose mean is the score as nearly as five bins allow.

    A Gaussian that is cut has another mean near the ends of the scale, where its tails go into the outer bins; so its
    own is searched for.

    Args:
        mos: (n,) in [1, 5].
        deviations: (n,) of the Gaussians, above 0.
    """
    wanted, spread = np.asarray(mos, np.float64), np.asarray(deviations, np.float64)
    low, high = wanted - 4 * spread - 1, wanted + 4 * spread + 1
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        below = cut_gaussian(middle, spread) @ _SCORES < wanted
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return cut_gaussian((low + high) / 2, spread)


def _mean(values: Floats) -> float:
    return float(values.mean()) if values.size else float("nan")


def _cumulative_gaps(truth: Numbers, predicted: Numbers) -> Floats:
    gaps: Floats = np.abs(np.cumsum(normalised(truth) - normalised(predicted), axis=1))
    return gaps


def _entropy_to(p: Floats, q: Floats) -> Floats:
    ratio = np.where(p == 0, 1, p / np.where(q == 0, 1, q))
    entropy: Floats = (p * np.log(ratio)).sum(axis=1)
    return entropy
