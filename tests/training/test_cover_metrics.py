"""Measures of clarity, masks and saliency maps, against values worked out by hand and against their definitions."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.data.mask import IGNORE
from training.metrics.correlation import lcc
from training.metrics.saliency import SaliencySum, saliency_errors
from training.metrics.segmentation import (
    at_label_size,
    confusion,
    foreground_iou,
    image_ious,
    mean_image_iou,
    predicted_proportions,
    proportion_error,
    true_proportions,
    two_class_miou,
)

few = settings(deadline=None, max_examples=60)
LABEL = np.array([[1, 1, 0, 0], [1, 0, 0, IGNORE]], np.uint8)
PREDICTED = np.array([[1, 0, 1, 0], [1, 0, 0, 1]], bool)
"""Of LABEL: 2 right, 1 missed, 1 too many, 3 right background, 1 that counts nowhere."""


def test_lcc_by_hand() -> None:
    """Of 1, 2, 3 and 1, 3, 2: deviations -1 0 1 and -1 1 0, so 1 / 2."""
    assert lcc(np.array([1, 2, 3]), np.array([1, 3, 2])) == pytest.approx(0.5)


@few
@given(st.lists(st.tuples(st.floats(1, 10), st.floats(1, 10)), min_size=3, max_size=20), st.integers(0, 9))
def test_lcc_is_pearsons_and_a_weight_is_a_copy(pairs: list[tuple[float, float]], seed: int) -> None:
    """As numpy has it, of the samples repeated as often as they weigh; NaN where it is not defined."""
    truth, predicted = np.round(np.array(pairs), 3).T
    weights = np.random.default_rng(seed).integers(0, 3, len(truth))
    own, other = np.repeat(truth, weights), np.repeat(predicted, weights)

    found = lcc(truth, predicted, weights)

    if len(set(own)) > 1 and len(set(other)) > 1:
        assert found == pytest.approx(np.corrcoef(own, other)[0, 1], abs=1e-6)
    else:
        assert math.isnan(found)


def test_lcc_of_equal_scores_or_none_is_not_told() -> None:
    """Rounding does not make a correlation of a constant."""
    assert math.isnan(lcc(np.array([0.1] * 7), np.arange(7)))
    assert math.isnan(lcc(np.array([0.1, 0.2, 0.3]), np.full(3, 0.7)))
    assert math.isnan(lcc(np.array([]), np.array([])))


def test_confusion_by_hand_leaves_out_what_is_ignored() -> None:
    """Rows are true, columns predicted; int64."""
    counts = confusion(PREDICTED, LABEL)

    assert counts.tolist() == [[3, 1], [1, 2]]
    assert counts.dtype == np.int64


def test_iou_by_hand() -> None:
    """Over the set the pixels are added up; over pictures each counts the same; two classes: the background's too."""
    first, second = confusion(PREDICTED, LABEL), np.array([[90, 0], [0, 6]])
    both = np.array([first, second])

    assert foreground_iou(both) == pytest.approx(8 / 10)
    assert image_ious(both).tolist() == [0.5, 1]
    assert mean_image_iou(both) == pytest.approx(0.75)
    assert two_class_miou(both) == pytest.approx((8 / 10 + 93 / 95) / 2)
    assert foreground_iou(both, np.array([2, 0])) == pytest.approx(0.5)
    assert foreground_iou(both, np.array([1, 2])) == pytest.approx(14 / 16)
    assert mean_image_iou(both, np.array([3, 1])) == pytest.approx(2.5 / 4)


def test_an_empty_union_is_right() -> None:
    """No foreground and none predicted: the picture's IoU is 1; a set of such pictures has none."""
    nothing = np.array([[[8, 0], [0, 0]]])

    assert image_ious(nothing).tolist() == [1]
    assert math.isnan(foreground_iou(nothing))
    assert image_ious(np.array([[[8, 1], [0, 0]]])).tolist() == [0]
    assert math.isnan(mean_image_iou(np.zeros((0, 2, 2), np.int64)))


def test_proportions_by_hand() -> None:
    """Of 7 counted pixels 3 are foreground, and 3 predicted; of 96 six; the error is in points of the picture."""
    other = np.array([[80, 10], [4, 2]])
    both = np.array([confusion(PREDICTED, LABEL), other])

    assert true_proportions(both).tolist() == [3 / 7, 6 / 96]
    assert predicted_proportions(both).tolist() == [3 / 7, 12 / 96]
    assert proportion_error(both) == pytest.approx((0 + 100 * 6 / 96) / 2)


def test_a_picture_that_is_ignored_whole_has_no_proportion() -> None:
    """It is not held against the others."""
    nothing = confusion(np.ones((2, 2), bool), np.full((2, 2), IGNORE, np.uint8))

    assert proportion_error(np.array([nothing, [[80, 10], [4, 2]]])) == pytest.approx(100 * 6 / 96)
    assert math.isnan(proportion_error(nothing[None]))


def test_counts_beyond_32_bits_stay_exact() -> None:
    """A set of 50,000 pictures of several megapixels has more pixels than an int32 holds."""
    large = np.array([[[2**40, 0], [1, 2**40]]] * 3)

    assert foreground_iou(large) == 3 * 2**40 / (3 * (2**40 + 1))


def test_the_prediction_takes_the_labels_size() -> None:
    """Bilinear, corner to corner: a ramp of 2 pixels becomes one of 4."""
    wide = at_label_size(np.array([[0, 1]], np.float32), np.zeros((1, 4), np.uint8))

    assert wide.tolist() == [[0, 0.25, 0.75, 1]]


def test_saliency_by_hand() -> None:
    """Two pixels of object at .8 and .4, two of background at .4 and 0, one ignored."""
    errors = saliency_errors(np.array([[0.8, 0.4, 0.4, 0, 1]], np.float32), np.array([[1, 1, 0, 0, IGNORE]], np.uint8))

    assert errors.mae == pytest.approx((0.2 + 0.6 + 0.4 + 0) / 4)
    assert errors.curve is not None
    assert errors.curve[0] == pytest.approx(1.3 * 0.5 / (0.3 * 0.5 + 1))
    assert errors.curve[1] == pytest.approx(errors.curve[102])
    assert errors.curve[102] == pytest.approx(1.3 * (2 / 3) / (0.3 * (2 / 3) + 1))
    assert errors.curve[103] == pytest.approx(1.3 * 0.5 / (0.3 + 0.5))
    assert errors.curve[204] == pytest.approx(errors.curve[103])
    assert errors.curve[205:].tolist() == [0] * 51
    # twice the mean of 204, 102, 102, 0 is the level 204
    assert errors.adaptive == errors.curve[204]


@few
@given(st.integers(0, 1000))
def test_the_curve_is_precision_and_recall_at_each_threshold(seed: int) -> None:
    """Computed plainly, by comparing."""
    random = np.random.default_rng(seed)
    levels = random.integers(0, 256, (5, 6))
    label = random.choice(np.array([0, 1, IGNORE], np.uint8), (5, 6))
    label[0, 0] = 1

    curve = saliency_errors((levels / 255).astype(np.float32), label).curve

    assert curve is not None
    for threshold in random.integers(0, 256, 12):
        found, truth = (levels >= threshold)[label != IGNORE], (label == 1)[label != IGNORE]
        right = (found & truth).sum()
        precision, recall = right / max(1, found.sum()), right / truth.sum()
        expected = 1.3 * precision * recall / (0.3 * precision + recall) if right else 0
        assert curve[threshold] == pytest.approx(expected)


def test_max_f_is_of_the_mean_curve() -> None:
    """One threshold for all pictures: two of which each is perfect at another threshold do not give 1."""
    total, label = SaliencySum(), np.array([[1, 0]], np.uint8)
    bright = saliency_errors(np.array([[1.0, 0.8]], np.float32), label)
    dark = saliency_errors(np.array([[0.2, 0.0]], np.float32), label)
    total.add(bright)
    total.add(dark)

    assert bright.curve is not None
    assert dark.curve is not None
    assert bright.curve.max() == dark.curve.max() == pytest.approx(1)
    half = 1.3 * 0.5 / (0.3 * 0.5 + 1)
    assert total.max_f == pytest.approx((1 + half) / 2)
    assert total.mean_f == pytest.approx((bright.curve.mean() + dark.curve.mean()) / 2)
    assert total.adaptive_f == pytest.approx((bright.adaptive + dark.adaptive) / 2)
    assert total.mae == pytest.approx((0.8 / 2 + 0.8 / 2) / 2)


def test_pictures_without_an_object_count_for_mae_alone() -> None:
    """There is no recall of nothing; what is ignored whole counts for nothing at all."""
    total = SaliencySum()
    total.add(saliency_errors(np.array([[0.5]], np.float32), np.array([[0]], np.uint8)))
    total.add(saliency_errors(np.array([[0.5]], np.float32), np.array([[IGNORE]], np.uint8)))

    assert total.mae == 0.5
    assert math.isnan(total.max_f)
    assert math.isnan(total.mean_f)
    assert math.isnan(total.adaptive_f)
    assert math.isnan(SaliencySum().mae)
