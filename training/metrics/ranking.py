"""How well scores put what is useful before what is not. Equal scores count as being in any order, equally likely.

Where a function takes ``weights``, (n,) at least 0, a sample of weight 2 counts as two, of 0 as none; None: once each.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Numbers = NDArray[Any]
Flags = NDArray[np.bool_]
Interval = tuple[float, float]


def auroc(scores: Numbers, positives: Flags, weights: Numbers | None = None) -> float:
    """Probability that a positive scores higher than a negative, a tie counting half; NaN where one class is missing.

    Args:
        scores: (n,), the higher the more surely positive.
        positives: (n,).
        weights: of the samples.
    """
    accepted, hits = _tied_counts(scores, positives, weights)
    misses = accepted - hits
    pairs = hits[-1] * misses[-1]
    if not pairs:
        return float("nan")
    return float((np.diff(misses) * (hits[1:] + hits[:-1])).sum() / (2 * pairs))


def roc(scores: Numbers, positives: Flags) -> tuple[Floats, Floats]:
    """False and true positive rates, from (0, 0) to (1, 1), one point a distinct score."""
    accepted, hits = _tied_counts(scores, positives)
    misses = accepted - hits
    return misses / max(misses[-1], 1.0), hits / max(hits[-1], 1.0)


def auprc(scores: Numbers, positives: Flags) -> float:
    """Area under precision over recall as average precision: sum of (step in recall) * precision; NaN for no positives.

    One step a distinct score. For the class of what is useless, give ``-scores`` and the useless.
    """
    if not positives.any():
        return float("nan")
    accepted, hits = _tied_counts(scores, positives)
    return float((np.diff(hits) * hits[1:] / accepted[1:]).sum() / hits[-1])


def _tied_counts(scores: Numbers, flags: Flags, weights: Numbers | None = None) -> tuple[Floats, Floats]:
    """How many samples, and how many flagged, score at least each distinct score, highest first; both begin with 0."""
    order = np.argsort(-scores, kind="stable")  # quick where they are in order already
    ends = np.flatnonzero(np.append(np.diff(scores[order]) != 0, len(order) > 0))
    weighed = np.ones(len(order)) if weights is None else weights[order].astype(np.float64)
    accepted, flagged = (np.cumsum(one)[ends] for one in (weighed, weighed * flags[order]))
    return np.concatenate([[0.0], accepted]), np.concatenate([[0.0], flagged])


@dataclass(frozen=True, slots=True)
class RiskCoverage:
    """The share of errors among the best-scored samples, by how many of them are kept."""

    coverage: Floats
    """(n,): 1/n, 2/n, ..., 1."""
    risk: Floats
    """(n,): expected over the orders of equal scores."""

    @property
    def area(self) -> float:
        """AURC: the mean risk over all coverages; the lower the better."""
        return float(self.risk.mean())


def risk_coverage(scores: Numbers, errors: Flags) -> RiskCoverage:
    """The curve of a filter that keeps the highest scores.

    Args:
        scores: (n,), n > 0.
        errors: (n,), true where the network that is protected is wrong.
    """
    kept = np.arange(1.0, len(scores) + 1)
    return RiskCoverage(kept / len(scores), np.interp(kept, *_tied_counts(scores, errors)) / kept)


def discard_gain(scores: Numbers, errors: Flags, share: float, weights: Numbers | None = None) -> float:
    """What discarding the lowest-scored ``share`` takes off the error rate, as a part of what a perfect filter takes.

    The perfect filter discards as many samples, errors first. The number is 1 for it, 0 in the mean for a random
    one, and NaN where there are no errors, nothing but errors, or nothing is discarded or kept.

    Args:
        scores: (n,).
        errors: (n,).
        share: of the samples, 0..1; their number is rounded half up.
        weights: of the samples, whole numbers.
    """
    accepted, wrong = _tied_counts(scores, errors, weights)
    count, total = accepted[-1], wrong[-1]
    discarded = np.floor(share * count + 0.5)
    kept = count - discarded
    if total in (0, count) or kept < 1 or discarded < 1:
        return float("nan")
    left = np.interp(kept, accepted, wrong)
    before, after, perfect = total / count, left / kept, max(0, total - discarded) / kept
    return float((before - after) / (before - perfect))


def best_accuracy(scores: Numbers, positives: Flags) -> float:
    """Accuracy at the threshold that suits these very samples best: an upper bound, not to be reached in use.

    NaN where there are no samples.
    """
    if not len(scores):
        return float("nan")
    accepted, hits = _tied_counts(scores, positives)
    return float((hits + (len(scores) - accepted) - (hits[-1] - hits)).max() / len(scores))


def balanced_accuracy(decisions: Flags, positives: Flags) -> float:
    """Mean of the two classes' accuracies; NaN where one is missing."""
    if positives.all() or not positives.any():
        return float("nan")
    return float((decisions[positives].mean() + (~decisions[~positives]).mean()) / 2)


def bootstrap(
    statistic: Callable[[NDArray[np.int64]], float],
    groups: Numbers,
    *,
    resamples: int,
    seed: int = 0,
    level: float = 0.95,
) -> Interval:
    """Percentile interval of a statistic when whole groups are drawn anew, with replacement.

    Samples of one source picture are not independent: the sources are.

    Args:
        statistic: of how often each sample was drawn, (n,); draws in which it is NaN do not count.
        groups: (n,), which group each sample belongs to.
        resamples: how many draws; 0 gives (NaN, NaN).
        seed: equal seeds, equal intervals.
        level: of confidence.
    """
    random = np.random.default_rng(seed)
    names, place = np.unique(groups, return_inverse=True)
    count = len(names)
    draws = (np.bincount(random.integers(0, count, count), minlength=count) for _ in range(resamples))
    values = np.array([statistic(draw[place]) for draw in draws])
    values = values[np.isfinite(values)]
    if not values.size:
        return float("nan"), float("nan")
    low, high = np.quantile(values, ((1 - level) / 2, (1 + level) / 2))
    return float(low), float(high)
