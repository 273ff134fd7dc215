"""Outputs that are boxes already, labelled in one of COCO's two ways."""

from collections.abc import Sequence

import numpy as np

from training.data.coco import LABELS
from training.networks.candidates import CATEGORIES, Candidates
from training.networks.description import Boxes
from training.networks.network import Values

OUTPUTS = ["boxes", "labels", "scores"]
_OFFICIAL_IDS = np.array(sorted(LABELS))


def decode_boxes(outputs: Sequence[Values], spec: Boxes) -> Candidates:
    """``OUTPUTS`` of one picture as candidates; those of an id that COCO does not use are left out.

    Raises:
        ValueError: the outputs do not belong together, or a label is outside 0..79.
    """
    boxes, labels, scores = outputs[0].reshape(-1, 4), outputs[1].reshape(-1), outputs[2].reshape(-1)
    if not len(boxes) == len(labels) == len(scores):
        raise ValueError(f"one picture has {len(boxes)} boxes, {len(labels)} labels and {len(scores)} scores")
    labels = labels.astype(np.int64)
    if spec.labels == "1..90":
        known = np.isin(labels, _OFFICIAL_IDS)
        boxes, labels, scores = boxes[known], np.searchsorted(_OFFICIAL_IDS, labels[known]), scores[known]
    elif len(labels) and not 0 <= labels.min() <= labels.max() < CATEGORIES:
        raise ValueError(f"labels in 0..{CATEGORIES - 1} are due, there are {labels.min()}..{labels.max()}")
    return Candidates(boxes, labels, scores)
