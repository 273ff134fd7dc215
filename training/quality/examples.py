"""Pictures with true and predicted shares of the votes, as DeepRN's Fig. 3: the best, the middle and the worst told."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from runtime.decode import Pixels
from runtime.heads import OPINIONS
from training.data.picture import read_picture, shrink
from training.quality.plots import CURVE, DPI, POINT, png
from training.quality.rated import Rated, RatedSet

Floats = NDArray[np.float64]
THUMBNAIL_PX = 320
"""Of the shorter side."""
COLUMN_INCHES, ROW_INCHES, TITLE_INCHES = 4.0, 2.9, 0.6


@dataclass(frozen=True)
class Example:
    """One picture with its shares, true and predicted, and the distance of the two."""

    title: str
    picture: Rated
    truth: Floats
    predicted: Floats
    distance: float


def choose(rated: RatedSet, truth: Floats, predicted: Floats, distances: Floats, count: int) -> list[Example]:
    """``count`` each of the nearest, of those around the median, and of the farthest, in turn; each picture once.

    Args:
        rated: n pictures.
        truth: (n, 5).
        predicted: (n, 5).
        distances: (n,), of the two.
        count: at least 1.
    """
    order = np.argsort(distances, kind="stable")
    count = max(1, min(count, len(order) // 3))
    start = (len(order) - count) // 2
    parts = {"best": order[:count], "median": order[start : start + count], "worst": order[-count:][::-1]}
    return [
        Example(
            title,
            rated.pictures[places[row]],
            truth[places[row]],
            predicted[places[row]],
            float(distances[places[row]]),
        )
        for row in range(count)
        for title, places in parts.items()
    ]


def draw_examples(title: str, examples: Sequence[Example], columns: int) -> bytes:
    """A PNG: rows of pictures, each above its two distributions.

    Args:
        title: above all.
        examples: in order, row by row.
        columns: examples in a row.

    Raises:
        PictureError: one cannot be read.
    """
    rows = -(-len(examples) // columns)
    figure = Figure((columns * COLUMN_INCHES, rows * 2 * ROW_INCHES + TITLE_INCHES), DPI, layout="constrained")
    figure.suptitle(title, fontsize=13)
    grid = figure.subplots(2 * rows, columns, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for place, one in enumerate(examples):
        row, column = divmod(place, columns)
        _show(grid[2 * row][column], one, shrink(read_picture(one.picture.path), THUMBNAIL_PX))
        _draw(grid[2 * row + 1][column], one)
    return png(figure)


def _show(axes: Axes, one: Example, pixels: Pixels) -> None:
    axes.imshow(pixels, interpolation="antialiased")
    what = f", {one.picture.kind} {one.picture.level:g}" if one.picture.kind and one.picture.level else ""
    axes.set_title(f"{one.title}: KS {one.distance:.3f}{what}", fontsize=11)


def _draw(axes: Axes, one: Example) -> None:
    axes.set_axis_on()
    for shares, colour, style, name in (
        (one.truth, POINT, "o-", "true"),
        (one.predicted, CURVE, "s--", "predicted"),
    ):
        axes.plot(
            OPINIONS, shares, style, color=colour, linewidth=2, markersize=5, label=f"{name}, {shares @ OPINIONS:.2f}"
        )
    axes.set(xticks=OPINIONS, ylim=(0, 1), xlabel="vote")
    axes.set_ylabel("share", fontsize=10)
    axes.grid(visible=True, alpha=0.3)
    axes.legend(fontsize=10, loc="best", title="MOS")
