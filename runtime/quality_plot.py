"""A video's score over time, as a PNG."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from runtime.opencv import cv2
from runtime.sheet import AMBER, CARD, FADED, GREEN, INK, Colour, Pixels, blank, shortened, text, text_width, write_png

WIDTH: Final = 1000
HEIGHT: Final = 400
LEFT, RIGHT, TOP, BOTTOM = 64, 24, 76, 56
"""Of the field, in pixels from the sheet's edges."""
SCALE: Final = (1.0, 5.0)
TICKS: Final = 10
"""Along the time axis, at most."""
BAND: Final[Colour] = (52, 104, 76)

Points = Sequence[tuple[float, float]]
"""Time in seconds, and score on 1..5; times grow."""


def quality_plot(points: Points, path: Path, *, title: str) -> None:
    """Draw the scores over time with their mean.

    Where more than one frame falls on a column of pixels, the line is the column's mean, and a band goes from its
    lowest to its highest score: no short fault is lost.

    Args:
        points: at least one.
        path: of the PNG, ``WIDTH`` x ``HEIGHT`` pixels.
        title: what was compared.

    Raises:
        ConfigError: the file cannot be written.
    """
    sheet = blank(HEIGHT, WIDTH)
    sheet[TOP : HEIGHT - BOTTOM, LEFT : WIDTH - RIGHT] = CARD
    times, scores = np.array(points, np.float64).T
    span_s = float(times[-1]) or 1.0
    text(sheet, shortened(title, 20, WIDTH - LEFT - RIGHT), (LEFT, 34), INK, 20, weight=600)
    text(sheet, f"score beside the reference, 1 to 5; {_frames(len(points))}", (LEFT, 60), FADED, 15)
    _scale(sheet)
    _time_axis(sheet, span_s)
    _draw_scores(sheet, times / span_s, scores)
    _draw_mean(sheet, float(scores.mean()))
    write_png(sheet, path, "--plot")


def nice_step(span: float, ticks: int) -> float:
    """The smallest of 1, 2 and 5 times a power of ten by which ``span`` has at most ``ticks`` steps."""
    least = span / ticks
    power = 10.0 ** math.floor(math.log10(least))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= least * (1 - 1e-9))


def _frames(count: int) -> str:
    return "1 frame" if count == 1 else f"{count} frames"


def _x(share: float) -> int:
    return LEFT + round(share * (WIDTH - RIGHT - 1 - LEFT))


def _y(score: float) -> int:
    low, high = SCALE
    bottom = HEIGHT - BOTTOM - 1
    return bottom - round((score - low) / (high - low) * (bottom - TOP))


def _scale(sheet: Pixels) -> None:
    for score in range(1, 6):
        y = _y(score)
        cv2.line(sheet, (LEFT, y), (WIDTH - RIGHT - 1, y), FADED if score == 1 else (62, 66, 75), 1)
        text(sheet, f"{score}", (LEFT - 12, y + 6), INK, 16, flags=cv2.PUT_TEXT_ALIGN_RIGHT)


def _time_axis(sheet: Pixels, span_s: float) -> None:
    bottom, step_s = HEIGHT - BOTTOM - 1, nice_step(span_s, TICKS)
    for number in range(int(span_s / step_s * (1 + 1e-9)) + 1):
        time_s = number * step_s
        x, words = _x(time_s / span_s), f"{time_s:g}"
        cv2.line(sheet, (x, bottom), (x, bottom + 6), FADED, 1)
        left = min(x - text_width(words, 15) // 2, WIDTH - text_width(words, 15) - 4)
        text(sheet, words, (left, bottom + 25), INK, 15)
    text(sheet, "time, s", (WIDTH - RIGHT, HEIGHT - 10), FADED, 15, flags=cv2.PUT_TEXT_ALIGN_RIGHT)


def _draw_scores(sheet: Pixels, shares: NDArray[np.float64], scores: NDArray[np.float64]) -> None:
    columns, starts = np.unique([_x(share) for share in shares], return_index=True)
    line = []
    for column, own in zip(columns, np.split(scores, starts[1:]), strict=True):
        if len(own) > 1:
            cv2.line(sheet, (int(column), _y(own.max())), (int(column), _y(own.min())), BAND, 1)
        line.append((int(column), _y(own.mean())))
    if len(line) == 1:
        cv2.circle(sheet, line[0], 4, GREEN, cv2.FILLED, cv2.LINE_AA)
    cv2.polylines(sheet, [np.array(line, np.int32)], isClosed=False, color=GREEN, thickness=2, lineType=cv2.LINE_AA)


def _draw_mean(sheet: Pixels, mean: float) -> None:
    y, words = _y(mean), f"mean {mean:.2f}"
    for x in range(LEFT, WIDTH - RIGHT, 14):
        cv2.line(sheet, (x, y), (min(x + 7, WIDTH - RIGHT - 1), y), AMBER, 1)
    above = y - 8 if y - 30 > TOP else y + 22
    right = WIDTH - RIGHT - 8
    left = right - text_width(words, 16)
    sheet[above - 16 : above + 5, left - 5 : right + 5] = CARD  # the scores' line may run there
    text(sheet, words, (right, above), AMBER, 16, weight=600, flags=cv2.PUT_TEXT_ALIGN_RIGHT)
