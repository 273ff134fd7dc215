"""Votes of people who do not agree: from a mean opinion to the shares of the votes 1 to 5.

As in KonIQ-10k (Lin, Hosu and Saupe, 2018): on the average 107 people judged a picture.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

SD_JITTER = 0.06
"""How far pictures of one mean differ in the standard deviation of their votes."""
EDGES = np.array([1.5, 2.5, 3.5, 4.5])
"""Between the five scores."""

Floats = NDArray[np.float64]


def koniq_deviation(mos: Floats) -> Floats:
    """The standard deviation of the votes on KonIQ-10k's pictures of these means, in [1, 5].

    A parabola, fitted to all 10,073 pictures.
    """
    curve: Floats = -0.0502 * mos**2 + 0.2665 * mos + 0.2462
    return curve


def cut_gaussian(mos: Floats, deviation: Floats) -> Floats:
    """(n, 5): a Gaussian of each mean and deviation, (n,), cut into five; the outer shares have its tails."""
    below = norm.cdf((EDGES[None, :] - mos[:, None]) / deviation[:, None])
    edges = np.concatenate([np.zeros((len(mos), 1)), below, np.ones((len(mos), 1))], axis=1)
    shares: Floats = np.diff(edges, axis=1)
    return shares


def voted(mos: Floats, votes: int, rng: np.random.Generator) -> Floats:
    """(n, 5): shares of so many votes on each picture, drawn of a Gaussian that is cut into five.

    Args:
        mos: (n,) in [1, 5].
        votes: on each picture.
        rng: of the votes, and of how much the voters agree.
    """
    deviation = np.maximum(0.1, koniq_deviation(mos) + SD_JITTER * rng.standard_normal(len(mos)))
    counts = rng.multinomial(votes, cut_gaussian(mos, deviation))
    shares: Floats = counts.astype(np.float64) / votes
    return shares


def mean_and_deviation(shares: Floats) -> tuple[Floats, Floats]:
    """Of shares (n, 5) of the votes 1 to 5: the mean opinion scores (n,) and the standard deviations (n,)."""
    scores = np.arange(1, 6, dtype=np.float64)
    # Row by row: a product of matrices rounds equal rows apart, and a correlation would be of that.
    mean = (shares * scores).sum(axis=1)
    return mean, np.sqrt(np.maximum(0, (shares * scores**2).sum(axis=1) - mean**2))
