"""Decisions and dead letters as a person reads them: the last ones, and totals per stream."""

import json
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from stream.record import Record

STYLES = {"keep": "green", "drop": "yellow", "dead letter": "red", "not a decision": "dim"}


@dataclass(frozen=True)
class Row:
    """What a record of the output or the dead-letter topic says, ready to be shown.

    Args:
        stream: the camera.
        source: partition and offset of the frame, ``3/91``; of the record itself where it is no decision.
        verdict: one of ``STYLES``.
        reasons: why it was dropped or could not be judged.
        utility, mos, cover, age_ms, latency_ms: as in the decision, where it has them; ``cover`` is its score.
    """

    stream: str
    source: str
    verdict: str
    reasons: str = ""
    utility: float | None = None
    mos: float | None = None
    cover: float | None = None
    age_ms: float | None = None
    latency_ms: float | None = None

    def __str__(self) -> str:
        scores = [
            f"{name}={value}"
            for name, value in zip(("utility", "mos", "cover", "age_ms", "latency_ms"), self._numbers(), strict=True)
            if value
        ]
        return " ".join([self.stream, self.source, self.verdict.replace(" ", "-"), *scores, self.reasons]).rstrip()

    def cells(self) -> list[Text]:
        """The row of a table."""
        style = STYLES[self.verdict]
        texts = [self.stream, self.source, self.verdict, *self._numbers(), self.reasons]
        return [Text(text, style=style if text == self.verdict else "") for text in texts]

    def _numbers(self) -> list[str]:
        numbers = (self.utility, self.mos, self.cover, self.age_ms, self.latency_ms)
        values = zip(numbers, (3, 2, 3, 0, 1), strict=True)
        return ["" if value is None else f"{value:.{decimals}f}" for value, decimals in values]


def read_row(record: Record) -> Row:
    """Read a record of either topic. Whatever it holds, there is a row for it."""
    reason = record.header("framegate-reason")
    if reason is not None:
        where = [record.header(f"framegate-source-{name}") or b"?" for name in ("partition", "offset")]
        return Row(_key(record), _clean(b"/".join(where)), "dead letter", _clean(reason))
    try:
        decision = json.loads(record.value or b"")
        if not str(decision["schema"]).startswith("framegate/decision/"):
            raise ValueError(decision["schema"])
        return _decision(decision)
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError):
        return Row(_key(record), f"{record.partition}/{record.offset}", "not a decision")


@dataclass
class Totals:
    """What became of one stream's frames."""

    frames: int = 0
    by_verdict: dict[str, int] = field(default_factory=lambda: dict.fromkeys(STYLES, 0))
    utility_sum: float = 0.0
    utilities: int = 0

    def add(self, row: Row) -> None:
        """Count one more."""
        self.frames += 1
        self.by_verdict[row.verdict] += 1
        if row.utility is not None:
            self.utility_sum += row.utility
            self.utilities += 1

    def cells(self) -> list[str]:
        """The row of a table."""
        mean = f"{self.utility_sum / self.utilities:.3f}" if self.utilities else ""
        return [str(self.frames), *(str(count or "") for count in self.by_verdict.values()), mean]


class Board:
    """The last ``rows`` rows and the totals of every stream."""

    def __init__(self, rows: int) -> None:
        self._last: deque[Row] = deque(maxlen=rows)
        self.totals: dict[str, Totals] = {}

    def add(self, row: Row) -> None:
        """Show one more."""
        self._last.append(row)
        self.totals.setdefault(row.stream, Totals()).add(row)

    def __rich__(self) -> RenderableType:
        last = Table("stream", "offset", "verdict", box=None, pad_edge=False)
        for name in ("utility", "mos", "cover", "age ms", "latency ms"):
            last.add_column(name, justify="right")
        last.add_column("reasons")
        for row in self._last:
            last.add_row(*row.cells())
        return Group(last, "", self.summary())

    def summary(self) -> Table:
        """The totals alone."""
        table = Table("stream", "frames", *STYLES, "mean utility", box=None, pad_edge=False)
        for column in table.columns[1:]:
            column.justify = "right"
        for stream in sorted(self.totals):
            table.add_row(Text(stream), *self.totals[stream].cells())
        return table


def _decision(decision: dict[str, Any]) -> Row:
    source = decision["source"]
    return Row(
        stream=_clean(decision["stream"]),
        source=_clean(f"{source['partition']}/{source['offset']}"),
        verdict={"keep": "keep", "drop": "drop"}[decision["verdict"]],
        reasons=_clean(", ".join(decision["reasons"])),
        utility=_number(decision.get("utility", {}).get("score")),
        mos=_number(decision.get("quality", {}).get("mos")),
        cover=_number(decision.get("cover", {}).get("score")),
        age_ms=_number(decision.get("age_ms")),
        latency_ms=_number(decision.get("latency_ms")),
    )


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def _key(record: Record) -> str:
    return "" if record.key is None else _clean(record.key)


def _clean(text: str | bytes | None) -> str:
    """Without what would steer the terminal: keys are anybody's bytes."""
    if isinstance(text, bytes):
        text = text.decode(errors="replace")
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text or "")
