"""What an evaluation of quality found: ``report.json``, every number; ``report.md``, to be read; scores in CSV."""

import csv
import dataclasses
import io
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.files import write_whole
from training.finite import finite
from training.quality.measures import Difference, Judged
from training.quality.over_splits import OverSplits
from training.quality.rated import RatedSet
from training.quality.spreads import Spreads
from training.quality.told_apart import BlurTest

JSON, MARKDOWN = "report.json", "report.md"


@dataclass(frozen=True)
class GateFacts:
    """What a report says of a gate."""

    name: str
    digest: str
    view: str
    """What it sees of a picture, in words."""
    data: str
    """What it was trained on."""
    group: str | None = None
    """Of runs that differ in their seed alone."""


@dataclass(frozen=True)
class OnSet:
    """All that came of one set."""

    rated: RatedSet
    """The pictures that were judged."""
    side: str
    every: int
    """One content of so many."""
    judged: tuple[Judged, ...]
    spreads: Spreads | None = None
    """The distributions; None where the set or all methods have none."""
    differences: tuple[Difference, ...] = ()
    over_splits: tuple[OverSplits, ...] = ()
    plots: dict[str, str] = field(default_factory=dict)
    """Files beside the report, by what they show."""

    @property
    def contents(self) -> int:
        """How many there are."""
        return len({picture.content for picture in self.rated.pictures})


@dataclass(frozen=True)
class Report:
    """What was evaluated, and all that came of it."""

    title: str
    command: str
    gates: tuple[GateFacts, ...]
    sets: tuple[OnSet, ...]
    resamples: int
    blur: BlurTest | None = None
    people: dict[str, float] = field(default_factory=dict)
    """``people_fall``, told beside proxies, where it was asked for."""


def write_report(folder: Path, report: Report, markdown: str) -> None:
    """Write all files; ``markdown`` is the content of the one that one reads.

    Raises:
        OSError: they cannot be written.
    """
    for one in report.sets:
        write_whole(folder / file_name(one.rated.name, ".csv", "scores-"), scores_csv(one))
    text = json.dumps(finite(as_json(report)), indent=1, allow_nan=False)
    write_whole(folder / JSON, text.encode() + b"\n")
    write_whole(folder / MARKDOWN, markdown.encode())


def file_name(name: str, suffix: str, before: str = "") -> str:
    """Of a set's or a gate's own file: what a file system may not take becomes ``_``."""
    kept = "".join(letter if letter.isalnum() or letter in "-+." else "_" for letter in name)
    return f"{before}{kept.strip('_')}{suffix}"


def as_json(report: Report) -> dict[str, Any]:
    """Every number, by name; what cannot be told is NaN (null in the file)."""
    return {
        "format": "framegate/quality-evaluation/1",
        "system": report.command,
        "resamples": report.resamples,
        "people": report.people,
        "gates": [dataclasses.asdict(one) for one in report.gates],
        "sets": [_set_json(one) for one in report.sets],
        "blur": dataclasses.asdict(report.blur) if report.blur else None,
    }


def scores_csv(one: OnSet) -> bytes:
    """A picture a row, in the set's order; the true score is on [1, 5]."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["name", "content", "kind", "level", "mos", *(own.said.method for own in one.judged)])
    numbers: NDArray[np.float64] = np.stack([one.rated.truth(), *(own.said.scores for own in one.judged)], axis=1)
    for picture, row in zip(one.rated.pictures, numbers.tolist(), strict=True):
        level = "" if picture.level is None else f"{picture.level:g}"
        cells = [f"{value:.6g}" for value in row]
        writer.writerow([picture.name, picture.content, picture.kind or "", level, *cells])
    return text.getvalue().encode()


def _set_json(one: OnSet) -> dict[str, Any]:
    rated = one.rated
    return {
        "name": rated.name,
        "digest": rated.digest,
        "proxy": rated.proxy,
        "split": one.side,
        "every": one.every,
        "pictures": len(rated),
        "contents": one.contents,
        "methods": [_judged_json(own) for own in one.judged],
        "distributions": dataclasses.asdict(one.spreads) if one.spreads else None,
        "differences": [dataclasses.asdict(own) for own in one.differences],
        "over_splits": [dataclasses.asdict(own) for own in one.over_splits],
        "plots": one.plots,
    }


def _judged_json(one: Judged) -> dict[str, Any]:
    return {
        "name": one.said.method,
        "agreement": dataclasses.asdict(one.agreement),
        "within_content": one.within_content,
        "contents": [dataclasses.asdict(own) for own in one.contents],
        "kinds": [dataclasses.asdict(own) for own in one.kinds],
        "ladders": [dataclasses.asdict(own) for own in one.ladders],
    }
