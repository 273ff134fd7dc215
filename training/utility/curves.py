"""An evaluation in pictures: risk over coverage, reliability, and ROC, one panel a judge. Needs matplotlib."""

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from training.files import write_whole
from training.metrics.calibration import ece, reliability
from training.metrics.ranking import auroc, risk_coverage, roc
from training.utility.evaluation import Scoring
from training.utility.judges import Judge, foremost

Scores = NDArray[np.float64]
Lines = Sequence[tuple[Scoring, Scores, dict[str, Any]]]
Draw = Callable[[Axes, Judge, Lines], None]

PANEL_INCHES, LINE_INCHES, COLUMNS, DPI = 4.2, 0.16, 3, 110
FAINT: dict[str, Any] = {"color": "0.6", "linewidth": 1, "linestyle": ":"}


def write_curves(folder: Path, scorings: Sequence[Scoring], judges: Sequence[Judge], note: str) -> tuple[str, ...]:
    """Write the PNG files; returns their names.

    Args:
        folder: where they go.
        scorings: one line each, in a colour of its own, the same in every panel; the anchor is black and dashed.
        judges: the foremost of them get one panel each.
        note: what every picture must say: whose truth it is, and which networks were unseen.
    """
    drawn = {
        "risk-coverage.png": ("Share of errors among the kept, by share kept", _risk_coverage),
        "reliability.png": ("Share that is right, by score", _reliability),
        "roc.png": ("Right ones kept, by wrong ones kept", _roc),
    }
    shown = foremost(judges)
    for name, (title, draw) in drawn.items():
        write_whole(folder / name, _figure(f"{title}\n{note}", scorings, shown, draw))
    return tuple(drawn)


def _figure(title: str, scorings: Sequence[Scoring], judges: Sequence[Judge], draw: Draw) -> bytes:
    columns = max(1, min(COLUMNS, len(judges)))
    rows = max(1, -(-len(judges) // columns))
    height = PANEL_INCHES + LINE_INCHES * (len(scorings) + 2)  # the legend stands below
    figure = Figure((max(PANEL_INCHES * columns, 6.5), height * rows + 0.7), DPI, layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for panel, judge in zip(panels, judges, strict=False):
        found = [(one, one.of(judge), _style(one, place)) for place, one in enumerate(scorings)]
        draw(panel, judge, [(one, scores, style) for one, scores, style in found if scores is not None])
        panel.set_title(_title(judge), fontsize=10)
        panel.grid(alpha=0.25)
        panel.legend(fontsize=7, loc="upper left", bbox_to_anchor=(0, -0.13), frameon=False)
    for panel in panels[len(judges) :]:
        panel.remove()
    figure.suptitle(title, fontsize=10)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def _risk_coverage(panel: Axes, judge: Judge, lines: Lines) -> None:
    wrong = ~judge.right
    for scoring, scores, style in lines:
        curve = risk_coverage(scores, wrong)
        panel.plot(curve.coverage, curve.risk, label=f"{scoring.name}: AURC {curve.area:.3f}", **style)
    perfect = risk_coverage(judge.right.astype(np.float64), wrong)
    panel.plot(perfect.coverage, perfect.risk, label=f"perfect: {perfect.area:.3f}", **{**FAINT, "linestyle": "-."})
    panel.axhline(float(wrong.mean()), label=f"random: {wrong.mean():.3f}", **FAINT)
    panel.set(xlabel="coverage: share kept", ylabel="risk: share of errors among the kept", xlim=(0, 1))
    panel.set_ylim(0, max(float(wrong.mean()) * 1.25, 0.05))


def _reliability(panel: Axes, judge: Judge, lines: Lines) -> None:
    panel.plot([0, 1], [0, 1], **FAINT)
    for scoring, scores, style in lines:
        if scoring.probability:
            points, error = reliability(scores, judge.right), ece(scores, judge.right)
            label = f"{scoring.name}: ECE {error:.3f}"
            panel.plot(points.score, points.frequency, label=label, marker="o", markersize=3, **style)
    panel.set(xlabel="score", ylabel="share that is right", xlim=(0, 1), ylim=(0, 1))


def _roc(panel: Axes, judge: Judge, lines: Lines) -> None:
    panel.plot([0, 1], [0, 1], **FAINT)
    for scoring, scores, style in lines:
        area = auroc(scores, judge.right)
        panel.plot(*roc(scores, judge.right), label=f"{scoring.name}: AUROC {area:.3f}", **style)
    panel.set(xlabel="share of wrong ones kept", ylabel="share of right ones kept", xlim=(0, 1), ylim=(0, 1))


def _title(judge: Judge) -> str:
    if judge.role == "pooled":
        return "unseen, pooled"
    return judge.name if judge.role == "agreement" else f"{judge.name} ({judge.role})"


def _style(scoring: Scoring, place: int) -> dict[str, Any]:
    if scoring.kind == "anchor":
        return {"color": "black", "linewidth": 1.3, "linestyle": "--"}
    width = 2.2 if scoring.kind == "gate" else 1.1
    return {"color": f"C{place % 10}", "linewidth": width}
