"""From networks' answers on frames to the columns of a label set."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.damage.damage import UNDAMAGED
from training.data.source import Box
from training.metrics.detection import match
from training.networks.answer import Answer, Classes, Detections
from training.networks.network import Network
from training.utility.answers import TOP, Answers, BoxAnswers, ClassAnswers, Samples, join_answers
from training.utility.frames import Frames
from training.utility.header import PSEUDO_TRUTH, Header
from training.utility.rules import LEAST_SCORE
from training.utility.shard import Recorded

LEAST_IOU = 0.5


def record(
    frames: Sequence[Frames], places: Sequence[int], networks: Sequence[Network], header: Header, *, extra: bool
) -> Recorded:
    """Ask every network about every picture.

    Args:
        frames: sources with their pictures.
        places: of each source in the set.
        networks: those of the header, in its order.
        header: says what the truth is.
        extra: these are more samples of known sources: the undamaged picture is asked about, but not recorded.
    """
    pictures = [pixels for one in frames for pixels in one.pictures]
    ends = np.cumsum([len(one.pictures) for one in frames])
    answers: dict[str, Answers] = {}
    for network in networks:
        replies = network.answers(pictures)
        groups = [replies[end - len(one.pictures) : end] for one, end in zip(frames, ends, strict=True)]
        columns = [_columns(one, group, header) for one, group in zip(frames, groups, strict=True)]
        answers[network.description.name] = join_answers(columns)
    samples = Samples.join([_samples(one, place, extra=extra) for one, place in zip(frames, places, strict=True)])
    index = np.flatnonzero(samples.kind != UNDAMAGED.kind) if extra else np.arange(len(samples))
    return samples.take(index), {name: own.take(index) for name, own in answers.items()}


def _samples(frames: Frames, place: int, *, extra: bool) -> Samples:
    count = len(frames.damages)
    return Samples(
        np.full(count, place, np.int32),
        np.array([damage.kind for damage in frames.damages], np.str_),
        np.array([damage.strength for damage in frames.damages], np.float64),
        np.array([damage.seed for damage in frames.damages], np.int64),
        np.array(frames.encoded_bytes, np.int32),
        np.full(count, extra),
    )


def _columns(frames: Frames, answers: Sequence[Answer], header: Header) -> Answers:
    pseudo = header.truth == PSEUDO_TRUTH
    if header.task == "classification":
        classes = [answer for answer in answers if isinstance(answer, Classes)]
        return _classes(classes, None if pseudo else frames.source.class_index)
    detections = [answer for answer in answers if isinstance(answer, Detections)]
    return _boxes(detections, None if pseudo else frames.source.boxes)


def _classes(answers: Sequence[Classes], class_index: int | None) -> ClassAnswers:
    """One source's; the first answer is the one on the undamaged picture, and the truth where none is given."""
    probabilities = np.stack([answer.probabilities for answer in answers]).astype(np.float32)
    top = np.argsort(-probabilities, axis=1, kind="stable")[:, :TOP]
    best = np.take_along_axis(probabilities, top, axis=1)
    reference = top[0, 0]
    truth = reference if class_index is None else class_index
    return ClassAnswers(
        predicted=top[:, 0].astype(np.int16),
        confidence=best[:, 0],
        reference=np.full(len(answers), reference, np.int16),
        reference_confidence=np.full(len(answers), probabilities[0, truth]),
        ccsp=probabilities[:, truth],
        top_classes=top.astype(np.int16),
        top_probabilities=best.astype(np.float16),
    )


def _boxes(answers: Sequence[Detections], boxes: tuple[Box, ...] | None) -> BoxAnswers:
    """The same for a detector."""
    places, labels = _own_truth(answers[0]) if boxes is None else _given_truth(boxes)
    matches = [match(one.boxes, one.labels, one.scores, places, labels, (LEAST_IOU,)) for one in answers]
    right = [one.scores[one.right[0]] for one in matches]
    best = np.array([scores.max(initial=0) for scores in right], np.float32)
    counts = [len(one.scores) for one in answers]
    return BoxAnswers(
        boxes=np.concatenate([one.boxes.reshape(-1, 4) for one in answers]).astype(np.float32),
        labels=np.concatenate([one.labels for one in answers]).astype(np.int16),
        scores=np.concatenate([one.scores for one in answers]).astype(np.float32),
        offsets=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        found=np.array([(scores >= LEAST_SCORE).sum() for scores in right], np.int16),
        truths=np.full(len(answers), len(labels), np.int16),
        ccsp=best,
        reference_confidence=np.full(len(answers), best[0]),
    )


def _own_truth(undamaged: Detections) -> tuple[NDArray[Any], NDArray[Any]]:
    sure = undamaged.scores >= LEAST_SCORE
    return undamaged.boxes[sure], undamaged.labels[sure]


def _given_truth(boxes: tuple[Box, ...]) -> tuple[NDArray[Any], NDArray[Any]]:
    places = np.array([(box.left, box.top, box.right, box.bottom) for box in boxes], np.float32).reshape(-1, 4)
    return places, np.array([box.label for box in boxes], np.int64)
