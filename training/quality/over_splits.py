"""Agreement over splits by content, as the field reports it: the median over seeds of the test sides' correlations.

Right for methods that learned nothing of the set; a network that was trained on one seed's training side is to be
held to that seed's test side alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from training.metrics.opinion import agreement
from training.quality.evaluation import Said
from training.quality.rated import RatedSet
from training.quality.splits import SplitOfSeed, median_and_quartiles

Quartiles = tuple[float, float, float]
"""The median, then the first and the third quartile."""


@dataclass(frozen=True, slots=True)
class OverSplits:
    """Of one method."""

    method: str
    seeds: int
    srocc: Quartiles
    plcc: Quartiles
    """After the logistic curve, fitted on each test side."""


def over_splits(rated: RatedSet, said: Sequence[Said], drawn: Sequence[SplitOfSeed]) -> list[OverSplits]:
    """Each method over the test sides.

    Args:
        rated: the pictures.
        said: of them, by the methods.
        drawn: contents that are tested on, a seed each.
    """
    truth = rated.mos5()
    contents = np.array([one.content for one in rated.pictures])
    sides = [np.isin(contents, split.test) for split in drawn]
    found = []
    for one in said:
        own = [agreement(truth[side], one.scores[side]) for side in sides]
        srocc = median_and_quartiles([each.srocc for each in own])
        plcc = median_and_quartiles([each.plcc_fitted for each in own])
        found.append(OverSplits(one.method, len(own), srocc, plcc))
    return found
