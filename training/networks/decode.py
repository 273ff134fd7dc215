"""From one picture's raw outputs to its answer, as the description says."""

from collections.abc import Sequence

import numpy as np

from training.networks.answer import Answer, Detections
from training.networks.candidates import Candidates
from training.networks.decode_boxes import decode_boxes
from training.networks.decode_classes import decode_classes
from training.networks.decode_fastestdet import decode_fastestdet
from training.networks.decode_nanodet import decode_nanodet
from training.networks.decode_yolox import decode_yolox
from training.networks.description import Boxes, Description, Input, Logits, NanoDet, Probabilities, YoloX
from training.networks.network import Values
from training.networks.prepare import Placement
from training.networks.suppression import suppress


def decode(outputs: Sequence[Values], description: Description, placement: Placement) -> Answer:
    """The answer about the picture that lies in the network's input at ``placement``.

    Args:
        outputs: of one picture, without the batch.
        description: of a network that has an input.
        placement: of the picture.

    Raises:
        ValueError: the outputs are not what ``description.decode`` says; the text says how.
    """
    if isinstance(description.decode, Logits | Probabilities):
        return decode_classes(outputs, description.decode)
    assert description.input is not None  # the description's own rule
    return select(_candidates(outputs, description, description.input), description, placement)


def select(candidates: Candidates, description: Description, placement: Placement) -> Detections:
    """Without the weak and the doubled, in the picture's own pixels, highest score first.

    Raises:
        ValueError: a score is outside [0, 1], or a box is not finite.
    """
    strong = candidates.scores >= description.least_score
    boxes, labels, scores = candidates.boxes[strong], candidates.labels[strong], candidates.scores[strong]
    lowest, highest = candidates.scores.min(initial=0), candidates.scores.max(initial=0)  # NaN where one is
    if not (np.isfinite(boxes).all() and lowest >= 0 and highest <= 1):
        raise ValueError(f"finite boxes and scores in [0, 1] are due, the network's scores are {lowest}..{highest}")
    if description.nms_iou is None:
        kept = np.argsort(-scores, kind="stable")
    else:
        kept = suppress(boxes, labels, scores, description.nms_iou)
    places = placement.boxes_in_picture(boxes[kept])
    return Detections(places, labels[kept].astype(np.int64), scores[kept].astype(np.float32))


def _candidates(outputs: Sequence[Values], description: Description, spec: Input) -> Candidates:
    kind = description.decode
    if isinstance(kind, YoloX):
        return decode_yolox(outputs, kind, spec.height, spec.width)
    if isinstance(kind, NanoDet):
        return decode_nanodet(outputs, kind, spec.height, spec.width)
    if isinstance(kind, Boxes):
        return decode_boxes(outputs, kind)
    return decode_fastestdet(outputs, spec.height, spec.width)
