"""What an evaluation of covers found: ``REPORT.json`` with every number, ``REPORT.md``, and each sample's in CSV."""

import csv
import dataclasses
import io
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from runtime.errors import ConfigError
from runtime.faults import faults_of
from training.cover.evaluation import Answers
from training.cover.gate import CoverGate
from training.cover.measures import LevelMeasures, Measures
from training.cover.pairs import Pairs
from training.cover.run_facts import RunFacts
from training.cover.selection import Selection
from training.cover.tables import MEASURES, Trained
from training.cover.timing import Cost
from training.files import write_whole
from training.finite import finite
from training.metrics.segmentation import image_ious, predicted_proportions, true_proportions

JSON, MARKDOWN = "REPORT.json", "REPORT.md"
COLUMNS = ("image", "source", "level", "sigma", "score", "clarity", "iou", "proportion", "predicted_proportion", "mae")


@dataclass(frozen=True)
class Judged:
    """One gate, and all that came of it."""

    gate: CoverGate
    anchor: bool
    """A published network without a manifest, to compare with."""
    answers: Answers
    measures: dict[str, Measures]
    """By which samples: ``ALL``, ``GATED``."""
    levels: tuple[LevelMeasures, ...]
    pairs: tuple[Pairs, ...]
    cost: Cost | None
    panels: str | None
    """Name of the picture beside the report."""


@dataclass(frozen=True)
class Report:
    """What was evaluated, on what, and all that came of it."""

    selection: Selection
    judged: tuple[Judged, ...]
    resamples: int

    @property
    def trained(self) -> list[Trained]:
        """The gates that the paper's tables can be made of."""
        return [
            _trained(one.gate.name, one.gate.run, {key: dataclasses.asdict(own) for key, own in one.measures.items()})
            for one in self.judged
            if one.gate.run is not None
        ]


def write_report(folder: Path, report: Report, markdown: str) -> None:
    """Write all files; ``markdown`` is the content of the one that one reads.

    Raises:
        OSError: they cannot be written.
    """
    for one in report.judged:
        write_whole(folder / file_name(one.gate.name, ".csv"), samples_csv(report.selection, one.answers))
    text = json.dumps(finite(as_json(report)), indent=1, allow_nan=False)
    write_whole(folder / JSON, text.encode() + b"\n")
    write_whole(folder / MARKDOWN, markdown.encode())


def file_name(name: str, suffix: str, before: str = "") -> str:
    """Of a gate's own file; a name that is a path loses its slashes."""
    return f"{before}{name.strip('/').replace('/', '_')}{suffix}"


def as_json(report: Report) -> dict[str, Any]:
    """Every number, by name; what cannot be told is NaN (null in the file)."""
    chosen, header = report.selection.chosen, report.selection.chosen.header
    return {
        "format": _File.model_fields["format"].default,
        "set": {
            "name": chosen.name,
            "digest": chosen.digest,
            "selection": report.selection.digest,
            "proxy": header.proxy,
            "split": report.selection.split,
            "split_rule": header.split,
            "every": report.selection.every,
            "levels": report.selection.levels,
            "samples": len(chosen),
        },
        "resamples": report.resamples,
        "gates": [_gate_json(one) for one in report.judged],
    }


def samples_csv(selection: Selection, answers: Answers) -> bytes:
    """A sample a row, in the set's order; empty where there is no such number. Proportions are of 0 to 1."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    masked = np.isfinite(answers.maes)
    columns = (image_ious, true_proportions, predicted_proportions)
    shares = [np.where(masked, column(answers.confusions), np.nan) for column in columns]
    numbers = np.stack([answers.clarity, *shares, answers.maes], axis=1)
    for sample, row in zip(selection.chosen.samples, numbers.tolist(), strict=True):
        score = "" if sample.score is None else f"{sample.score:g}"
        cells = [f"{value:.6g}" if math.isfinite(value) else "" for value in row]
        writer.writerow([sample.image, sample.source, sample.level, f"{sample.sigma_px:g}", score, *cells])
    return text.getvalue().encode()


def read_trained(path: Path) -> tuple[str, list[Trained]]:
    """From a ``REPORT.json`` or its folder: the digest of what it is on, and its gates that have a run's facts.

    Raises:
        ConfigError: no such file, or it is no report of covers.
    """
    path = path / JSON if path.is_dir() else path
    try:
        file = _File.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}; name what `evaluate cover` wrote") from error
    except ValidationError as error:
        raise ConfigError(f"{path} is no report of `evaluate cover`: {faults_of(error, JSON)}") from error
    named = path.parent.name
    return file.set.selection, [
        _trained(f"{named}/{one.name}", one.run, one.measures) for one in file.gates if one.run is not None
    ]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class _SetPart(_Part):
    selection: str


class _GatePart(_Part):
    name: str
    run: RunFacts | None
    measures: dict[str, dict[str, Any]]


class _File(_Part):
    """The part of ``REPORT.json`` that tables are made of."""

    format: Literal["framegate/cover-evaluation/1"] = "framegate/cover-evaluation/1"
    set: _SetPart
    gates: tuple[_GatePart, ...]


def _trained(name: str, facts: RunFacts, measures: dict[str, dict[str, Any]]) -> Trained:
    found = {key: measures.get(which, {}).get(key) for key, which, _ in MEASURES}
    return Trained(name, facts, {key: math.nan if value is None else float(value) for key, value in found.items()})


def _gate_json(one: Judged) -> dict[str, Any]:
    gate = one.gate
    return {
        "name": gate.name,
        "anchor": one.anchor,
        "digest": gate.digest,
        "heads": sorted(gate.kinds),
        "view": gate.view,
        "runs_on": gate.runs_on,
        "data": gate.data,
        "run": gate.run.model_dump() if gate.run else None,
        "measures": {which: dataclasses.asdict(measures) for which, measures in one.measures.items()},
        "levels": [dataclasses.asdict(level) for level in one.levels],
        "pairs": [dataclasses.asdict(pairs) for pairs in one.pairs],
        "cost": dataclasses.asdict(one.cost) if one.cost else None,
        "panels": one.panels,
    }
