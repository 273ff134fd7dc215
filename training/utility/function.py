"""The utility function of a machine's confidence, as the paper prints it and as it is meant."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


def utility_eq2(phi: ArrayLike, phi_reference: ArrayLike, rejection: ArrayLike) -> NDArray[Any]:
    """Machine-utility paper, Eq. 2, as printed: (phi - rec) / (1 - (phi' - rec)). To compare, not to use.

    A picture that lost nothing gets no constant value, and of two that fell to the same confidence the one that
    fell further gets more; both contradict the paper's own words (section III.A). ``utility`` is what they ask for.

    Args:
        phi: confidence in the truth on the damaged picture, in [0, 1].
        phi_reference: the same on the undamaged picture.
        rejection: confidence below which the answer is rejected.

    Returns:
        float64 of the arguments' common shape, of any size; infinite or NaN where the denominator is 0.
    """
    phi, reference, rec = _arrays(phi, phi_reference, rejection)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray((phi - rec) / (1 - (reference - rec)))


def utility(phi: ArrayLike, phi_reference: ArrayLike, rejection: ArrayLike) -> NDArray[Any]:
    """What Eq. 2 means: (phi - rec) / (phi' - rec): 1 for no loss, 0 at rejection, below 0 when rejected.

    Its sign is Eq. 2's wherever it is defined, so labels by sign (Eq. 5) are the same. Arguments as ``utility_eq2``.

    Returns:
        float64 in [-1, 1] (clipped); NaN where the undamaged picture was not recognised (phi' <= rec).
    """
    phi, reference, rec = _arrays(phi, phi_reference, rejection)
    recognised = reference > rec
    span = np.where(recognised, reference - rec, 1.0)
    return np.where(recognised, np.clip((phi - rec) / span, -1.0, 1.0), np.nan)


def _arrays(*values: ArrayLike) -> list[NDArray[np.float64]]:
    return list(np.broadcast_arrays(*(np.asarray(value, np.float64) for value in values)))
