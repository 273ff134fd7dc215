"""Calibration against hand-computed cases and a plain loop."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.metrics.calibration import ece, reliability


def test_ece_by_hand() -> None:
    """Ten bins: {.05, .05} with one positive, {.95} right, {1.0 and .9, of the last bin} with one right."""
    scores = np.array([0.05, 0.05, 0.95, 1.0, 0.9])
    positives = np.array([True, False, True, False, True])

    points = reliability(scores, positives, bins=10)

    np.testing.assert_array_equal(points.count, [2, 3])
    np.testing.assert_allclose(points.score, [0.05, 0.95])
    np.testing.assert_allclose(points.frequency, [0.5, 2 / 3])
    assert ece(scores, positives, bins=10) == pytest.approx(2 / 5 * 0.45 + 3 / 5 * (0.95 - 2 / 3))


@settings(deadline=None, max_examples=80)
@given(st.lists(st.tuples(st.integers(0, 64), st.booleans()), min_size=1, max_size=30), st.sampled_from([1, 4, 15]))
def test_ece_is_the_mean_gap_of_a_samples_bin(samples: list[tuple[int, bool]], bins: int) -> None:
    """A plain loop over bins [i / n, (i + 1) / n), the last closed."""
    pairs = [(number / 64, flag) for number, flag in samples]
    expected = 0.0
    for i in range(bins):
        inside = [(s, f) for s, f in pairs if i / bins <= s < (i + 1) / bins or (i == bins - 1 and s == 1)]
        if inside:
            gap = abs(np.mean([s for s, _ in inside]) - np.mean([f for _, f in inside]))
            expected += len(inside) / len(pairs) * float(gap)

    scores, positives = np.array([s for s, _ in pairs]), np.array([f for _, f in pairs])
    assert ece(scores, positives, bins) == pytest.approx(expected)


def test_calibrated_scores_have_a_small_error_and_overconfident_ones_a_large_one() -> None:
    """Outcomes drawn with the scores' own probability; then the same with every score pushed outwards."""
    random = np.random.default_rng(0)
    scores = random.random(20000)
    positives = random.random(20000) < scores

    assert ece(scores, positives) < 0.02
    assert ece(np.where(scores > 0.5, 1.0, 0.0), positives) == pytest.approx(0.25, abs=0.01)


def test_no_samples_have_no_error() -> None:
    """NaN, not 0."""
    assert math.isnan(ece(np.zeros(0), np.zeros(0, bool)))
