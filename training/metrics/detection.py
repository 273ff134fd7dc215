"""Average precision of detectors, as COCO counts them: 101 recalls, at most 100 boxes a picture and class.

COCO's regions of crowds, where a box counts neither way, are not known here: such boxes count as false.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

IOUS = tuple(float(iou) for iou in np.linspace(0.5, 0.95, 10))
MOST_BOXES = 100
RECALLS = np.linspace(0, 1, 101)


@dataclass(frozen=True, slots=True)
class Matches:
    """One picture's boxes, each told right or wrong at each IoU."""

    labels: NDArray[np.int64]
    """(n,) of the found boxes."""
    scores: NDArray[np.float64]
    """(n,)"""
    right: NDArray[np.bool_]
    """(ious, n)"""
    truths: NDArray[np.int64]
    """(m,) the true boxes' labels."""


def iou(first: NDArray[Any], second: NDArray[Any]) -> NDArray[np.float64]:
    """Intersection over union of each with each: (n, 4) and (m, 4) as left, top, right, bottom give (n, m)."""
    a, b = first.astype(np.float64)[:, None], second.astype(np.float64)[None]
    overlap = np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])
    common = overlap.clip(0).prod(-1)
    union = (a[..., 2:] - a[..., :2]).prod(-1) + (b[..., 2:] - b[..., :2]).prod(-1) - common
    return np.asarray(np.divide(common, union, out=np.zeros_like(common), where=union > 0))


def match(
    boxes: NDArray[Any],
    labels: NDArray[Any],
    scores: NDArray[Any],
    true_boxes: NDArray[Any],
    true_labels: NDArray[Any],
    ious: Sequence[float] = IOUS,
) -> Matches:
    """Give each box, highest score first, the still free true box of its class that it covers best.

    Args:
        boxes: (n, 4).
        labels: (n,).
        scores: (n,); of each class the highest ``MOST_BOXES`` count.
        true_boxes: (m, 4).
        true_labels: (m,).
        ious: from which overlap on a box is right.
    """
    order = _most(np.argsort(-scores.astype(np.float64), kind="stable"), labels)
    boxes, labels, scores = boxes[order], labels[order], scores[order]
    overlaps = np.where(labels[:, None] == true_labels[None], iou(boxes, true_boxes), -1.0)
    right = np.stack([_right(overlaps, least) for least in ious])
    return Matches(labels.astype(np.int64), scores.astype(np.float64), right, true_labels.astype(np.int64))


def _most(order: NDArray[np.intp], labels: NDArray[Any]) -> NDArray[np.intp]:
    """The first ``MOST_BOXES`` of each class."""
    if len(order) <= MOST_BOXES:
        return order
    kept = np.zeros(len(order), bool)
    for label in np.unique(labels):
        kept[np.flatnonzero(labels[order] == label)[:MOST_BOXES]] = True
    return order[kept]


def _right(overlaps: NDArray[np.float64], least: float) -> NDArray[np.bool_]:
    right = np.zeros(len(overlaps), bool)
    if not overlaps.size:
        return right
    free = np.ones(overlaps.shape[1], bool)
    for index, row in enumerate(overlaps):
        best = int(np.where(free, row, -1.0).argmax())
        if free[best] and row[best] >= least:
            right[index], free[best] = True, False
    return right


def average_precision(pictures: Sequence[Matches]) -> NDArray[np.float64]:
    """Mean over the classes that have true boxes (mAP), at each IoU: (ious,); NaN where there are none at all.

    Averaged over ``IOUS`` it is COCO's AP, the first alone AP50.
    """
    if not pictures or not sum(len(one.truths) for one in pictures):
        return np.full(len(pictures[0].right) if pictures else len(IOUS), np.nan)
    labels = np.concatenate([one.labels for one in pictures])
    scores = np.concatenate([one.scores for one in pictures])
    right = np.concatenate([one.right for one in pictures], axis=1)
    classes, counts = np.unique(np.concatenate([one.truths for one in pictures]), return_counts=True)
    order = np.argsort(-scores, kind="stable")
    labels, right = labels[order], right[:, order]
    by_class = [
        _class_precision(right[:, labels == label], count) for label, count in zip(classes, counts, strict=True)
    ]
    return np.asarray(np.mean(by_class, axis=0))


def _class_precision(right: NDArray[np.bool_], truths: int) -> NDArray[np.float64]:
    """Mean, over ``RECALLS``, of the highest precision at that recall or a higher one: (ious,)."""
    found = np.cumsum(right, axis=1, dtype=np.float64)
    precision = found / np.arange(1, right.shape[1] + 1)
    envelope = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    padded = np.pad(envelope, ((0, 0), (0, 1)))  # a recall that is never reached has precision 0
    return np.array(
        [row[np.searchsorted(recall, RECALLS)].mean() for row, recall in zip(padded, found / truths, strict=True)]
    )
