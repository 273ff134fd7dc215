"""Agreement with opinions, distances of distributions, differences of methods: beside scipy, and by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats
from scipy.spatial.distance import jensenshannon

from training.metrics.bootstrap import paired_difference, paper_t_test
from training.metrics.distribution import (
    SMOOTHING,
    discretised,
    distribution_errors,
    emd1,
    emd2,
    fit_sd_curve,
    js,
    kl,
    ks,
    mean_distribution,
    normalised,
)
from training.metrics.opinion import agreement, fitted, krcc, rmse, srocc
from training.quality.votes import koniq_deviation, mean_and_deviation

Floats = NDArray[np.float64]
ONE, OTHER = np.array([[0.1, 0.2, 0.4, 0.2, 0.1]]), np.array([[0.0, 0.1, 0.2, 0.3, 0.4]])
shares = st.lists(st.floats(0, 1), min_size=5, max_size=5).filter(lambda row: sum(row) > 0.01)


def rng() -> np.random.Generator:
    return np.random.default_rng(5)


# --- Agreement


def test_agreement_is_scipys() -> None:
    """Correlations of scores, ranks and pairs, ties included, and the error in the truth's unit."""
    truth = np.round(rng().normal(3, 1, 60), 1)
    predicted = np.round(truth + rng().normal(0, 0.7, 60), 1)
    found = agreement(truth, predicted)
    assert found.plcc == pytest.approx(stats.pearsonr(truth, predicted).statistic)
    assert found.srocc == pytest.approx(stats.spearmanr(truth, predicted).statistic)
    assert found.krcc == pytest.approx(stats.kendalltau(truth, predicted, variant="b").statistic)
    assert found.rmse == pytest.approx(np.sqrt(((truth - predicted) ** 2).mean()))
    assert found.pictures == 60


def test_agreement_by_hand() -> None:
    """Four pictures, one pair in the wrong order: tau (5 - 1) / 6, Spearman 1 - 6 * 2 / 60."""
    truth, predicted = np.array([1.0, 2, 3, 4]), np.array([1.0, 3, 2, 4])
    assert krcc(truth, predicted) == pytest.approx(4 / 6)
    assert srocc(truth, predicted) == pytest.approx(0.8)
    assert rmse(truth, predicted) == pytest.approx(np.sqrt(0.5))
    assert srocc(truth, -predicted) == pytest.approx(-0.8)


def test_the_logistic_curve_takes_what_is_bent_and_stays_monotone() -> None:
    """Scores through a logistic of their own come back straight, falling ones, too (DMOS)."""
    truth = np.linspace(1, 5, 80)
    for sign in (1, -1):
        bent = sign * np.log((truth - 0.9) / (5.1 - truth)) * 3 + 40
        found = agreement(truth, bent)
        assert found.logistic
        assert found.plcc_fitted == pytest.approx(1, abs=1e-4)
        assert found.rmse_fitted < 0.02
        assert abs(found.plcc) < 0.99
        steps = np.diff(fitted(truth, bent)[np.argsort(bent)])
        assert (sign * steps >= -1e-9).all()


@pytest.mark.parametrize("predicted", [np.full(9, 2.0), np.zeros(0), np.ones(1)])
def test_nothing_is_said_of_equal_or_too_few_scores(predicted: Floats) -> None:
    """NaN, not an error and not 0: it would be read as no correlation."""
    found = agreement(np.arange(len(predicted), dtype=float), predicted)
    assert np.isnan([found.plcc, found.srocc, found.krcc, found.plcc_fitted]).all()
    assert not found.logistic


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(1, 5), st.floats(1, 5)), min_size=6, max_size=30))
def test_ranks_do_not_ask_how_far(pairs: list[tuple[float, float]]) -> None:
    """A strictly rising function of either side changes no correlation of ranks."""
    truth, predicted = (np.round(np.array(each), 3) for each in zip(*pairs, strict=True))
    for measure in (srocc, krcc):
        before, after = measure(truth, predicted), measure(np.exp(truth), predicted**3)
        assert before == pytest.approx(after, nan_ok=True)


# --- Distributions


def test_distances_by_hand() -> None:
    """Of the cumulative shares .1 .3 .7 .9 1 and 0 .1 .3 .6 1."""
    assert ks(ONE, OTHER)[0] == pytest.approx(0.4)
    assert emd1(ONE, OTHER)[0] == pytest.approx(0.1 + 0.2 + 0.4 + 0.3)
    assert emd2(ONE, OTHER)[0] == pytest.approx(np.sqrt((0.01 + 0.04 + 0.16 + 0.09) / 5))
    p, q = ((each + SMOOTHING) / (1 + 5 * SMOOTHING) for each in (ONE, OTHER))
    assert kl(ONE, OTHER)[0] == pytest.approx((p * np.log(p / q) + q * np.log(q / p)).sum())
    found = distribution_errors(ONE, OTHER)
    assert found.jeffreys == pytest.approx(found.kl / 2)
    assert found.mae == pytest.approx((0.1 + 0.1 + 0.2 + 0.1 + 0.3) / 5)
    assert found.rmse == pytest.approx(np.sqrt((0.01 + 0.01 + 0.04 + 0.01 + 0.09) / 5))


@given(shares, shares)
def test_distances_are_scipys(one: list[float], other: list[float]) -> None:
    """Wasserstein's over the scores 1 to 5, and the square of Jensen and Shannon's."""
    p, q = np.array([one]), np.array([other])
    scores = np.arange(1, 6)
    own = (normalised(p)[0], normalised(q)[0])
    assert emd1(p, q)[0] == pytest.approx(stats.wasserstein_distance(scores, scores, *own), abs=1e-9)
    expected = jensenshannon(*own) ** 2
    assert js(p, q)[0] == pytest.approx(0 if np.isnan(expected) else expected, abs=1e-9)


@given(shares, shares)
def test_what_no_normalised_distributions_can_break(one: list[float], other: list[float]) -> None:
    """KS is at most the total variation, 2.5 times the MAE, and at most EMD1; in the paper's Table 3 it is not."""
    p, q = np.array([one]), np.array([other])
    found = distribution_errors(p, q)
    assert found.ks <= 2.5 * found.mae + 1e-9
    assert found.ks <= found.emd1 + 1e-9
    assert 0 <= found.js <= np.log(2) + 1e-9
    assert found.emd2 <= 0.8945
    same = distribution_errors(p, p)
    assert max(same.kl, same.js, same.ks, same.emd1, same.emd2, same.mae, same.rmse) < 1e-9


def test_shares_that_are_none_are_made_some() -> None:
    """Below 0 counts as 0, any sum is brought to 1, and nothing at all becomes even."""
    found = normalised(np.array([[-1.0, 1, 1, 2, 0], [0, 0, 0, 0, 0]]))
    assert found.tolist() == [[0, 0.25, 0.25, 0.5, 0], [0.2] * 5]


def test_baselines_know_no_more_than_they_may() -> None:
    """The mean distribution is one for all; a Gaussian of five bins has the mean and about the deviation asked for."""
    rows = np.concatenate([ONE, OTHER])
    assert mean_distribution(rows) == pytest.approx([0.05, 0.15, 0.3, 0.25, 0.25])
    mos = np.linspace(1.3, 4.7, 30)
    cut = discretised(mos, koniq_deviation(mos))
    means, deviations = mean_and_deviation(cut)
    assert means == pytest.approx(mos, abs=0.03)
    assert deviations[5:25] == pytest.approx(np.sqrt(koniq_deviation(mos)[5:25] ** 2 + 1 / 12), abs=0.05)
    curve = fit_sd_curve(mos, koniq_deviation(mos))
    assert curve(np.array([2.0, 3.0])) == pytest.approx(koniq_deviation(np.array([2.0, 3.0])))


# --- Differences


def methods() -> tuple[Floats, Floats, Floats, NDArray[np.str_]]:
    """A good method and a bad one on 40 contents of 5 pictures."""
    truth = rng().uniform(1, 5, 200)
    good = truth + rng().normal(0, 0.3, 200)
    bad = truth + np.random.default_rng(6).normal(0, 1.5, 200)
    return truth, good, bad, np.repeat([f"c{at}" for at in range(40)], 5)


def test_a_difference_beyond_chance_is_found_and_none_is_not() -> None:
    """With its sign; the same seed draws the same contents."""
    truth, good, bad, contents = methods()
    found = paired_difference(srocc, truth, good, bad, contents, resamples=200, seed=1)
    assert found.difference == pytest.approx(srocc(truth, good) - srocc(truth, bad))
    assert 0 < found.interval[0] < found.difference < found.interval[1]
    assert found.p <= 2 / 200
    assert found == paired_difference(srocc, truth, good, bad, contents, resamples=200, seed=1)
    other = truth + np.random.default_rng(7).normal(0, 0.3, 200)
    none = paired_difference(srocc, truth, good, other, contents, resamples=200, seed=1)
    assert none.interval[0] < 0 < none.interval[1]
    assert none.p > 0.05


def test_contents_are_drawn_not_pictures() -> None:
    """With each picture five times, as pictures of one content, an interval is as wide as without the copies."""
    truth, good, bad, _ = methods()
    alone = paired_difference(srocc, truth, good, bad, np.arange(200), resamples=300, seed=2)
    many, better, worse, contents = (np.repeat(each, 5) for each in (truth, good, bad, np.arange(200)))
    grouped = paired_difference(srocc, many, better, worse, contents, resamples=300, seed=2)
    widths = [own.interval[1] - own.interval[0] for own in (alone, grouped)]
    assert widths[1] == pytest.approx(widths[0], rel=0.25)


def test_the_papers_own_test_needs_its_2000_pictures() -> None:
    """Twenty subsets of a hundred; a better method has a small p."""
    truth = rng().uniform(1, 5, 2000)
    good, bad = (truth + np.random.default_rng(at).normal(0, noise, 2000) for at, noise in ((1, 0.3), (2, 1.0)))
    assert paper_t_test(srocc, truth, good, bad, seed=0) < 1e-6
    with pytest.raises(ValueError, match="needs 2000 pictures; there are 1999"):
        paper_t_test(srocc, truth[1:], good[1:], bad[1:], seed=0)
