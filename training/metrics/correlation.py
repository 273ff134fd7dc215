"""How straight a line scores lie on."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[Any]


def lcc(truth: Numbers, predicted: Numbers, weights: Numbers | None = None) -> float:
    """Pearson's linear correlation coefficient, with no curve fitted first.

    Eq. 4 of "News Cover Assessment via Multi-task Learning", where one sum runs over i and all terms carry k: every
    sum is over the pictures.

    Args:
        truth: (n,), or empty.
        predicted: (n,), finite.
        weights: (n,), at least 0: a picture of weight 2 counts as two; None: once each.

    Returns:
        -1 to 1; NaN where fewer than two pictures count, or all of one side are equal.
    """
    weighed = np.ones(len(truth)) if weights is None else weights.astype(np.float64)
    total = weighed.sum()
    if not total:
        return float("nan")
    own, other = (values.astype(np.float64) for values in (truth, predicted))
    if not (np.ptp(own[weighed > 0]) and np.ptp(other[weighed > 0])):
        return float("nan")
    own, other = own - weighed @ own / total, other - weighed @ other / total
    scale = float(np.sqrt((weighed @ own**2) * (weighed @ other**2)))
    tiny = np.finfo(np.float64).eps * total  # of nearly equal numbers, rounding is what is left
    return float(weighed @ (own * other)) / scale if scale > tiny else float("nan")
