"""Greedy non-maximum suppression: one object, one box."""

import numpy as np

from training.metrics.detection import iou
from training.networks.network import Values


def suppress(boxes: Values, labels: Values, scores: Values, most_iou: float) -> Values:
    """Indices of the boxes that stay, highest score first.

    From the highest score down, a box stays if its intersection over union with every box of its label that stayed
    is at most ``most_iou``. Of equal scores the first comes first.

    Args:
        boxes: (n, 4) left, top, right, bottom.
        labels: (n,).
        scores: (n,).
        most_iou: in (0, 1].
    """
    left = np.argsort(-scores, kind="stable")
    kept = []
    while len(left):
        best, left = left[0], left[1:]
        kept.append(best)
        doubled = (labels[left] == labels[best]) & (iou(boxes[[best]], boxes[left])[0] > most_iou)
        left = left[~doubled]
    return np.array(kept, np.int64)
