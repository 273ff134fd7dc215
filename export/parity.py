"""The gate: is the engine still the network that was trained?

Heads are held to the tolerances. Outputs that no head reads are measured and told where both sides have them, but held
to nothing, since serving never reads them; a map alone is, and only where the manifest asks for ``mask_iou``.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.answers import Answers
from runtime.errors import EngineError, FrameError
from runtime.heads import OPINIONS, read_head
from runtime.manifest import (
    ClarityHead,
    Head,
    Manifest,
    Precision,
    QualityFrHead,
    QualityHead,
    SaliencyHead,
    Tolerances,
    head_threshold,
)

Scores = NDArray[np.float64]

TOLERANCES: dict[Precision, Tolerances] = {
    "fp32": Tolerances(difference=1e-4),
    "fp16": Tolerances(difference=5e-3, mask_iou=0.99),
    "int8": Tolerances(rank_correlation=0.99, flips=0.02, mask_iou=0.95),
}
"""What an engine is held to where its manifest leaves every measure free, by its precision; see
``default_tolerances``."""
MASK = 0.5
"""A map's pixel from here on belongs to the mask."""


@dataclass(frozen=True)
class OutputParity:
    """One output, over all pictures. Differences are of values brought to [0, 1] by the head's range.

    A picture differs by the value that differs most; by the mean over its pixels, where the output is a map.
    """

    output: str
    kind: str
    """Of the head; ``map`` or ``values`` for an output that no head reads."""
    pictures: int
    non_finite: int
    """Pictures of which either side's values, or its score, are NaN or infinite; the measures leave them out."""
    difference: float
    """Of the picture that differs most."""
    mean_difference: float
    """The mean over pictures."""
    rank_correlation: float | None = None
    """Spearman's, of the head's score; 0 where only one side tells pictures apart. A map has none."""
    flips: float | None = None
    """Share of pictures on the other side of the head's threshold, where it has one."""
    mask_iou: float | None = None
    """Of a map: the mean over pictures of the masks' intersection over union; two empty masks agree."""
    pixel_difference: float | None = None
    """Of a map: the largest of any pixel of any picture."""
    unserved: int = 0
    """Pictures whose answer serving would not take from the candidate, but send to the dead letters."""
    unserved_reason: str | None = None
    """Of the first of them."""

    @property
    def has_head(self) -> bool:
        """Whether a head reads it: serving reads nothing else."""
        return self.kind not in ("map", "values")

    def faults(self, tolerances: Tolerances) -> list[str]:
        """Each measure beyond its tolerance, in words."""
        return [*(self._head_faults(tolerances) if self.has_head else []), *self._mask_faults(tolerances.mask_iou)]

    def _head_faults(self, tolerances: Tolerances) -> list[str]:  # NaN is beyond each: hence "not <="
        faults = []
        most, least, flips = tolerances.difference, tolerances.rank_correlation, tolerances.flips
        if self.non_finite:
            faults.append(f"{self.non_finite} of {self.pictures} answers are not finite")
        if self.unserved:
            faults.append(f"{self.unserved} of {self.pictures} answers would be dead letters: {self.unserved_reason}")
        if most is not None and not self.difference <= most:
            faults.append(f"difference {self.difference:.2g}, at most {most:g} is allowed")
        if self.kind == "saliency":
            return faults
        if least is not None and self.pictures < 2:
            faults.append("one sample ranks nothing; give more pictures")
        elif least is not None and not (self.rank_correlation or 0) >= least:
            faults.append(f"rank correlation {self.rank_correlation or 0:.4f}, at least {least:g} is asked")
        if flips is not None and not (self.flips or 0) <= flips:
            faults.append(f"{100 * (self.flips or 0):.1f} % of decisions flip, at most {100 * flips:g} % may")
        return faults

    def _mask_faults(self, least: float | None) -> list[str]:
        if self.mask_iou is None or least is None or self.mask_iou >= least:
            return []
        return [f"masks' IoU {self.mask_iou:.4f}, at least {least:g} is asked"]


@dataclass(frozen=True)
class Parity:
    """How far a candidate is from its reference on the same pictures."""

    outputs: tuple[OutputParity, ...]

    def faults(self, tolerances: Tolerances) -> list[str]:
        """Each measure of each output beyond its tolerance, in words; nothing: the candidate passes."""
        faults = [f"output {one.output!r}: {fault}" for one in self.outputs for fault in one.faults(tolerances)]
        if tolerances.mask_iou is not None and all(one.mask_iou is None for one in self.outputs):
            faults.append(f"masks' IoU of {tolerances.mask_iou:g} is asked, and there is no map on both sides")
        return faults

    @property
    def changes(self) -> dict[str, float]:
        """How much the answers change, by the output of each head; infinite where serving could not take one."""
        heads = [one for one in self.outputs if one.has_head]
        return {one.output: np.inf if one.non_finite or one.unserved else one.mean_difference for one in heads}

    @property
    def change(self) -> float:
        """The largest of ``changes``."""
        return max(self.changes.values())

    def require(self, tolerances: Tolerances, what: str) -> None:
        """Hold the candidate to the tolerances.

        Raises:
            EngineError: it is beyond one of them; the text names ``what`` and each fault.
        """
        faults = self.faults(tolerances)
        if faults:
            raise EngineError(f"{what} is not what was trained: {'; '.join(faults)}")

    def to_json(self) -> list[dict[str, Any]]:
        """One object an output; measures that do not apply are left out."""
        return [{key: value for key, value in asdict(one).items() if value is not None} for one in self.outputs]


def compare(reference: Answers, candidate: Answers, manifest: Manifest) -> Parity:
    """Measure the candidate's answers against the reference's to the same samples.

    Every head's output must be on both sides; other outputs are compared where both have them. What the heads cannot
    mean by ``runtime.heads.read_head`` counts against the candidate.

    Raises:
        EngineError: a head's output is missing, or has another shape.
    """
    heads: dict[str, Head | None] = {head.output: head for head in manifest.heads}
    heads |= dict.fromkeys(sorted((reference.keys() & candidate.keys()) - heads.keys()))
    return Parity(tuple(_compare(name, head, *_pair(reference, candidate, name)) for name, head in heads.items()))


def tolerances_of(manifest: Manifest) -> Tolerances:
    """The manifest's own, or where it leaves every measure free, those of its precision."""
    own = manifest.tolerances
    return default_tolerances(manifest.precision, manifest.heads) if own == Tolerances() else own


def default_tolerances(precision: Precision, heads: Sequence[Head]) -> Tolerances:
    """Those of the precision; masks are asked for only where a head gives one."""
    tolerances = TOLERANCES[precision]
    if any(isinstance(head, SaliencyHead) for head in heads):
        return tolerances
    return tolerances.model_copy(update={"mask_iou": None})


def _pair(reference: Answers, candidate: Answers, name: str) -> tuple[Scores, Scores]:
    for side, answers in (("reference", reference), ("candidate", candidate)):
        if name not in answers:
            raise EngineError(f"the {side} has no output {name!r}; it has {', '.join(sorted(answers))}")
    left, right = np.asarray(reference[name], np.float64), np.asarray(candidate[name], np.float64)
    if left.shape != right.shape:
        raise EngineError(f"output {name!r} is {left.shape} in the reference and {right.shape} in the candidate")
    return left, right


def _compare(name: str, head: Head | None, reference: Scores, candidate: Scores) -> OutputParity:
    pictures = len(reference)
    with np.errstate(all="ignore"):  # what is no number is counted below
        differences = np.abs(_values(head, reference) - _values(head, candidate))
    finite = np.isfinite(differences).all(axis=1)  # infinite or NaN as soon as one side is, or its score
    reference, candidate, differences = reference[finite], candidate[finite], differences[finite]
    is_map = reference.ndim > 2
    of_pictures = differences.mean(axis=1) if is_map else differences.max(axis=1)
    measures: dict[str, Any] = {
        "output": name,
        "pictures": pictures,
        "non_finite": int((~finite).sum()),
        "difference": float(of_pictures.max(initial=0)),
        "mean_difference": _mean(of_pictures),
    }
    if is_map:
        measures |= {"mask_iou": mask_iou(reference, candidate), "pixel_difference": float(differences.max(initial=0))}
    if head is None:
        return OutputParity(kind="map" if is_map else "values", **measures)
    measures |= _unserved(head, candidate)
    if not is_map:
        measures |= _score_measures(head, _scores(head, reference), _scores(head, candidate))
    return OutputParity(kind=head.kind, **measures)


def _score_measures(head: Head, scores: Scores, others: Scores) -> dict[str, float]:
    measures, threshold = {"rank_correlation": rank_correlation(scores, others)}, head_threshold(head)
    if threshold is not None:
        measures["flips"] = _mean((scores >= threshold) != (others >= threshold))
    return measures


def _mean(values: NDArray[Any]) -> float:
    return float(values.mean()) if len(values) else 0.0


def _unserved(head: Head, answers: Scores) -> dict[str, Any]:
    reasons = []
    for row in answers:
        try:
            read_head(head, row)
        except FrameError as error:
            reasons.append(str(error))
    return {"unserved": len(reasons), "unserved_reason": reasons[0] if reasons else None}


def _rows(values: Scores) -> Scores:
    return values.reshape(len(values), -1)


def _scores(head: Head, answers: Scores) -> Scores:
    """The number that the threshold is held against: utility in [0, 1], mean opinions in 1..5, clarity in 1..10."""
    return answers @ OPINIONS / answers.sum(axis=1) if isinstance(head, QualityHead) else answers


def _values(head: Head | None, answers: Scores) -> Scores:
    """All that can differ, on [0, 1]: (pictures, values). A distribution's mean counts beside its shares."""
    if isinstance(head, QualityHead):
        return np.column_stack([answers, (_scores(head, answers) - 1) / 4])
    if isinstance(head, QualityFrHead):
        return _rows((answers - 1) / 4)
    return _rows((answers - 1) / 9 if isinstance(head, ClarityHead) else answers)


def mask_iou(reference: Scores, candidate: Scores) -> float:
    """Mean over pictures of intersection over union of the masks; 1 where there are no pictures."""
    left, right = _rows(reference) >= MASK, _rows(candidate) >= MASK
    union = (left | right).sum(axis=1)
    overlap = np.where(union == 0, 1.0, (left & right).sum(axis=1) / np.maximum(union, 1))
    return float(overlap.mean()) if len(overlap) else 1.0


def rank_correlation(left: Scores, right: Scores) -> float:
    """Spearman's, equal values sharing their mean rank; 1 for equal series, 0 where one of them is constant."""
    if np.array_equal(left, right):
        return 1.0
    a, b = _ranks(left), _ranks(right)
    if a.std() == 0 or b.std() == 0:
        return 0.0
    return float(np.corrcoef(a, b)[0, 1])


def _ranks(values: Scores) -> Scores:
    ordered = np.sort(values)
    below, up_to = (np.searchsorted(ordered, values, side) for side in ("left", "right"))
    return np.asarray((below + up_to) / 2, np.float64)
