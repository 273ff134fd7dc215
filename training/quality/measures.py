"""What one method's scores of a set come to, and whether two methods differ by more than chance."""

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from training.metrics.bootstrap import LEAST_PICTURES, paired_difference, paper_t_test
from training.metrics.opinion import Agreement, agreement, rmse, srocc
from training.metrics.ranking import Interval
from training.quality.evaluation import Said
from training.quality.monotony import Monotony, monotony
from training.quality.rated import RatedSet
from training.quality.within import Group, by_content, by_kind, mean_within

MOST_COMPARED = 4
"""Methods of which each is compared with each; of more, each with the first."""


@dataclass(frozen=True)
class Judged:
    """All that came of one method on one set."""

    said: Said
    agreement: Agreement
    contents: tuple[Group, ...]
    kinds: tuple[Group, ...]
    ladders: tuple[Monotony, ...]

    @property
    def within_content(self) -> float:
        """Mean over contents of Spearman's correlation among a content's pictures."""
        return mean_within(list(self.contents))


@dataclass(frozen=True, slots=True)
class Difference:
    """Of Spearman's correlation of two methods on the same pictures."""

    method: str
    other: str
    difference: float
    """Above 0: the first is nearer to the truth."""
    interval: Interval
    """95 %, contents drawn anew."""
    p: float
    """Two-sided."""
    paper_p: float | None = None
    """Of DeepRN's own test; None where the set is too small for it."""


def judged(rated: RatedSet, said: Said) -> Judged:
    """Hold what a method said of a set's pictures to their true scores; the raw error is of opinions."""
    truth = rated.truth()
    return Judged(
        said,
        dataclasses.replace(agreement(truth, said.scores), rmse=rmse(rated.opinions(), said.scores)),
        tuple(by_content(rated, truth, said.scores)),
        tuple(by_kind(rated, truth, said.scores)),
        tuple(monotony(rated, truth, said.scores, on_scale=said.on_scale)),
    )


def differences(rated: RatedSet, said: Sequence[Said], resamples: int, seed: int) -> Iterator[Difference]:
    """Each two of few methods, or each of many and the first.

    Args:
        rated: the pictures.
        said: of them, by the methods.
        resamples: draws of contents; 0: no difference is told.
        seed: of the draws.
    """
    truth = rated.truth()
    contents = np.array([one.content for one in rated.pictures])
    if not resamples or len(set(contents.tolist())) < 2:
        return
    pairs = combinations(said, 2) if len(said) <= MOST_COMPARED else ((said[0], other) for other in said[1:])
    for one, other in pairs:
        found = paired_difference(srocc, truth, one.scores, other.scores, contents, resamples=resamples, seed=seed)
        papers = (
            paper_t_test(srocc, truth, one.scores, other.scores, seed=seed) if len(truth) >= LEAST_PICTURES else None
        )
        yield Difference(one.method, other.method, found.difference, found.interval, found.p, papers)
