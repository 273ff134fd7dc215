"""Whether two methods differ by more than chance, on the same pictures."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from training.metrics.ranking import Interval

Numbers = NDArray[Any]
Measure = Callable[[Numbers, Numbers], float]
"""(truth, predicted) -> a number."""
SUBSETS, SUBSET_SIZE = 20, 100
LEAST_PICTURES = SUBSETS * SUBSET_SIZE
"""Of DeepRN's own test (section 4)."""
NAN = float("nan")


@dataclass(frozen=True, slots=True)
class Difference:
    """Of a measure of two methods: the first's minus the second's."""

    difference: float
    interval: Interval
    """95 %."""
    p: float
    """Two-sided."""


def paired_difference(
    measure: Measure,
    truth: Numbers,
    first: Numbers,
    second: Numbers,
    contents: NDArray[Any],
    *,
    resamples: int,
    seed: int,
) -> Difference:
    """Draw whole contents anew, with replacement: pictures of one content are not independent.

    Of fewer than two contents every draw is the same, which would look certain: interval and p are NaN.

    Args:
        measure: such as ``training.metrics.opinion.srocc``; draws in which it is NaN do not count.
        truth: (n,).
        first: (n,) of one method.
        second: (n,) of the other.
        contents: (n,), which content each picture shows.
        resamples: draws; 0 tells the difference alone.
        seed: of the draws.
    """
    whole = measure(truth, first) - measure(truth, second)
    _, numbers = np.unique(contents, return_inverse=True)
    members = [np.flatnonzero(numbers == one) for one in range(int(numbers.max(initial=-1)) + 1)]
    if len(members) < 2:
        return Difference(whole, (NAN, NAN), NAN)
    rng = np.random.default_rng(seed)
    drawn = []
    for _ in range(resamples):
        places = np.concatenate([members[one] for one in rng.integers(len(members), size=len(members))])
        drawn.append(measure(truth[places], first[places]) - measure(truth[places], second[places]))
    known = np.array([one for one in drawn if np.isfinite(one)])
    if not len(known):
        return Difference(whole, (NAN, NAN), NAN)
    low, high = np.quantile(known, [0.025, 0.975])
    beyond = min(int((known <= 0).sum()), int((known >= 0).sum()))
    return Difference(whole, (float(low), float(high)), min(1.0, 2 * (beyond + 1) / (len(known) + 1)))


def paper_t_test(measure: Measure, truth: Numbers, first: Numbers, second: Numbers, *, seed: int) -> float:
    """DeepRN's own test (section 4): p of a two-sample t-test over a measure in 20 subsets of 100 pictures.

    Subsets of one test set say nothing of how much trainings differ, and the test leaves out that
    both methods saw the same pictures; it stands here to be compared with the paper's.

    Raises:
        ValueError: there are fewer than 2000 pictures.
    """
    if len(truth) < LEAST_PICTURES:
        raise ValueError(f"the paper's test needs {LEAST_PICTURES} pictures; there are {len(truth)}")
    order = np.random.default_rng(seed).permutation(len(truth))[:LEAST_PICTURES].reshape(SUBSETS, SUBSET_SIZE)
    values = [[measure(truth[part], own[part]) for part in order] for own in (first, second)]
    return float(stats.ttest_ind(*values).pvalue)
