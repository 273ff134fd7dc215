"""What an evaluation found: ``REPORT.json`` with every number, ``REPORT.md`` with those that one reads."""

import dataclasses
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.files import write_whole
from training.finite import finite
from training.utility.evaluation import Row, Scoring
from training.utility.filtering import Filtered
from training.utility.gate import Gate
from training.utility.judges import Judge
from training.utility.label_set import LabelSet

FORMAT = "framegate/evaluation/1"
JSON, MARKDOWN = "REPORT.json", "REPORT.md"


@dataclass(frozen=True)
class Report:
    """What was evaluated, on what, and all that came of it."""

    labels: LabelSet
    split: str
    """``train``, ``test`` or ``all``: the part of the label set."""
    trained_on: tuple[str, ...]
    """Networks of the label set that gave training labels."""
    scorings: tuple[Scoring, ...]
    gates: dict[str, Gate]
    """And the baseline engine, by name."""
    judges: tuple[Judge, ...]
    rows: tuple[Row, ...]
    filtered: Filtered
    resamples: int
    curves: tuple[str, ...] = ()
    """Names of the pictures beside the report."""


def write_report(folder: Path, report: Report, markdown: Iterable[str]) -> None:
    """Write both files; ``markdown`` are the lines of the one that one reads.

    Raises:
        OSError: they cannot be written.
    """
    text = json.dumps(finite(as_json(report)), indent=1, allow_nan=False)
    write_whole(folder / JSON, text.encode() + b"\n")
    write_whole(folder / MARKDOWN, "\n".join(markdown).encode() + b"\n")


def taught_here(report: Report, gate: Gate) -> bool:
    """Whether pictures that a gate was trained on are among those that it is judged by."""
    return report.split != "test" and report.labels.digest in gate.data


def as_json(report: Report) -> dict[str, Any]:
    """Every number, by name; what cannot be told is NaN (null in the file)."""
    header = report.labels.header
    return {
        "format": FORMAT,
        "labels": {
            "name": header.name,
            "digest": report.labels.digest,
            "task": header.task,
            "truth": header.truth,
            "plan": header.plan,
            "side": header.side,
            "split": report.split,
            "samples": len(report.labels),
        },
        "trained_on": report.trained_on,
        "judges": [{"name": judge.name, "role": judge.role, "samples": len(judge.sample)} for judge in report.judges],
        "scorings": [
            {
                "name": one.name,
                "kind": one.kind,
                "threshold": one.threshold,
                "digest": gate.digest if gate else None,
                "data": gate.data if gate else None,
            }
            for one in report.scorings
            for gate in [report.gates.get(one.name)]
        ],
        "resamples": report.resamples,
        "rows": [dataclasses.asdict(row) for row in report.rows],
        "filtered": [dataclasses.asdict(row) for row in report.filtered],
        "curves": report.curves,
    }
