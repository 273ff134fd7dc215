"""Ranking measures against their definitions, computed slowly and plainly."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.metrics.ranking import (
    auprc,
    auroc,
    balanced_accuracy,
    best_accuracy,
    bootstrap,
    discard_gain,
    risk_coverage,
    roc,
)

SAMPLES = st.lists(st.tuples(st.integers(0, 4), st.booleans()), min_size=1, max_size=7)
Samples = list[tuple[int, bool]]
few = settings(deadline=None, max_examples=80)


def arrays(samples: Samples) -> tuple[np.ndarray, np.ndarray]:
    return np.array([score for score, _ in samples], float), np.array([flag for _, flag in samples])


def orders(samples: Samples) -> list[Samples]:
    """Every order of the samples in which no score stands before a higher one."""
    return [list(p) for p in itertools.permutations(samples) if all(a[0] >= b[0] for a, b in itertools.pairwise(p))]


@few
@given(SAMPLES)
def test_auroc_is_the_share_of_pairs_in_order(samples: Samples) -> None:
    """Every positive against every negative, a tie counting half; NaN where a class is missing."""
    positives, negatives = ([s for s, flag in samples if flag == wanted] for wanted in (True, False))

    result = auroc(*arrays(samples))

    if not positives or not negatives:
        assert math.isnan(result)
    else:
        assert result == pytest.approx(np.mean([(a > b) + 0.5 * (a == b) for a in positives for b in negatives]))


@few
@given(SAMPLES)
def test_roc_has_the_area_auroc(samples: Samples) -> None:
    """The area under the curve by trapezoids is the share of pairs in order; it runs from (0, 0) to (1, 1)."""
    scores, flags = arrays(samples)
    if flags.all() or not flags.any():
        return
    false, true = roc(scores, flags)

    assert (false[0], true[0], false[-1], true[-1]) == (0, 0, 1, 1)
    assert np.trapezoid(true, false) == pytest.approx(auroc(scores, flags))


@few
@given(SAMPLES)
def test_auprc_sums_precision_over_steps_in_recall(samples: Samples) -> None:
    """At each distinct threshold: (recall - recall before) * precision."""
    expected, before, positives = 0.0, 0.0, sum(flag for _, flag in samples)
    for threshold in sorted({score for score, _ in samples}, reverse=True):
        accepted = [flag for score, flag in samples if score >= threshold]
        if positives:
            expected += (sum(accepted) / positives - before) * sum(accepted) / len(accepted)
            before = sum(accepted) / positives

    result = auprc(*arrays(samples))

    assert math.isnan(result) if not positives else result == pytest.approx(expected)


@few
@given(SAMPLES)
def test_risk_is_the_mean_over_orders_of_ties(samples: Samples) -> None:
    """The share of errors among the first k, averaged over every order that the scores allow."""
    runs = [[np.mean([e for _, e in order[:k]]) for k in range(1, len(order) + 1)] for order in orders(samples)]

    curve = risk_coverage(*arrays(samples))

    np.testing.assert_allclose(curve.risk, np.mean(runs, axis=0))
    np.testing.assert_allclose(curve.coverage, np.arange(1, len(samples) + 1) / len(samples))
    assert curve.area == pytest.approx(np.mean(runs))


@few
@given(SAMPLES, st.sampled_from([0.1, 0.2, 0.3, 0.5]))
def test_discard_gain_is_a_part_of_the_perfect_filters(samples: Samples, share: float) -> None:
    """Errors left by this filter, and by one that discards errors first, both beside no filter."""
    errors, count = sum(e for _, e in samples), len(samples)
    discarded = math.floor(share * count + 0.5)
    kept = count - discarded

    result = discard_gain(*arrays(samples), share)

    if errors in (0, count) or not discarded or not kept:
        assert math.isnan(result)
        return
    after = np.mean([np.mean([e for _, e in order[:kept]]) for order in orders(samples)])
    perfect = max(0, errors - discarded) / kept
    assert result == pytest.approx((errors / count - after) / (errors / count - perfect))


@few
@given(st.lists(st.tuples(st.integers(0, 4), st.booleans(), st.integers(0, 3)), min_size=1, max_size=8))
def test_a_weight_is_a_number_of_copies(samples: list[tuple[int, bool, int]]) -> None:
    """A sample of weight 3 counts as three, one of weight 0 as none."""
    scores, flags = arrays([(score, flag) for score, flag, _ in samples])
    weights = np.array([weight for *_, weight in samples])
    copies, copied = np.repeat(scores, weights), np.repeat(flags, weights)

    assert auroc(scores, flags, weights) == pytest.approx(auroc(copies, copied), nan_ok=True)
    assert discard_gain(scores, flags, 0.2, weights) == pytest.approx(discard_gain(copies, copied, 0.2), nan_ok=True)


def test_discard_gain_by_hand() -> None:
    """Ten samples, four errors (.4); of the worst two one is wrong: .375 left, 2 of 8 (.25) with a perfect filter."""
    scores = np.arange(10.0)
    errors = np.isin(scores, [1, 3, 5, 7])

    assert discard_gain(scores, errors, 0.2) == pytest.approx((0.4 - 0.375) / (0.4 - 0.25))
    assert discard_gain(-errors.astype(float), errors, 0.2) == pytest.approx(1)
    assert discard_gain(np.zeros(10), errors, 0.2) == pytest.approx(0)


@few
@given(SAMPLES)
def test_best_accuracy_tries_every_threshold(samples: Samples) -> None:
    """Every score as threshold, and one above all."""
    thresholds = [score for score, _ in samples] + [9]

    assert best_accuracy(*arrays(samples)) == pytest.approx(
        max(np.mean([(score >= threshold) == flag for score, flag in samples]) for threshold in thresholds)
    )


def test_balanced_accuracy_by_hand() -> None:
    """Three of four positives and one of two negatives right: (.75 + .5) / 2; NaN for one class alone."""
    decisions = np.array([True, True, True, False, True, False])
    positives = np.array([True, True, True, True, False, False])

    assert balanced_accuracy(decisions, positives) == pytest.approx(0.625)
    assert math.isnan(balanced_accuracy(decisions, np.ones(6, bool)))


def test_bootstrap_draws_whole_groups() -> None:
    """Copies of a sample in its own group change nothing: one value a source, whatever its samples' number.

    The interval of a mean of 400 groups is what the normal law says, with 1 as with 10 samples a group.
    """
    values = np.random.default_rng(1).normal(size=400)
    low, high = bootstrap(lambda draw: float(np.average(values, weights=draw)), np.arange(400), resamples=2000)
    tenfold, groups = np.repeat(values, 10), np.repeat(np.arange(400), 10)
    shuffle = np.random.default_rng(2).permutation(4000)
    again = bootstrap(lambda draw: float(np.average(tenfold[shuffle], weights=draw)), groups[shuffle], resamples=2000)

    assert high - low == pytest.approx(2 * 1.96 * values.std() / 20, rel=0.1)
    assert again == pytest.approx((low, high))


def test_bootstrap_is_seeded_and_leaves_out_undefined_draws() -> None:
    """Equal seeds, equal intervals; a statistic that is never defined has none, nor has one without draws."""
    values, groups = np.random.default_rng(0).normal(size=30), np.arange(30)

    def mean(draw: np.ndarray) -> float:
        return float(np.average(values, weights=draw))

    assert bootstrap(mean, groups, resamples=20, seed=3) == bootstrap(mean, groups, resamples=20, seed=3)
    assert bootstrap(mean, groups, resamples=20, seed=3) != bootstrap(mean, groups, resamples=20, seed=4)
    assert all(map(math.isnan, bootstrap(lambda _: float("nan"), groups, resamples=20)))
    assert all(map(math.isnan, bootstrap(mean, groups, resamples=0)))
