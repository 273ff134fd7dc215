"""How well a mask of the foreground meets the true one: everything from the counts of pixels, never from the pictures.

A confusion is int64 (2, 2): true background and foreground by row, predicted by column. Confusions of several
pictures are (n, 2, 2).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.opencv import cv2
from training.data.mask import IGNORE

OBJECT_FROM = 0.5
"""A pixel whose probability, at the label's size, is at least this is foreground."""

Label = NDArray[np.uint8]
Probability = NDArray[np.float32]
Confusions = NDArray[np.int64]
Numbers = NDArray[Any]


def at_label_size(probability: Probability, label: Label) -> Probability:
    """Bring a prediction to the label's size, bilinearly; a label is never resized: that would change the truth.

    Args:
        probability: (h, w) of the whole picture, corner to corner.
        label: (height, width).
    """
    size = label.shape[1], label.shape[0]
    return np.asarray(cv2.resize(probability, size, interpolation=cv2.INTER_LINEAR), np.float32)


def confusion(predicted: NDArray[np.bool_], label: Label) -> Confusions:
    """Count one picture's pixels: (2, 2).

    Args:
        predicted: (height, width), true for foreground.
        label: (height, width) of 0, 1 and 255, which counts nowhere.
    """
    cells = np.bincount((2 * label.astype(np.int16) + predicted).ravel(), minlength=2 * IGNORE + 2)
    return cells[:4].reshape(2, 2).astype(np.int64)


def foreground_iou(confusions: Confusions, weights: Numbers | None = None) -> float:
    """Intersection over union of the foreground, over the pixels of all pictures together: large objects count more.

    Args:
        confusions: (n, 2, 2).
        weights: (n,) whole numbers: a picture of weight 2 counts as two; None: once each.

    Returns:
        0 to 1; NaN where no pixel is foreground, true or predicted.
    """
    return _iou(_sum(confusions, weights), 1)


def mean_image_iou(confusions: Confusions, weights: Numbers | None = None) -> float:
    """Mean of each picture's own foreground IoU; NaN for no pictures.

    A picture without foreground, true or predicted, is right and counts as 1.
    """
    if not len(confusions):
        return float("nan")
    return float(np.average(image_ious(confusions), weights=weights))


def image_ious(confusions: Confusions) -> NDArray[np.float64]:
    """(n,) each picture's foreground IoU; an empty union is 1."""
    both = confusions[:, 1, 1].astype(np.float64)
    union = both + confusions[:, 0, 1] + confusions[:, 1, 0]
    return np.where(union > 0, both / np.maximum(union, 1), 1.0)


def two_class_miou(confusions: Confusions) -> float:
    """Mean of the IoU of background and of foreground, over all pictures; of small objects it is the easier number."""
    whole = _sum(confusions, None)
    return (_iou(whole, 0) + _iou(whole, 1)) / 2


def true_proportions(confusions: Confusions) -> NDArray[np.float64]:
    """(n,) share of foreground among each picture's counted pixels, 0 to 1; NaN where every pixel is ignored."""
    return _share(confusions[:, 1].sum(axis=1), confusions)


def predicted_proportions(confusions: Confusions) -> NDArray[np.float64]:
    """(n,) as ``true_proportions``, of what is predicted."""
    return _share(confusions[:, :, 1].sum(axis=1), confusions)


def proportion_error(confusions: Confusions) -> float:
    """Mean absolute error of the object's share of the picture, in points (0 to 100); NaN for no pictures."""
    errors = np.abs(predicted_proportions(confusions) - true_proportions(confusions))
    errors = errors[np.isfinite(errors)]
    return float(100 * errors.mean()) if len(errors) else float("nan")


def _sum(confusions: Confusions, weights: Numbers | None) -> Numbers:
    total: Numbers = confusions.sum(axis=0) if weights is None else np.tensordot(weights, confusions, 1)
    return total


def _iou(whole: Numbers, side: int) -> float:
    both, union = whole[side, side], whole[side].sum() + whole[:, side].sum() - whole[side, side]
    return float(both / union) if union else float("nan")


def _share(count: Numbers, confusions: Confusions) -> NDArray[np.float64]:
    pixels = confusions.sum(axis=(1, 2))
    return np.where(pixels > 0, count / np.maximum(pixels, 1), np.nan)
