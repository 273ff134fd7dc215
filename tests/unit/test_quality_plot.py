"""A score over time: the line is where the numbers are."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import ConfigError
from runtime.opencv import cv2
from runtime.quality_plot import BAND, BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Points, nice_step, quality_plot
from runtime.sheet import AMBER, GREEN, Colour, Pixels


def drawn(points: Points, path: Path) -> Pixels:
    quality_plot(points, path, title="sent.mp4 beside original.mp4")
    sheet = cv2.imread(str(path))
    assert sheet is not None
    return np.ascontiguousarray(sheet[:, :, ::-1], np.uint8)


def rows(sheet: Pixels, colour: Colour, columns: slice) -> list[int]:
    """Where that colour is in those columns."""
    return np.nonzero((sheet[:, columns] == colour).all(axis=2).any(axis=1))[0].tolist()


def row_of(score: float) -> int:
    bottom = HEIGHT - BOTTOM - 1
    return bottom - round((score - 1) / 4 * (bottom - TOP))


def test_a_step_is_where_it_is(tmp_path: Path) -> None:
    """High in the first half, low in the second; the mean between them; nothing outside the field."""
    points = [(time, 5.0 if time < 50 else 2.0) for time in range(101)]
    sheet = drawn(points, tmp_path / "new" / "plot.png")

    assert sheet.shape == (HEIGHT, WIDTH, 3)
    middle = (LEFT + WIDTH - RIGHT) // 2
    assert np.mean(rows(sheet, GREEN, slice(LEFT + 5, middle - 20))) == pytest.approx(row_of(5), abs=1)
    assert np.mean(rows(sheet, GREEN, slice(middle + 20, WIDTH - RIGHT - 5))) == pytest.approx(row_of(2), abs=1)
    assert row_of(float(np.mean([score for _, score in points]))) in rows(sheet, AMBER, slice(LEFT, LEFT + 60))
    green = (sheet == GREEN).all(axis=2)
    green[TOP - 2 : HEIGHT - BOTTOM + 2, LEFT - 2 : WIDTH - RIGHT + 2] = False
    assert not green.any()


def test_a_short_fault_is_seen(tmp_path: Path) -> None:
    """One bad frame of 50,000: the band of its column goes down to it, where the line does not."""
    points = [(index / 25, 4.5 if index != 20_000 else 1.0) for index in range(50_000)]
    sheet = drawn(points, tmp_path / "plot.png")

    column = LEFT + round(20_000 / 50_000 * (WIDTH - RIGHT - 1 - LEFT))
    near = slice(column - 2, column + 3)
    assert max(rows(sheet, BAND, near)) >= row_of(1) - 1
    assert max(rows(sheet, GREEN, near)) < row_of(4)


def test_one_frame_is_a_point(tmp_path: Path) -> None:
    """A video of one frame has no line, and no time to divide by."""
    sheet = drawn([(0.0, 3.0)], tmp_path / "plot.png")

    assert np.mean(rows(sheet, GREEN, slice(LEFT - 5, LEFT + 6))) == pytest.approx(row_of(3), abs=1)


def test_a_plot_that_cannot_be_written_is_the_operators_fault(tmp_path: Path) -> None:
    """The flag is named."""
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ConfigError, match=r"--plot: .*cannot write it"):
        quality_plot([(0.0, 3.0)], tmp_path / "file" / "plot.png", title="")


@given(st.floats(1e-3, 1e6), st.integers(2, 20))
def test_ticks_are_few_and_round(span: float, ticks: int) -> None:
    """As many as asked for at most, and no fewer than two fifths of that; each 1, 2 or 5 and zeros."""
    step = nice_step(span, ticks)

    assert span / step <= ticks * (1 + 1e-6)
    assert span / step >= ticks / 2.5 * (1 - 1e-6)
    assert float(f"{step:.0e}") == pytest.approx(step)
    assert f"{step:.0e}"[0] in "125"
