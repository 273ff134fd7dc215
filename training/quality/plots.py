"""Predicted against true scores, a point a picture, with the curve that was fitted."""

import io

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

Floats = NDArray[np.float64]
POINT, CURVE = "#1f5fa8", "#d1495b"
INCHES, DPI = (6.4, 5.6), 120
MANY = 2000
"""Points; above, they are drawn small."""


def scatter(title: str, label: str, truth: Floats, scores: Floats, fitted: Floats) -> bytes:
    """A PNG.

    Args:
        title: above the plot.
        label: of the horizontal axis: what gave the scores.
        truth: (n,) in [1, 5].
        scores: (n,) of any scale.
        fitted: (n,): the scores through the curve that was fitted to them.
    """
    figure = Figure(INCHES, DPI, layout="constrained")
    axes = figure.subplots()
    many = len(truth) > MANY
    axes.plot(scores, truth, "o", color=POINT, markersize=2 if many else 4, alpha=0.25 if many else 0.6, mew=0)
    order = np.argsort(scores)
    axes.plot(scores[order], fitted[order], color=CURVE, linewidth=2, label="logistic curve, fitted")
    axes.set_title(title, fontsize=12)
    axes.set_xlabel(f"{label}: predicted", fontsize=11)
    axes.set_ylabel("true MOS", fontsize=11)
    axes.set_ylim(0.9, 5.1)
    axes.grid(visible=True, alpha=0.3)
    axes.legend(loc="upper left", fontsize=10)
    return png(figure)


def png(figure: Figure) -> bytes:
    """A figure's bytes, the same for the same figure."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
