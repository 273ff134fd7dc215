"""A share of satisfied viewers, as it is asked of a quality distribution: ``0.8@3``.

The papers' own use of a distribution: "guarantee a desired percentage of satisfied users" (DeepRN, section 1), which a
mean opinion score cannot.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

SLACK = 1e-6
"""Shares are sums of up to five float32 numbers: a share that misses its threshold by less has reached it."""
_ASKED = re.compile(r"(0?\.\d+|1(?:\.0*)?)@([2-5])", re.ASCII)


class Satisfied(NamedTuple):
    """At least this share of the viewers, in (0, 1], votes at least this score, 2 to 5."""

    share: float
    score: int

    def __str__(self) -> str:
        return f"{np.format_float_positional(self.share, trim='-')}@{self.score}"

    def misses(self, distribution: Sequence[float]) -> bool:
        """Whether fewer viewers than asked for are satisfied with a picture of that distribution."""
        return satisfied_share(distribution, self.score) < self.share - SLACK


def satisfied_share(distribution: Sequence[float], score: int) -> float:
    """The share of the viewers who vote at least ``score``.

    Args:
        distribution: shares of the votes 1 to 5, which sum to 1.
        score: 1 to 5.
    """
    return min(1.0, sum(distribution[score - 1 :]))


def parse_satisfied(text: str) -> Satisfied:
    """Read ``SHARE@SCORE``.

    Raises:
        ValueError: it is something else; the text says what is due.
    """
    asked = _ASKED.fullmatch(text.strip())
    if asked is None or float(asked[1]) == 0:
        raise ValueError(
            "SHARE@SCORE is due: a share of viewers above 0, 1 at most, and the least score they give, a whole number "
            "from 2 to 5, such as 0.8@3"
        )
    return Satisfied(float(asked[1]), int(asked[2]))
