"""Table II of the full-reference paper: variants of the network side by side, each over its seeds."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from training.cover.markdown import number, table
from training.quality.measures import Judged

ORDER = ("distorted_only", "residual_only", "concat", "proposed")
"""As the paper's columns stand."""
TITLES = {"distorted_only": "Distorted", "residual_only": "Residual", "concat": "Direct concat", "proposed": "Proposed"}


@dataclass(frozen=True, slots=True)
class Column:
    """One variant on one set, over its seeds."""

    group: str
    seeds: int
    srocc: float
    """Median over seeds, as are the others."""
    srocc_spread: tuple[float, float]
    """Least and most."""
    plcc: float
    """After the logistic curve."""
    within_content: float


def columns(judged: Sequence[Judged], groups: dict[str, str]) -> list[Column]:
    """The paper's variants in its order, then others by name.

    Args:
        judged: what came of each gate on one set.
        groups: by the gate's name; methods that are not there make no column.
    """
    found: dict[str, list[Judged]] = {}
    for one in judged:
        if one.said.method in groups:
            found.setdefault(groups[one.said.method], []).append(one)
    return [_column(group, found[group]) for group in sorted(found, key=_place)]


def columns_lines(sets: dict[str, list[Column]]) -> Iterator[str]:
    """Markdown: SROCC and PLCC, a row a set, as Table II has them.

    Args:
        sets: the columns by the set's name.
    """
    groups = sorted({one.group for own in sets.values() for one in own}, key=_place)
    heads = ["", "set", *(TITLES.get(group, group) for group in groups)]
    rows = []
    for title, cell in (("SROCC", _srocc), ("PLCC", _plcc), ("SROCC within content", _within)):
        for name, own in sets.items():
            known = {one.group: one for one in own}
            rows.append([title, name, *(cell(known[group]) for group in groups)])
    yield from table(heads, rows)
    yield ""
    yield "Median over seeds; in brackets their number, and the least and most SROCC. PLCC after the logistic curve."


def _column(group: str, own: list[Judged]) -> Column:
    sroccs = [one.agreement.srocc for one in own]
    return Column(
        group,
        len(own),
        float(np.median(sroccs)),
        (min(sroccs), max(sroccs)),
        float(np.median([one.agreement.plcc_fitted for one in own])),
        float(np.median([one.within_content for one in own])),
    )


def _place(group: str) -> tuple[int, str]:
    variant = group.partition(":")[0]
    return (ORDER.index(variant) if variant in ORDER else len(ORDER), group)


def _srocc(one: Column) -> str:
    low, high = one.srocc_spread
    return number(one.srocc) + (f" ({one.seeds}: {number(low)} to {number(high)})" if one.seeds > 1 else " (1)")


def _plcc(one: Column) -> str:
    return number(one.plcc)


def _within(one: Column) -> str:
    return number(one.within_content)
