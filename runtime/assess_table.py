"""The table that ``assess`` prints: a row a picture, a column for what each head says of it."""

from collections.abc import Sequence
from pathlib import Path

from rich.markup import escape
from rich.table import Column, Table

from runtime.errors import FrameError
from runtime.heads import Quality
from runtime.manifest import Manifest
from runtime.pictures import printable
from runtime.pipeline import Judgement, Outcome
from runtime.policy import Policy
from runtime.satisfied import satisfied_share

NAMES: dict[str, str] = {"saliency": "object", "quality_fr": "full reference"}
"""Of the columns that are not called as their heads."""


class AssessTable:
    """Collects rows.

    Args:
        manifests: of the engines, in the order of their columns.
        policy: a share of satisfied viewers that it asks for has a column, too.
    """

    def __init__(self, manifests: Sequence[Manifest], policy: Policy) -> None:
        self._asked = policy.min_satisfied
        kinds = [head.kind for manifest in manifests for head in manifest.heads]
        self._columns = [NAMES.get(kind, kind) for kind in kinds]
        if self._asked is not None:
            self._columns.insert(self._columns.index("quality") + 1, self._satisfied)
        if {"clarity", "saliency"} <= set(kinds):
            self._columns.append("cover")
        self.table = Table(Column("picture", overflow="fold"), "size", "verdict")
        for column in self._columns:
            self.table.add_column(column, justify="right")
        self.table.add_column("reasons")

    def add(self, path: Path, outcome: Outcome) -> None:
        """Add a picture."""
        self.table.add_row(escape(printable(path)), *self._cells(outcome))

    @property
    def _satisfied(self) -> str:
        return f"votes of {self._asked.score} up" if self._asked else ""

    def _cells(self, outcome: Outcome) -> list[str]:
        if isinstance(outcome, FrameError):
            blanks = [""] * len(self._columns)
            return ["", "[red]dead letter[/]", *blanks, escape(f"{outcome.reason}: {outcome.detail}")]
        verdict = "[green]keep[/]" if outcome.verdict == "keep" else "[yellow]drop[/]"
        texts = self._texts(outcome)
        cells = [texts.get(column, "") for column in self._columns]
        return [f"{outcome.width}x{outcome.height}", verdict, *cells, ", ".join(outcome.reasons)]

    def _texts(self, judgement: Judgement) -> dict[str, str]:
        """By column."""
        scores = {NAMES.get(kind, kind): result.value for kind, result in judgement.results.items()}
        if judgement.cover and judgement.cover.object_proportion is not None:
            scores["object"] = judgement.cover.object_proportion  # of the picture, not of the map with its padding
        if judgement.cover and judgement.cover.score is not None:
            scores["cover"] = judgement.cover.score
        texts = {column: f"{score:.3f}" for column, score in scores.items()}
        quality = judgement.results.get("quality")
        if self._asked and isinstance(quality, Quality):
            texts[self._satisfied] = f"{satisfied_share(quality.distribution, self._asked.score):.1%}"
        return texts
