"""What networks gain behind a gate, against counts by hand."""

import math

import numpy as np
import pytest

from tests.training.labels_by_hand import NAMES, TOTAL, detectors, four_classifiers, pattern
from training.utility.filtering import FilteredClassifier, FilteredDetector, filter_networks
from training.utility.header import PSEUDO_TRUTH
from training.utility.label_set import LabelSet


@pytest.fixture
def labels() -> LabelSet:
    return four_classifiers()


def test_a_classifier_by_hand(labels: LabelSet) -> None:
    """Younger is right on 3 of 5 samples of each source; the gate lets dark .1 and JPEG fall."""
    passes = pattern(True, True, False, False, True)

    [found] = filter_networks(labels.only(["younger"]), {"g": passes}, 50)

    assert isinstance(found, FilteredClassifier)
    assert (found.network, found.gate) == ("younger", "g")
    assert (found.samples, found.kept) == pytest.approx((TOTAL, 0.6))
    assert found.accuracy_before == pytest.approx(3 / 5)
    assert found.accuracy_after == pytest.approx(2 / 3)
    assert found.right_kept == pytest.approx(2 / 3)
    assert found.wrong_dropped == pytest.approx(1 / 2)
    assert found.rise_interval == pytest.approx((1 / 15, 1 / 15))  # every source is alike


def test_unrecognised_sources_count(labels: LabelSet) -> None:
    """A network behind a gate is shown those pictures, too: 5 of 6 sources with 3 of 5 right."""
    [found] = filter_networks(labels.only(["young"]), {"g": np.ones(TOTAL, bool)}, 0)

    assert isinstance(found, FilteredClassifier)
    assert found.accuracy_before == found.accuracy_after == pytest.approx(5 / 6 * 3 / 5)


def test_a_gate_that_drops_all_leaves_nothing_to_measure(labels: LabelSet) -> None:
    """NaN, not 0."""
    [found] = filter_networks(labels.only(["young"]), {"g": np.zeros(TOTAL, bool)}, 0)

    assert isinstance(found, FilteredClassifier)
    assert math.isnan(found.accuracy_after)


def test_a_detector_by_hand() -> None:
    """Found at .9 undamaged, .8 in half darkness, .6 blurred; a stray box in darkness; JPEG and night find none.

    The gate drops JPEG and night, or puts the undamaged picture in their place.
    """
    labels = detectors({"young": [[0.9], [0.8, 0.7], [], [], [0.6]] * len(NAMES)})
    passes = pattern(True, True, False, False, True)

    [found] = filter_networks(labels, {"g": passes}, 20)

    assert isinstance(found, FilteredDetector)
    assert (found.recall_before, found.recall_dropped, found.recall_replaced) == pytest.approx((0.6, 1, 1))
    assert found.recall_rise_interval == pytest.approx((0.4, 0.4))
    # precision 1 up to the stray box (2 of 5 found), 3 of 4 from there to 3 of 5
    assert found.ap50_before == pytest.approx((41 * 1 + 20 * 3 / 4) / 101)
    assert found.ap_before == pytest.approx(found.ap50_before)  # the boxes are exact at every IoU
    assert found.ap50_dropped == pytest.approx((67 * 1 + 34 * 3 / 4) / 101)
    assert found.ap50_replaced == pytest.approx((81 * 1 + 20 * 5 / 6) / 101)


def test_pseudo_truth_takes_the_undamaged_answer() -> None:
    """True boxes are then what was found undamaged with .5 or more: here two of three, of which one stays found."""
    labels = detectors({"young": [[0.9, 0.6, 0.3], [0.9], [0.9], [0.9], [0.9]] * len(NAMES)}, PSEUDO_TRUTH)

    [found] = filter_networks(labels, {"g": np.ones(TOTAL, bool)}, 0)

    # of 60 true boxes 36 are found, all of them right
    assert isinstance(found, FilteredDetector)
    assert found.ap50_before == pytest.approx(61 / 101)
