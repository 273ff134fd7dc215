"""Agreement over splits by content, as the field reports it: the median over seeds of the test sides' correlations."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from training.metrics.opinion import Agreement, agreement
from training.quality.evaluation import Said
from training.quality.rated import RatedSet
from training.quality.splits import SplitOfSeed, median_and_quartiles

Quartiles = tuple[float, float, float]
"""The median, then the first and the third quartile."""


@dataclass(frozen=True, slots=True)
class OverSplits:
    """Of one method, or one fit."""

    method: str
    seeds: int
    srocc: Quartiles
    plcc: Quartiles
    """After the logistic curve, fitted on each test side."""


def over_splits(rated: RatedSet, said: Sequence[Said], drawn: Sequence[SplitOfSeed]) -> list[OverSplits]:
    """Each method over the test sides of the same splits: for methods that learned nothing of the set.

    Args:
        rated: the pictures.
        said: of them, by the methods.
        drawn: contents that are tested on, a seed each.
    """
    return [_over(one.method, [_on_side(rated, one, split.test) for split in drawn]) for one in said]


def over_own_splits(
    rated: RatedSet, said: Sequence[Said], own: Mapping[str, Mapping[str, Collection[str]]]
) -> list[OverSplits]:
    """Each fit over its gates, of which each is held to the test side of the split that it learned from.

    Args:
        rated: the pictures.
        said: of them, by the gates and others.
        own: the contents of the gates' test sides, by what the fit is called, and the gate; others are left out.
    """
    by_name = {one.method: one for one in said}
    return [
        _over(fit, [_on_side(rated, by_name[gate], tested) for gate, tested in tests.items()])
        for fit, tests in own.items()
    ]


def _on_side(rated: RatedSet, said: Said, tested: Collection[str]) -> Agreement:
    contents = set(tested)
    side = np.array([one.content in contents for one in rated.pictures])
    return agreement(rated.truth()[side], said.scores[side])


def _over(method: str, found: Sequence[Agreement]) -> OverSplits:
    srocc = median_and_quartiles([one.srocc for one in found])
    plcc = median_and_quartiles([one.plcc_fitted for one in found])
    return OverSplits(method, len(found), srocc, plcc)
