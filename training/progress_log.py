"""A fit's course: CSV files, a row a step and a row a validation, and their curves as PNG (needs matplotlib)."""

import csv
import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from training.files import write_whole

STEPS, VALIDATIONS, CURVES = "steps.csv", "validations.csv", "curves.png"
Row = Mapping[str, float]


class ProgressLog:
    """Two tables in a folder; each row begins with ``step``, the steps done."""

    def __init__(self, folder: Path, *, after: int = 0) -> None:
        """Go on with the tables of a run that is resumed ``after`` so many steps; later rows are dropped."""
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        for name in (STEPS, VALIDATIONS):
            _truncate(folder / name, after)

    def step(self, row: Row) -> None:
        """One step's; every row has the same names."""
        _append(self._folder / STEPS, row)

    def validation(self, row: Row) -> None:
        """One validation's; every row has the same names."""
        _append(self._folder / VALIDATIONS, row)

    def draw(self) -> None:
        """Write ``curves.png``: the losses over the steps, smoothed, and each measure of the validations."""
        from matplotlib.figure import Figure  # noqa: PLC0415 - training does without

        steps, validations = (_columns(self._folder / name) for name in (STEPS, VALIDATIONS))
        figure = Figure(figsize=(11, 4), layout="constrained")
        losses, measures = figure.subplots(1, 2)
        for name in (name for name in steps if name.endswith("loss")):
            losses.plot(steps["step"], _smooth(steps[name]), label=name)
        for name in (name for name in validations if name != "step"):
            measures.plot(validations["step"], validations[name], marker=".", label=name)
        for axes, title in ((losses, "Training (mean of 50 steps)"), (measures, "Validation")):
            axes.set(title=title, xlabel="step")
            axes.grid(visible=True, alpha=0.3)
            if axes.has_data():
                axes.legend(fontsize=8)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=110, metadata={"Software": None})
        write_whole(self._folder / CURVES, buffer.getvalue())


def last_row(folder: Path, table: str) -> dict[str, float]:
    """A table's last row; empty where there is none."""
    return {name: float(values[-1]) for name, values in _columns(folder / table).items() if len(values)}


def column(folder: Path, table: str, name: str) -> list[float]:
    """One column of a table; empty where there is no row or no such column."""
    return [float(value) for value in _columns(folder / table).get(name, ())]


def _append(path: Path, row: Row) -> None:
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        if new:
            writer.writerow(row)
        writer.writerow(f"{value:.6g}" if isinstance(value, float) else value for value in row.values())


def _truncate(path: Path, after: int) -> None:
    if not path.exists():
        return
    lines = path.read_text().splitlines(keepends=True)  # none where a run was killed before its first row
    kept = [row for row in lines[1:] if row.endswith("\n") and int(row.split(",", 1)[0]) <= after]
    if kept:
        write_whole(path, "".join([lines[0], *kept]).encode())
    else:
        path.unlink()


def _columns(path: Path) -> dict[str, "np.ndarray[tuple[int], np.dtype[np.float64]]"]:
    if not path.exists():
        return {}
    head, *rows = csv.reader(path.read_text().splitlines())
    table = np.array(rows, np.float64).reshape(len(rows), len(head))
    return {name: table[:, place] for place, name in enumerate(head)}


def _smooth(
    values: "np.ndarray[tuple[int], np.dtype[np.float64]]", width: int = 50
) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    """Mean of the last ``width`` values at each."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(0, ends - width)
    return np.asarray((sums[ends] - sums[starts]) / (ends - starts))
