"""Scores held to networks: who judges, on which samples, and what comes of it."""

import math

import numpy as np
import pytest

from runtime.errors import ConfigError
from tests.training.labels_by_hand import NAMES, TOTAL, four_classifiers
from training.utility.baselines import confidence, encoded_size
from training.utility.evaluation import ALL, ANCHOR, DAMAGED, Scoring, baselines, evaluate, measure
from training.utility.judges import Judge, judges_of
from training.utility.label_set import LabelSet


@pytest.fixture
def labels() -> LabelSet:
    return four_classifiers()


def test_roles_follow_families(labels: LabelSet) -> None:
    """Of a labeller's family: kin. The unseen are pooled; agreements of the unseen and of all."""
    judges = {judge.name: judge for judge in judges_of(labels, ["old"])}

    assert {name: judge.role for name, judge in judges.items()} == {
        "pooled: young, younger": "pooled",
        "young": "unseen",
        "younger": "unseen",
        "older": "kin",
        "old": "labeller",
        "agreement of the unseen": "agreement",
        "agreement of all": "agreement",
    }


def test_only_recognised_sources_count(labels: LabelSet) -> None:
    """Young does not recognise the first source: its samples are left out, grey ones of others are not."""
    judges = {judge.name: judge for judge in judges_of(labels, [])}

    np.testing.assert_array_equal(judges["young"].sample, np.arange(5, TOTAL))
    np.testing.assert_array_equal(judges["young"].right, np.tile([True, True, False, True, False], 5))
    np.testing.assert_array_equal(judges["younger"].sample, np.arange(TOTAL))


def test_pooled_is_one_after_the_other(labels: LabelSet) -> None:
    """Each network's samples, verdicts and own confidence."""
    pooled, *_ = judges_of(labels.only(["young", "younger"]), [])
    own = np.concatenate([confidence(labels, "young")[5:], confidence(labels, "younger")])

    assert len(pooled.sample) == 2 * TOTAL - 5
    np.testing.assert_array_equal(pooled.confidence, own)
    np.testing.assert_array_equal(pooled.verdicts["paper"][-5:], [1, 1, 1, 0, 0])


def test_agreement_judges_by_the_majority(labels: LabelSet) -> None:
    """Old, older and younger on one source, damage by damage; kept is what all three say."""
    [agreed] = [j for j in judges_of(labels.only(["old", "older", "younger"]), []) if j.role == "agreement"]

    np.testing.assert_array_equal(agreed.right[:5], [True, True, False, True, True])
    np.testing.assert_array_equal(agreed.verdicts["relative"][:5], [1, -1, -1, -1, -1])
    assert agreed.confidence is None


def test_an_unknown_labeller_is_an_error(labels: LabelSet) -> None:
    """Else a slip of the pen would call every network unseen."""
    with pytest.raises(ConfigError, match=r"--trained-on odl: .* has old, older, young, younger"):
        judges_of(labels, ["old", "odl"])


def test_by_hand() -> None:
    """Ten samples of five sources, four wrong, three grey; threshold .5."""
    scores = np.array([0.9, 0.8, 0.7, 0.6, 0.55, 0.4, 0.3, 0.2, 0.1, 0.0])
    right = np.array([1, 1, 0, 1, 1, 1, 0, 1, 0, 0], bool)
    verdicts = np.array([1, 1, -1, 1, -1, 1, 0, -1, 0, 0], np.int8)
    judge = Judge("it", "unseen", np.arange(10), right, {"paper": verdicts}, None)

    found = measure(Scoring("s", "gate", scores, 0.5, probability=True), scores, judge, np.arange(10) // 2, 100)

    assert (found.samples, found.sources, found.right) == (10, 5, 0.6)
    assert found.auroc == pytest.approx((4 + 4 + 3 + 3 + 3 + 2) / 24)
    assert found.accuracy == pytest.approx(0.7)
    assert found.balanced_accuracy == pytest.approx((4 / 6 + 3 / 4) / 2)
    assert found.best_accuracy == pytest.approx(0.8)
    assert found.gains["20%"] == pytest.approx((0.4 - 0.25) / (0.4 - 0.25))
    assert found.gains["10%"] == pytest.approx(1)
    assert found.gains["30%"] == pytest.approx((0.4 - 2 / 7) / (0.4 - 1 / 7))
    kept = found.kept["paper"]
    assert (kept.samples, kept.grey_zone) == pytest.approx((7, 0.3))
    assert kept.accuracy == pytest.approx(6 / 7)
    assert kept.balanced_accuracy == pytest.approx((3 / 4 + 1) / 2)
    assert kept.best_accuracy == 1
    for low, high in (found.auroc_interval, found.gain_20_interval, kept.accuracy_interval):
        assert low < high
    assert found.auroc_interval[0] <= found.auroc <= found.auroc_interval[1]


def test_the_order_of_the_samples_changes_nothing(labels: LabelSet) -> None:
    """Intervals included: sources are drawn, not places."""
    judge = judges_of(labels, [])[0]
    scores = np.random.default_rng(0).random(len(judge.sample)).round(1)
    groups = labels.samples.source[judge.sample]
    shuffle = np.random.default_rng(1).permutation(len(scores))
    scoring = Scoring("s", "gate", None, 0.5, probability=True)

    one = measure(scoring, scores, judge, groups, 50)
    other = measure(scoring, scores[shuffle], judge.where(shuffle), groups[shuffle], 50)

    assert one.auroc == pytest.approx(other.auroc)
    assert one.auroc_interval == pytest.approx(other.auroc_interval)
    assert one.gain_20_interval == pytest.approx(other.gain_20_interval)
    assert one.kept["relative"].accuracy_interval == pytest.approx(other.kept["relative"].accuracy_interval)


def test_a_score_without_threshold_has_no_accuracy_of_its_own(labels: LabelSet) -> None:
    """Bytes and sharpness are no decisions and no probabilities; the best threshold is told as such."""
    judge = judges_of(labels, [])[0]
    scoring = Scoring("size", "baseline", encoded_size(labels))
    found = measure(scoring, scoring.scores[judge.sample], judge, judge.sample, 0)  # type: ignore[index]

    assert all(map(math.isnan, (found.accuracy, found.ece, found.kept["paper"].accuracy, *found.auroc_interval)))
    assert 0.5 <= found.best_accuracy <= 1


def test_rows_are_all_damaged_and_each_kind(labels: LabelSet) -> None:
    """Of each judge; the anchor is each network's own confidence, and is not told twice under its name."""
    scorings = baselines(labels, ["old"])
    rows = {
        (row.scoring, row.judge, row.kind): row.measures
        for row in evaluate(labels, scorings, judges_of(labels, ["old"]), 0)
    }

    kinds = {kind for _, judge, kind in rows if judge == "younger"}
    assert kinds == {ALL, DAMAGED, "dark", "jpeg", "gaussian"}
    assert rows[ANCHOR, "younger", ALL].samples == TOTAL
    assert rows[ANCHOR, "younger", DAMAGED].samples == TOTAL - len(NAMES)
    assert rows[ANCHOR, "younger", "dark"].samples == 2 * len(NAMES)
    assert rows[ANCHOR, "young", ALL].auroc == 1  # sure exactly where it is right
    assert ("confidence of old", "young", ALL) in rows
    assert ("confidence of old", "old", ALL) not in rows
    assert ("confidence of young", "old", ALL) not in rows
    assert not any(scoring == ANCHOR and judge.startswith("agreement") for scoring, judge, _ in rows)
