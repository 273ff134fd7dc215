"""From what networks answer to labels: 1 useful, 0 useless, -1 neither.

A network gives no verdict on a source that it does not recognise undamaged: so only the damage is judged
(machine-utility paper, section IV: P(I') = S(I')).
"""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

USEFUL, USELESS, NEITHER = 1, 0, -1
T_HIGH, T_LOW = 0.9, 0.1
"""The paper's thresholds of the correct class's softmax probability (CCSP), section V."""
REFERENCE_SHARE = 0.5
"""Of its confidence on the undamaged picture, what a network must keep by the relative rule."""
LEAST_SCORE = 0.5
"""What a detection must score to count, and how much it must overlap (IoU) the true box (section IV)."""

Rule = Literal["paper", "relative", "correctness"]
"""One of the functions below, by name."""

Verdicts = NDArray[np.int8]
Flags = NDArray[np.bool_]


def paper_rule(
    right: Flags, ccsp: NDArray[Any], recognised: Flags, *, high: float = T_HIGH, low: float = T_LOW
) -> Verdicts:
    """Useful if right and CCSP > T_H, useless if wrong and CCSP < T_L (section IV). All arrays of one shape."""
    return _verdicts(right & (ccsp > high), ~right & (ccsp < low), recognised)


def relative_rule(
    right: Flags,
    ccsp: NDArray[Any],
    reference_ccsp: NDArray[Any],
    recognised: Flags,
    *,
    share: float = REFERENCE_SHARE,
    low: float = T_LOW,
) -> Verdicts:
    """Useful if right and CCSP >= ``share`` of that on the undamaged picture, useless if wrong and CCSP < T_L.

    For networks that are seldom sure: those trained with smoothed labels hardly ever pass the paper's T_H.
    """
    return _verdicts(right & (ccsp >= share * reference_ccsp), ~right & (ccsp < low), recognised)


def correctness_rule(right: Flags, recognised: Flags) -> Verdicts:
    """Useful if right, else useless (Eq. 5): no grey zone. What a majority of networks is taken of.

    For a detector (Eq. 6, section IV), right is: at least one true box is found, with its label, score >= .5 and
    IoU >= .5.
    """
    return _verdicts(right, ~right, recognised)


def agreement(verdicts: Verdicts) -> Verdicts:
    """(networks, samples) -> (samples,): 1 where all say 1, 0 where all say 0, else -1 (section IV, last words)."""
    _require_networks(verdicts)
    return _chosen((verdicts == USEFUL).all(0), (verdicts == USELESS).all(0))


def majority(verdicts: Verdicts) -> Verdicts:
    """(networks, samples) -> (samples,): what more networks say of 1 and 0; -1 for a tie, or where none says either."""
    _require_networks(verdicts)
    useful, useless = (verdicts == USEFUL).sum(0), (verdicts == USELESS).sum(0)
    return _chosen(useful > useless, useless > useful)


def _verdicts(useful: Flags, useless: Flags, recognised: Flags) -> Verdicts:
    return _chosen(useful & recognised, useless & recognised)


def _chosen(useful: Flags, useless: Flags) -> Verdicts:
    return np.where(useful, USEFUL, np.where(useless, USELESS, NEITHER)).astype(np.int8)


def _require_networks(verdicts: Verdicts) -> None:
    if verdicts.ndim != 2 or not len(verdicts):
        raise ValueError(f"verdicts of shape {verdicts.shape}; (networks, samples) with at least one network is due")
