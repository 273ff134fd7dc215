"""Average precision against COCO's rules, followed one box at a time."""

from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from training.metrics.detection import IOUS, MOST_BOXES, Matches, average_precision, iou, match

Picture = tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]
"""Boxes, labels, scores; true boxes, true labels."""


def matches(pictures: list[Picture]) -> list[Matches]:
    return [match(*picture) for picture in pictures]


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ((0, 0, 2, 2), (0, 0, 2, 2), 1),
        ((0, 0, 2, 2), (1, 0, 3, 2), 2 / 6),
        ((0, 0, 2, 2), (2, 0, 4, 2), 0),
        ((0, 0, 4, 4), (1, 1, 3, 3), 4 / 16),
        ((1, 1, 1, 1), (1, 1, 1, 1), 0),
    ],
)
def test_iou_by_hand(first: tuple[int, ...], second: tuple[int, ...], expected: float) -> None:
    """Equal, overlapping, touching, inside, and empty boxes; edges are continuous: no pixel is added."""
    assert iou(np.array([first]), np.array([second])) == pytest.approx(expected)


def test_average_precision_by_hand() -> None:
    """Right, wrong, right, for three true boxes: precision 1 up to recall 1/3, 2/3 up to recall 2/3, then 0.

    Of the 101 recalls, 0 to .33 are 34, .34 to .66 are 33.
    """
    truths = np.array([[0, 0, 10, 10], [20, 0, 30, 10], [40, 0, 50, 10]], float)
    boxes = np.array([truths[0], [70, 70, 80, 80], truths[2]])
    picture = match(boxes, np.zeros(3, int), np.array([0.9, 0.8, 0.7]), truths, np.zeros(3, int))

    np.testing.assert_allclose(average_precision([picture]), (34 + 33 * 2 / 3) / 101)


def test_a_true_box_is_found_once_and_only_by_its_class() -> None:
    """Of two boxes on one object the better-scored is right, the other wrong; another class is wrong."""
    truth = np.array([[0, 0, 10, 10]], float)
    boxes = np.repeat(truth, 3, axis=0)

    found = match(boxes, np.array([0, 0, 1]), np.array([0.6, 0.7, 0.9]), truth, np.array([0]))

    np.testing.assert_array_equal(found.labels, [1, 0, 0])
    np.testing.assert_array_equal(found.right, np.tile([False, True, False], (len(IOUS), 1)))


def test_an_overlap_of_exactly_one_half_is_right() -> None:
    """The paper and COCO count IoU >= .5."""
    found = match(np.array([[0, 0, 10, 10]]), np.array([3]), np.array([0.5]), np.array([[0, 0, 10, 20]]), np.array([3]))

    np.testing.assert_array_equal(found.right[:, 0], [True] + [False] * 9)


def test_the_hundred_best_of_a_class_count() -> None:
    """COCO's limit, by class: the 101st box of a class is dropped, the only one of another class is not."""
    boxes = np.tile([[0.0, 0, 10, 10]], (MOST_BOXES + 2, 1))
    labels = np.array([0] * (MOST_BOXES + 1) + [1])
    scores = np.linspace(1, 0.1, MOST_BOXES + 2)

    found = match(boxes, labels, scores, boxes[:1], np.array([1]))

    assert (found.labels == 0).sum() == MOST_BOXES
    np.testing.assert_array_equal(found.right[:, found.labels == 1], True)


def test_nothing_to_find_has_no_precision() -> None:
    """NaN without true boxes; found boxes in a picture without any count as false for the class."""
    empty, label = np.zeros((0, 4)), np.array([0])
    stray = match(np.array([[0, 0, 1, 1]]), label, np.array([0.9]), empty, np.zeros(0, int))
    right = match(np.array([[0, 0, 1, 1]]), label, np.array([0.5]), np.array([[0, 0, 1, 1]]), label)
    missed = match(empty, np.zeros(0, int), np.zeros(0), np.array([[0, 0, 1, 1]]), label)

    assert np.isnan(average_precision([stray])).all()
    np.testing.assert_allclose(average_precision([stray, right]), 0.5)
    np.testing.assert_array_equal(average_precision([missed]), 0)


BOX = st.tuples(st.integers(0, 6), st.integers(0, 6), st.integers(1, 6), st.integers(1, 6))
FOUND = st.lists(st.tuples(BOX, st.integers(0, 1), st.integers(1, 10_000)), max_size=6)
TRUE = st.lists(st.tuples(BOX, st.integers(0, 1)), max_size=4)


@settings(deadline=None, max_examples=150)
@given(st.lists(st.tuples(FOUND, TRUE), min_size=1, max_size=4))
def test_average_precision_is_cocos(drawn: list[tuple[list, list]]) -> None:  # type: ignore[type-arg]
    """Against the rules followed plainly: per class and IoU, over all pictures, greedy by score, 101 recalls."""
    spread = iter(np.random.default_rng(0).permutation(1000) / 1e7)  # distinct scores: ties have no order of their own
    pictures = [
        (
            np.array([corners(box) for box, _, _ in found], float).reshape(-1, 4),
            np.array([label for _, label, _ in found], np.int64),
            np.array([score / 10_001 + next(spread) for _, _, score in found]),
            np.array([corners(box) for box, _ in true], float).reshape(-1, 4),
            np.array([label for _, label in true], np.int64),
        )
        for found, true in drawn
    ]
    expected = [plain_average_precision(pictures, least) for least in IOUS]

    np.testing.assert_allclose(average_precision(matches(pictures)), expected, rtol=1e-12)


def corners(box: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    left, top, width, height = box
    return left, top, left + width, top + height


def plain_average_precision(pictures: list[Picture], least: float) -> float:
    classes = sorted({int(label) for picture in pictures for label in picture[4]})
    if not classes:
        return float("nan")
    return float(np.mean([plain_class_precision(pictures, label, least) for label in classes]))


def plain_class_precision(pictures: list[Picture], label: int, least: float) -> float:
    ranked = sorted(
        (
            (-score, index, box)
            for index, (boxes, labels, scores, _, _) in enumerate(pictures)
            for box, own, score in zip(boxes, labels, scores, strict=True)
            if own == label
        ),
        key=lambda one: one[0],
    )
    truths = {
        index: [box for box, own in zip(picture[3], picture[4], strict=True) if own == label]
        for index, picture in enumerate(pictures)
    }
    taken: defaultdict[int, set[int]] = defaultdict(set)
    total, points, right = sum(map(len, truths.values())), [], 0
    for rank, (_, index, box) in enumerate(ranked, 1):
        free = [i for i in range(len(truths[index])) if i not in taken[index]]
        overlaps = {i: plain_iou(box, truths[index][i]) for i in free}
        best = max(overlaps, key=lambda i: overlaps[i], default=None)
        if best is not None and overlaps[best] >= least:
            taken[index].add(best)
            right += 1
        points.append((right / total, right / rank))
    at = [max((p for r, p in points if r >= wanted), default=0.0) for wanted in np.linspace(0, 1, 101)]
    return float(np.mean(at))


def plain_iou(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    common = max(0.0, width) * max(0.0, height)
    return float(common / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - common))
