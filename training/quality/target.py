"""What a network should say of a judged picture."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from training.metrics.distribution import discretised
from training.metrics.votes import koniq_deviation
from training.quality.rated import BEST, WORST, Distribution, RatedSet


@dataclass(frozen=True, slots=True)
class Target:
    """Shares of the votes 1 to 5, and their mean as the set tells it, in [1, 5]."""

    distribution: Distribution
    mos: float


def targets(rated: RatedSet) -> list[Target]:
    """One for each picture of a set.

    Where a set has no votes, a Gaussian with the picture's standard deviation is cut into five, so that they have the
    picture's mean; where it has no deviation either, that of KonIQ-10k's pictures of this mean is taken.
    """
    means = rated.mos5()
    to_five = (BEST - WORST) / (rated.scale[1] - rated.scale[0])
    own = np.array([np.nan if one.std is None else one.std * to_five for one in rated.pictures])
    deviations = np.where(np.isnan(own), koniq_deviation(means), own)
    shares = discretised(means, np.maximum(deviations, 0.05))
    return [
        Target(one.distribution or _tuple(row), float(mean))
        for one, row, mean in zip(rated.pictures, shares, means, strict=True)
    ]


def _tuple(row: Sequence[float]) -> Distribution:
    one, two, three, four, five = (float(share) for share in row)
    return (one, two, three, four, five)
