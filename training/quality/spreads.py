"""How near predicted shares of the votes come to the true ones, beside what needs no network, or its mean alone."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.metrics.distribution import (
    KONIQ_SD_CURVE,
    DistributionErrors,
    discretised,
    distribution_errors,
    fit_sd_curve,
    mean_distribution,
)
from training.metrics.votes import mean_and_deviation
from training.quality.evaluation import Said, at, has_shares, true_shares
from training.quality.rated import RatedSet

Floats = NDArray[np.float64]
LEAST_TO_FIT = 20
"""Pictures with a distribution that a curve is fitted to."""
LEAST_SD = 0.05
"""Where a fitted parabola falls below it, far from all means that it was fitted to."""


@dataclass(frozen=True)
class Spreads:
    """Table 3 of DeepRN, with its two baselines."""

    pictures: int
    """Whose true shares are known."""
    errors: dict[str, DistributionErrors]
    """By method, and by baseline."""
    baselines: str
    """What they were made of, in words."""


def spreads(rated: RatedSet, said: Sequence[Said], teachers: RatedSet) -> Spreads | None:
    """None where the set has no distributions, or no method has.

    Args:
        rated: the pictures.
        said: of them, by the methods.
        teachers: what baselines are made of: pictures of the training side; there may be none.
    """
    known, truth = true_shares(rated)
    answers = [at(own, has_shares(rated)) for own in said if own.shares is not None]
    if not len(known) or not answers:
        return None
    errors = {own.method: distribution_errors(truth, own.shares) for own in answers if own.shares is not None}
    taught, shares = true_shares(teachers)
    if len(taught):
        errors["mean distribution"] = distribution_errors(
            truth, np.broadcast_to(mean_distribution(shares), truth.shape)
        )
    curve, told = _curve(shares)
    for own in answers:
        predicted = discretised(own.scores, np.maximum(curve(own.scores), LEAST_SD))
        errors[f"{own.method}: MOS, fixed SD"] = distribution_errors(truth, predicted)
    made = (
        f"Baselines: the mean distribution of {len(taught)} pictures of {teachers.name}'s training side for all"
        if len(taught)
        else "No training side is at hand (--train-set), so no mean distribution is told of. Baseline"
    )
    return Spreads(len(known), errors, f"{made}; a method's own MOS with the standard deviation by {told}.")


def _curve(shares: Floats) -> tuple[Callable[[Floats], Floats], str]:
    """Standard deviation by the mean, and in words what it was fitted to."""
    if len(shares) < LEAST_TO_FIT:
        return KONIQ_SD_CURVE, "KonIQ-10k's curve"
    means, deviations = mean_and_deviation(shares)
    return fit_sd_curve(means, deviations), "a parabola fitted to the training side"
