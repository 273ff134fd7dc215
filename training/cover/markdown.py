"""Numbers and tables as the cover reports write them."""

import math
from collections.abc import Iterator, Sequence

from training.metrics.ranking import Interval

DASH = "–"  # noqa: RUF001


def number(value: float, digits: int = 3) -> str:
    """A dash where it cannot be told."""
    return DASH if math.isnan(value) else f"{value:.{digits}f}"


def with_interval(value: float, interval: Interval) -> str:
    """The 95 % interval stands in brackets, where there is one."""
    low, high = interval
    return number(value) + ("" if math.isnan(low) or math.isnan(value) else f" [{low:.3f}, {high:.3f}]")


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """A line a row."""
    for line in (heads, ["---"] * len(heads), *rows):
        yield f"| {' | '.join(line)} |"
