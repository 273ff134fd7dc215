"""What a network answered on each sample, as arrays: the first axis of each counts samples."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from training.networks.answer import Detections

TOP = 10
"""Classes kept of each of a classifier's answers."""

_PER_BOX = ("boxes", "labels", "scores")

Arrays = dict[str, NDArray[Any]]


class _Columns:
    """Arrays that are stored, chosen from and joined together, by the names of a dataclass's fields."""

    def arrays(self) -> Arrays:
        """As stored, by name."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}  # type: ignore[arg-type]

    @classmethod
    def of(cls, arrays: Arrays) -> Self:
        """From what ``arrays`` gave; KeyError for one that is missing."""
        return cls(**{field.name: arrays[field.name] for field in dataclasses.fields(cls)})  # type: ignore[arg-type]

    def take(self, index: NDArray[np.intp]) -> Self:
        """The samples at these places."""
        return type(self).of({name: values[index] for name, values in self.arrays().items()})

    @classmethod
    def join(cls, parts: Sequence[Self]) -> Self:
        """One after the other."""
        columns = [part.arrays() for part in parts]
        return cls.of({name: np.concatenate([one[name] for one in columns]) for name in columns[0]})


@dataclass(frozen=True, slots=True)
class Samples(_Columns):
    """Which pictures were shown: each a source under a damage."""

    source: NDArray[np.int32]
    """Place in the set's sources."""
    kind: NDArray[np.str_]
    strength: NDArray[np.float64]
    seed: NDArray[np.int64]
    """With kind and strength all that ``Damage`` needs to make the sample again."""
    encoded_bytes: NDArray[np.int32]
    """What a gateway would receive: the codec's own bytes, or JPEG of quality 95 where the damage is no codec."""
    extra: NDArray[np.bool_]
    """Added by class balancing, in the training split only."""

    def __len__(self) -> int:
        return len(self.source)


@dataclass(frozen=True, slots=True)
class ClassAnswers(_Columns):
    """A classifier's. The truth is the picture's class, or under pseudo-truth ``reference``."""

    predicted: NDArray[np.int16]
    confidence: NDArray[np.float32]
    """Probability of ``predicted``."""
    reference: NDArray[np.int16]
    """What it predicts on the undamaged picture."""
    reference_confidence: NDArray[np.float32]
    """Probability of the truth on the undamaged picture: phi' of Eq. 2."""
    ccsp: NDArray[np.float32]
    """Probability of the truth on this sample: phi of Eq. 2, the correct class's softmax probability."""
    top_classes: NDArray[np.int16]
    """(samples, 10), most probable first."""
    top_probabilities: NDArray[np.float16]
    """(samples, 10)."""


@dataclass(frozen=True, slots=True)
class BoxAnswers(_Columns):
    """A detector's: n samples, k detections in all, sample i having those from ``offsets[i]`` to ``offsets[i + 1]``.

    The truth are the picture's boxes, or under pseudo-truth the detections on the undamaged picture with a score
    of at least .5.
    """

    boxes: NDArray[np.float32]
    """(k, 4): left, top, right, bottom in pixels of the sample."""
    labels: NDArray[np.int16]
    """(k,): COCO's categories, 0..79."""
    scores: NDArray[np.float32]
    """(k,)."""
    offsets: NDArray[np.int64]
    """(n + 1,)."""
    found: NDArray[np.int16]
    """True boxes that a detection matches: its label, score >= .5, IoU >= .5."""
    truths: NDArray[np.int16]
    """True boxes."""
    ccsp: NDArray[np.float32]
    """Highest score of a detection that matches a true box, whatever the score; 0 where none does: phi of Eq. 2."""
    reference_confidence: NDArray[np.float32]
    """The same on the undamaged picture: phi' of Eq. 2."""

    def detections(self, sample: int) -> Detections:
        """What it found on one sample."""
        part = slice(self.offsets[sample], self.offsets[sample + 1])
        return Detections(self.boxes[part], self.labels[part].astype(np.int64), self.scores[part])

    def take(self, index: NDArray[np.intp]) -> "BoxAnswers":
        counts = np.diff(self.offsets)[index]
        offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        flat = np.repeat(self.offsets[:-1][index] - offsets[:-1], counts) + np.arange(offsets[-1])
        columns = self.arrays()
        del columns["offsets"]
        chosen = {name: values[flat if name in _PER_BOX else index] for name, values in columns.items()}
        return BoxAnswers.of({**chosen, "offsets": offsets})

    @classmethod
    def join(cls, parts: "Sequence[BoxAnswers]") -> "BoxAnswers":
        columns = [part.arrays() for part in parts]
        counts = np.concatenate([np.diff(part.offsets) for part in parts])
        joined = {name: np.concatenate([one[name] for one in columns]) for name in columns[0] if name != "offsets"}
        return cls.of({**joined, "offsets": np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)})


Answers = ClassAnswers | BoxAnswers


def join_answers(parts: Sequence[Answers]) -> Answers:
    """One after the other: of one network, so all of one kind; at least one."""
    kind: Any = type(parts[0])
    joined: Answers = kind.join(parts)
    return joined
