"""Spearman's correlation among pictures of one content, and among pictures of one kind of distortion.

Over all pictures of a set it also depends on how well contents are told from each other. A camera shows one scene: what
counts there is the order within a content.
"""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.metrics.opinion import srocc
from training.quality.rated import Rated, RatedSet

Floats = NDArray[np.float64]
LEAST = 5
"""Pictures that a correlation is worth telling of."""
FAILS_BELOW = 0.5


@dataclass(frozen=True, slots=True)
class Group:
    """Pictures of one content, or of one kind."""

    name: str
    pictures: int
    srocc: float
    """-1 to 1; NaN where all of one side are equal."""
    within: float
    """Of a kind: the mean of its correlations within each content; NaN where no content has enough pictures of it.
    Of a content: the same as ``srocc``."""

    @property
    def fails(self) -> bool:
        """Whether the scores do not follow the pictures, or cannot be told to."""
        return not self.srocc >= FAILS_BELOW  # NaN fails, too


def by_content(rated: RatedSet, truth: Floats, scores: Floats) -> list[Group]:
    """Each content of at least ``LEAST`` pictures, by name.

    Args:
        rated: the pictures.
        truth: (n,), the higher the better.
        scores: (n,), likewise.
    """
    found = [(name, srocc(truth[places], scores[places]), len(places)) for name, places in _groups(rated, _content)]
    return [Group(name, count, value, value) for name, value, count in found]


def mean_within(groups: list[Group]) -> float:
    """Mean over contents that have a correlation; NaN where none has."""
    return _mean([one.srocc for one in groups])


def by_kind(rated: RatedSet, truth: Floats, scores: Floats) -> list[Group]:
    """Each kind of distortion of at least ``LEAST`` pictures, by name; empty where the set names none."""
    return [_kind(rated, truth, scores, name, places) for name, places in _groups(rated, _kind_of)]


def _kind(rated: RatedSet, truth: Floats, scores: Floats, name: str, places: NDArray[np.int64]) -> Group:
    contents: dict[str, list[int]] = defaultdict(list)
    for place in places:
        contents[rated.pictures[place].content].append(int(place))
    own = [srocc(truth[group], scores[group]) for group in contents.values() if len(group) >= LEAST]
    return Group(name, len(places), srocc(truth[places], scores[places]), _mean(own))


def _groups(rated: RatedSet, of: Callable[[Rated], str | None]) -> list[tuple[str, NDArray[np.int64]]]:
    groups: dict[str, list[int]] = defaultdict(list)
    for place, one in enumerate(rated.pictures):
        name = of(one)
        if name is not None:
            groups[name].append(place)
    return [(name, np.array(groups[name])) for name in sorted(groups) if len(groups[name]) >= LEAST]


def _content(one: Rated) -> str:
    return one.content


def _kind_of(one: Rated) -> str | None:
    """None of what is not distorted: of one content that is one picture, which drawn votes alone tell from itself."""
    return None if one.level == 0 else one.kind


def _mean(values: list[float]) -> float:
    known = [value for value in values if np.isfinite(value)]
    return float(np.mean(known)) if known else float("nan")
