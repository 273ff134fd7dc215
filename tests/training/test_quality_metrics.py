"""Measures of opinions and of their distributions, against scipy's own and values worked out by hand."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

pytest.importorskip("scipy", reason="needs the train extra (pip install 'framegate[train]')")
from scipy import stats
from scipy.spatial.distance import jensenshannon

from training.metrics.bootstrap import paired_difference, paper_t_test
from training.metrics.distribution import (
    KONIQ_SD_CURVE,
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

Floats = NDArray[np.float64]

few = settings(deadline=None, max_examples=40)
SCORES = np.arange(1, 6)
HALVES = np.array([[0.5, 0.5, 0, 0, 0]])
SHIFTED = np.array([[0, 0.5, 0.5, 0, 0]])
"""The votes of HALVES, each a score higher."""
pairs = st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8)), min_size=2, max_size=25)
shares = st.lists(st.integers(0, 1000).map(lambda part: part / 1000), min_size=5, max_size=5).filter(
    lambda own: sum(own) > 0.1
)


def row(values: list[float]) -> Floats:
    """One picture's shares, (1, 5)."""
    return np.array([values]) / sum(values)


# --- Opinions


def test_rank_correlations_by_hand() -> None:
    """1 2 3 4 against 1 3 2 4: rho = 1 - 6 * 2 / (4 * 15) = 0.8; of six pairs one is the wrong way: tau = 4 / 6."""
    truth, predicted = np.array([1, 2, 3, 4]), np.array([10, 30, 20, 40])
    assert srocc(truth, predicted) == pytest.approx(0.8)
    assert krcc(truth, predicted) == pytest.approx(4 / 6)


def test_ties_are_taken_out_of_taus_count() -> None:
    """Tau-b of 1 1 2 3 and 1 2 3 4: five pairs in order, none against, 5 / sqrt((6 - 1) * 6)."""
    assert krcc(np.array([1, 1, 2, 3]), np.array([1, 2, 3, 4])) == pytest.approx(5 / math.sqrt(30))


@few
@given(pairs)
def test_rank_correlations_are_pearsons_of_ranks_and_of_the_signs_of_pairs(found: list[tuple[int, int]]) -> None:
    """By their definitions, ties included; NaN where all of one side are equal."""
    truth, predicted = np.array(found, float).T
    if len(set(truth)) == 1 or len(set(predicted)) == 1:
        assert math.isnan(srocc(truth, predicted))
        assert math.isnan(krcc(truth, predicted))
        return
    ranks = stats.rankdata(truth), stats.rankdata(predicted)
    assert srocc(truth, predicted) == pytest.approx(np.corrcoef(*ranks)[0, 1])
    signs = [np.sign(own[:, None] - own[None]) for own in (truth, predicted)]
    tau = (signs[0] * signs[1]).sum() / math.sqrt((signs[0] ** 2).sum() * (signs[1] ** 2).sum())
    assert krcc(truth, predicted) == pytest.approx(tau)


def test_rmse_by_hand() -> None:
    """Errors of 3 and 4: the root of 12.5; whole numbers are not cut."""
    assert rmse(np.array([0, 0], np.uint8), np.array([3, 4], np.uint8)) == pytest.approx(math.sqrt(12.5))
    assert rmse(np.array([5], np.uint8), np.array([2], np.uint8)) == 3
    assert math.isnan(rmse(np.array([]), np.array([])))


@pytest.mark.parametrize("direction", [1, -1])
def test_the_logistic_undoes_another_scale(direction: int) -> None:
    """What is a logistic of the scores is fitted to the last digits, whichever way they run."""
    scores = np.linspace(-300, 500, 60)
    truth = 4.5 + (1.2 - 4.5) / (1 + np.exp(-(direction * scores - 80) / 70))
    found = agreement(truth, scores)
    assert found.logistic
    assert found.plcc_fitted == pytest.approx(1, abs=1e-6)
    assert found.rmse_fitted == pytest.approx(0, abs=1e-4)
    assert abs(found.plcc) < 0.98
    assert found.rmse > 100
    np.testing.assert_allclose(fitted(truth, scores), truth, atol=1e-3)


def test_the_fit_is_the_best_logistic() -> None:
    """No other parameters near by have a smaller error, on scores with noise."""
    rng = np.random.default_rng(3)
    scores = rng.uniform(0, 1, 200)
    truth = 1 + 4 / (1 + np.exp(-(scores - 0.4) / 0.1)) + rng.normal(0, 0.3, 200)
    found = agreement(truth, scores)
    best = min(
        rmse(truth, low + (high - low) / (1 + np.exp(-(scores - middle) / width)))
        for low in np.linspace(0.8, 1.2, 9)
        for high in np.linspace(4.8, 5.2, 9)
        for middle in np.linspace(0.35, 0.45, 9)
        for width in np.linspace(0.07, 0.13, 9)
    )
    assert found.logistic
    assert found.rmse_fitted <= best + 1e-9


def test_where_no_logistic_can_be_fitted_a_line_is_and_that_is_told() -> None:
    """Scores that grow without an end have no logistic; the ranks are right all the same."""
    truth, scores = np.exp(np.arange(20.0)), np.arange(20.0)
    found = agreement(truth, scores)
    assert not found.logistic
    np.testing.assert_allclose(fitted(truth, scores), np.polyval(np.polyfit(scores, truth, 1), scores))
    assert found.plcc_fitted == pytest.approx(found.plcc)
    assert found.srocc == 1


@pytest.mark.parametrize("count", [0, 1, 4])
def test_of_few_pictures_nothing_is_fitted(count: int) -> None:
    """Four parameters go through four pictures."""
    truth, scores = np.arange(count) * 1.0, np.arange(count) * 2.0
    found = agreement(truth, scores)
    assert math.isnan(found.plcc_fitted)
    assert math.isnan(found.rmse_fitted)
    assert not found.logistic
    np.testing.assert_array_equal(fitted(truth, scores), scores)
    assert math.isnan(found.srocc) == (count < 2)


def test_equal_scores_agree_with_nothing() -> None:
    """NaN, not 0: there is no order to be right or wrong."""
    found = agreement(np.arange(8.0), np.full(8, 0.1))
    for value in (found.plcc, found.plcc_fitted, found.srocc, found.krcc, found.rmse_fitted):
        assert math.isnan(value)
    assert found.rmse > 0
    other = agreement(np.full(8, 3.0), np.arange(8.0))
    assert math.isnan(other.plcc_fitted)
    assert math.isnan(other.srocc)


@settings(few, max_examples=15)  # two curves are fitted in each
@given(st.integers(0, 10_000), st.floats(0.1, 50), st.floats(-100, 100))
def test_agreement_is_that_of_scipy_and_is_blind_to_a_scale(seed: int, factor: float, offset: float) -> None:
    """Another unit changes neither ranks nor Pearson's, nor what is left after the curve."""
    rng = np.random.default_rng(seed)
    truth = rng.uniform(1, 5, 30)
    predicted = truth + rng.normal(0, 0.7, 30)
    found, scaled = agreement(truth, predicted), agreement(truth, factor * predicted + offset)
    assert found.plcc == pytest.approx(stats.pearsonr(truth, predicted).statistic)
    assert found.srocc == pytest.approx(stats.spearmanr(truth, predicted).statistic)
    assert found.krcc == pytest.approx(stats.kendalltau(truth, predicted).statistic)
    assert (scaled.plcc, scaled.srocc, scaled.krcc) == pytest.approx((found.plcc, found.srocc, found.krcc))
    assert scaled.rmse_fitted == pytest.approx(found.rmse_fitted, abs=1e-4)
    assert found.rmse_fitted <= found.rmse + 1e-6


# --- Distributions


def test_shares_are_brought_to_one_with_nothing_below_zero() -> None:
    """A network without a softmax says such things; of nothing at all every vote is as likely."""
    np.testing.assert_allclose(
        normalised(np.array([[-1, 2, 2, 0, 0], [0, 0, 0, 0, -3]])), [[0, 0.5, 0.5, 0, 0], [0.2] * 5]
    )


def test_what_is_not_a_number_stays_none() -> None:
    """A row that a network could not tell is no even distribution: every measure of it is NaN, and of no others."""
    broken = np.array([[0.2, np.nan, 0.2, 0.2, 0.4], [0, 0, 1, 0, 0]])
    np.testing.assert_array_equal(np.isnan(normalised(broken)).all(axis=1), [True, False])
    for measure in (kl, js, ks, emd1, emd2):
        np.testing.assert_array_equal(np.isnan(measure(broken, np.repeat(HALVES, 2, axis=0))), [True, False])
        np.testing.assert_array_equal(np.isnan(measure(np.repeat(HALVES, 2, axis=0), broken)), [True, False])


def test_of_no_pictures_every_mean_is_nan() -> None:
    """And nothing is warned of: a side of a set may have no distributions."""
    found = distribution_errors(np.zeros((0, 5)), np.zeros((0, 5)))
    assert found.pictures == 0
    assert all(math.isnan(value) for value in dataclasses.astuple(found)[1:])


def test_distances_by_hand() -> None:
    """Half of the votes two scores higher, or all one: 1 score of earth, in steps of a half and a half."""
    assert ks(HALVES, SHIFTED)[0] == pytest.approx(0.5)
    assert emd1(HALVES, SHIFTED)[0] == pytest.approx(1)
    assert emd2(HALVES, SHIFTED)[0] == pytest.approx(math.sqrt((0.25 + 0.25) / 5))
    assert js(HALVES, SHIFTED)[0] == pytest.approx(0.5 * math.log(2))
    ends = np.array([[1.0, 0, 0, 0, 0]]), np.array([[0, 0, 0, 0, 1.0]])
    assert (ks(*ends)[0], emd1(*ends)[0]) == (1, 4)
    assert emd2(*ends)[0] == pytest.approx(math.sqrt(4 / 5))
    assert js(*ends)[0] == pytest.approx(math.log(2))


def test_the_divergence_by_hand() -> None:
    """With 0.001 added to each share before all are divided by 1.005: the third's and the first's log ratios."""
    much, none = 0.501 / 1.005, 0.001 / 1.005
    assert SMOOTHING == 1e-3
    assert kl(HALVES, SHIFTED)[0] == pytest.approx(2 * (much - none) * math.log(much / none))
    found = distribution_errors(HALVES, SHIFTED)
    assert found.jeffreys == pytest.approx(found.kl / 2)


@few
@given(shares, shares)
def test_distances_are_scipys(first: list[float], second: list[float]) -> None:
    """Wasserstein's distance of the scores, Jensen and Shannon's squared, Kullback and Leibler's both ways."""
    p, q = row(first), row(second)
    assert emd1(p, q)[0] == pytest.approx(stats.wasserstein_distance(SCORES, SCORES, p[0], q[0]), abs=1e-9)
    assert js(p, q)[0] == pytest.approx(jensenshannon(p[0], q[0]) ** 2, abs=1e-7)
    smooth = [(own[0] + SMOOTHING) / (1 + 5 * SMOOTHING) for own in (p, q)]
    assert kl(p, q)[0] == pytest.approx(stats.entropy(*smooth) + stats.entropy(*smooth[::-1]), abs=1e-9)
    assert ks(p, q)[0] == pytest.approx(np.abs(np.cumsum(p - q)).max(), abs=1e-12)


@few
@given(shares, shares)
def test_no_distributions_can_have_the_papers_numbers(first: list[float], second: list[float]) -> None:
    """KS is at most 2.5 times the MAE, and no more than EMD with r = 1: Table 3 of DeepRN breaks both."""
    p, q = row(first), row(second)
    found = distribution_errors(p, q)
    assert found.ks <= 2.5 * found.mae + 1e-12
    assert found.ks <= found.emd1 + 1e-12
    assert found.emd1 <= math.sqrt(5 * 4) * found.emd2 + 1e-9
    assert found.mae <= found.rmse + 1e-12


@few
@given(shares, shares, st.floats(0.1, 10))
def test_distances_are_of_shares_and_of_no_direction(first: list[float], second: list[float], factor: float) -> None:
    """The sum of what a network says does not count, nor which of the two is true; 0 of itself."""
    p, q = np.array([first]), np.array([second])
    for measure in (kl, js, ks, emd1, emd2):
        assert measure(p * factor, q)[0] == pytest.approx(measure(q, p)[0], abs=1e-9)
        assert measure(p, p * factor)[0] == pytest.approx(0, abs=1e-9)


def test_errors_are_means_over_pictures() -> None:
    """Of a picture that is right and one that is not; deviations of 0.5, 2 and 0, in that order on both sides."""
    ends, one = [0.5, 0, 0, 0, 0.5], [0.0, 0, 1, 0, 0]
    truth = np.array([HALVES[0], ends, one])
    predicted = np.array([SHIFTED[0], ends, one])
    found = distribution_errors(truth, predicted)
    assert found.pictures == 3
    assert (found.ks, found.emd1) == pytest.approx((0.5 / 3, 1 / 3))
    assert found.mae == pytest.approx(0.2 / 3)
    assert found.rmse == pytest.approx(math.sqrt(0.1) / 3)
    assert (found.plcc_sd, found.srocc_sd) == pytest.approx((1, 1))


def test_one_distribution_for_all_has_no_correlation_of_deviations() -> None:
    """The first baseline: NaN, not a number that rounding makes."""
    truth = normalised(np.random.default_rng(0).uniform(0, 1, (1000, 5)))
    mean = mean_distribution(truth)
    np.testing.assert_allclose(mean, truth.mean(axis=0))
    found = distribution_errors(truth, np.broadcast_to(mean, truth.shape))
    assert math.isnan(found.plcc_sd)
    assert math.isnan(found.srocc_sd)


def test_koniqs_curve_by_hand() -> None:
    """At 3: -0.4518 + 0.7995 + 0.2462."""
    np.testing.assert_allclose(KONIQ_SD_CURVE(np.array([3.0])), [0.5939])


def test_a_sets_own_curve_is_the_parabola_of_its_votes() -> None:
    """Fitted to points of a parabola it is that parabola."""
    means = np.linspace(1.2, 4.6, 30)
    curve = fit_sd_curve(means, 0.3 + 0.2 * means - 0.04 * means**2)
    np.testing.assert_allclose(curve(np.array([2.0, 5.0])), [0.54, 0.3], atol=1e-9)


@few
@given(st.floats(1.0, 5.0), st.floats(0.2, 1.2))
def test_the_second_baseline_has_the_mean_that_it_was_given(mos: float, deviation: float) -> None:
    """To 2e-3 even at the ends of the scale; and it stays a distribution with one hill."""
    [found] = discretised(np.array([mos]), np.array([deviation]))
    assert found.sum() == pytest.approx(1)
    assert found @ SCORES == pytest.approx(mos, abs=2e-3)
    signs = np.sign(np.diff(found))
    signs = signs[signs != 0]
    assert (np.diff(signs) <= 0).all()


# --- Differences


def test_a_real_difference_is_told_from_chance() -> None:
    """One method near the truth, one far from it, 40 contents of 5 pictures each."""
    rng = np.random.default_rng(1)
    truth, contents = rng.uniform(1, 5, 200), np.repeat(np.arange(40), 5)
    near, far = truth + rng.normal(0, 0.2, 200), truth + rng.normal(0, 2, 200)
    found = paired_difference(srocc, truth, near, far, contents, resamples=300, seed=0)
    assert found.difference == pytest.approx(srocc(truth, near) - srocc(truth, far))
    assert found.interval[0] < found.difference < found.interval[1]
    assert found.interval[0] > 0
    assert found.p == pytest.approx(2 / 301)  # of 300 draws none goes the other way
    other = paired_difference(srocc, truth, far, near, contents, resamples=300, seed=0)
    assert other.difference == -found.difference
    assert other.interval == pytest.approx((-found.interval[1], -found.interval[0]))


def test_equal_methods_do_not_differ() -> None:
    """Not by anything, in any draw."""
    truth = np.random.default_rng(0).uniform(1, 5, 50)
    found = paired_difference(srocc, truth, truth, truth, np.arange(50), resamples=50, seed=0)
    assert (found.difference, found.interval, found.p) == (0, (0, 0), 1)


@pytest.mark.parametrize("contents", [0, 1])
def test_one_content_tells_no_certainty(contents: int) -> None:
    """All draws of one are alike; the difference itself is told where there is one."""
    truth = np.random.default_rng(0).uniform(1, 5, 30 * contents)
    found = paired_difference(srocc, truth, truth, -truth, np.zeros(len(truth)), resamples=20, seed=0)
    assert math.isnan(found.p)
    assert all(math.isnan(end) for end in found.interval)
    assert math.isnan(found.difference) if contents == 0 else found.difference == pytest.approx(2)


def test_what_is_drawn_are_contents() -> None:
    """Repeating each content's pictures ten times adds nothing that could be known: the interval stays as wide."""
    rng = np.random.default_rng(5)
    truth = rng.uniform(1, 5, 60)
    near, far = truth + rng.normal(0, 0.6, 60), truth + rng.normal(0, 0.8, 60)
    alone = paired_difference(srocc, truth, near, far, np.arange(60), resamples=200, seed=2)
    copied = [np.repeat(own, 10) for own in (truth, near, far, np.arange(60))]
    together = paired_difference(srocc, *copied, resamples=200, seed=2)
    assert together.interval == pytest.approx(alone.interval, abs=1e-9)


def test_draws_are_settled_by_the_seed() -> None:
    """The same seed, the same interval; and none are drawn where none are wanted."""
    rng = np.random.default_rng(5)
    truth, near, far = rng.uniform(1, 5, (3, 60))
    contents = np.arange(60)
    first, again, other = (
        paired_difference(srocc, truth, near, far, contents, resamples=50, seed=seed) for seed in (2, 2, 3)
    )
    assert first == again
    assert first.interval != other.interval
    assert math.isnan(paired_difference(srocc, truth, near, far, contents, resamples=0, seed=0).p)


def test_the_papers_test_is_scipys_over_disjoint_subsets() -> None:
    """20 of 100 pictures each; of fewer pictures it cannot be made."""
    rng = np.random.default_rng(0)
    truth = rng.uniform(1, 5, 2000)
    near, far = truth + rng.normal(0, 0.5, 2000), truth + rng.normal(0, 0.8, 2000)
    assert paper_t_test(srocc, truth, near, far, seed=0) < 1e-6
    assert paper_t_test(srocc, truth, near, near, seed=0) == pytest.approx(1)
    sizes: list[int] = []
    seen: list[float] = []

    def watched(own: Floats, _: Floats) -> float:
        sizes.append(len(own))
        seen.extend(own)
        return float(own.mean())

    paper_t_test(watched, truth, near, far, seed=0)
    assert sizes == [100] * 40
    assert sorted(seen[:2000]) == sorted(truth)
    with pytest.raises(ValueError, match="needs 2000 pictures; there are 60"):
        paper_t_test(srocc, truth[:60], near[:60], far[:60], seed=0)


@pytest.mark.parametrize("seed", range(6))
def test_one_distribution_for_all_has_no_correlation(seed: int) -> None:
    """Equal shares have equal deviations, to the last digit, so that nothing is told of how these go together."""
    taught = np.random.default_rng(seed).dirichlet(np.ones(5), 19118)
    truth = taught[:4379]
    found = distribution_errors(truth, np.broadcast_to(mean_distribution(taught), truth.shape))
    assert np.isnan([found.plcc_sd, found.srocc_sd]).all()
