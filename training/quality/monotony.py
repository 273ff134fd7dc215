"""Does the score fall as a distortion gets stronger? For each content and kind of which a set has several strengths."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.quality.rated import RatedSet

Floats = NDArray[np.float64]
TOLERANCE = 0.05
"""Of a score in [1, 5]: less than anyone sees."""
ALL_KINDS = "all kinds"


@dataclass(frozen=True, slots=True)
class Monotony:
    """Of one kind of distortion, over contents."""

    kind: str
    ladders: int
    """Contents of which there are at least two strengths."""
    strict: float
    """Share of them whose score falls with every step."""
    tolerant: float
    """Share whose score never rises by more than the tolerance; NaN for scores that are not on [1, 5]."""
    true_strict: float
    """Share whose true score falls with every step: kinds that people do not mind have no ladder to follow."""
    drop: float
    """Mean fall of the score from the mildest to the strongest."""


def monotony(
    rated: RatedSet, truth: Floats, scores: Floats, *, on_scale: bool = True, tolerance: float = TOLERANCE
) -> list[Monotony]:
    """Each kind by name, and all kinds together last; empty where the set has no levels.

    A content's pictures of one kind and level count as one, by their mean.

    Args:
        rated: the pictures.
        truth: (n,), the higher the better.
        scores: (n,), likewise.
        on_scale: whether the scores are on [1, 5].
        tolerance: by which a score may rise.
    """
    ladders: dict[str, list[tuple[Floats, Floats]]] = defaultdict(list)
    for kind, places in _ladders(rated):
        ladders[kind].append(tuple(_steps(values, places) for values in (truth, scores)))  # type: ignore[arg-type] # two
    kinds = [(kind, ladders[kind]) for kind in sorted(ladders)]
    everything = [pair for _, own in kinds for pair in own]
    if len(kinds) > 1:
        kinds.append((ALL_KINDS, everything))
    return [_of_kind(kind, own, tolerance if on_scale else float("nan")) for kind, own in kinds]


def _ladders(rated: RatedSet) -> Iterator[tuple[str, list[list[int]]]]:
    """By kind and content: the places of each level's pictures, mildest first."""
    groups: dict[tuple[str, str], dict[float, list[int]]] = defaultdict(lambda: defaultdict(list))
    for place, one in enumerate(rated.pictures):
        if one.kind is not None and one.level is not None:
            groups[one.kind, one.content][one.level].append(place)
    for (kind, _), levels in groups.items():
        if len(levels) > 1:
            yield kind, [levels[level] for level in sorted(levels)]


def _steps(values: Floats, places: list[list[int]]) -> Floats:
    return np.array([values[own].mean() for own in places])


def _of_kind(kind: str, ladders: list[tuple[Floats, Floats]], tolerance: float) -> Monotony:
    rises = [np.diff(scores).max() for _, scores in ladders]
    tolerant = np.mean([rise <= tolerance for rise in rises]) if np.isfinite(tolerance) else np.nan
    return Monotony(
        kind,
        len(ladders),
        strict=float(np.mean([rise < 0 for rise in rises])),
        tolerant=float(tolerant),
        true_strict=float(np.mean([np.diff(truth).max() < 0 for truth, _ in ladders])),
        drop=float(np.mean([scores[0] - scores[-1] for _, scores in ladders])),
    )
