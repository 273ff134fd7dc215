"""The sheet of covers holds each cover beside the picture that it is of."""

from pathlib import Path

import numpy as np
import pytest

from runtime.cover_crop import Box
from runtime.cover_sheet import HALF_WIDTH, PICTURE_HEIGHT, Card, cover_sheet, reduced
from runtime.errors import ConfigError
from runtime.opencv import cv2
from runtime.preprocess import Pixels
from runtime.sheet import GREEN, INK

BLUE, RED = (0, 0, 200), (200, 0, 0)


def plain(colour: tuple[int, int, int], width: int = 1600, height: int = 900) -> Pixels:
    return np.full((height, width, 3), colour, np.uint8)


def card(**other: object) -> Card:
    fields = {
        "picture": reduced(plain(BLUE)),
        "cover": reduced(plain(RED)),
        "box": Box(0.6, 0.6, 0.9, 0.9),
        "crop": Box(0.5, 0.5, 1, 1),
        "title": "film.mp4 at 3.00 s",
        "note": "clarity 8.0",
        "score": 0.5,
    }
    return Card(**{**fields, **other})  # type: ignore[arg-type]


def drawn(path: Path) -> Pixels:
    sheet = cv2.imread(str(path))
    assert sheet is not None
    return np.ascontiguousarray(sheet[:, :, ::-1], np.uint8)


def corner(sheet: Pixels, colour: tuple[int, int, int]) -> tuple[int, int]:
    """Where that colour begins: y and x."""
    y, x = np.nonzero((sheet == colour).all(axis=2))
    return int(y.min()), int(x.min())


def test_a_cover_stands_beside_its_picture(tmp_path: Path) -> None:
    """Left the whole picture, dimmed outside the crop; right the cover, as large."""
    cover_sheet([card()], tmp_path / "new" / "sheet.png")

    sheet = drawn(tmp_path / "new" / "sheet.png")
    top, left = corner(sheet, RED)
    assert (sheet[top : top + PICTURE_HEIGHT, left : left + HALF_WIDTH - 1] == RED).all()
    whole = sheet[top : top + PICTURE_HEIGHT, left - HALF_WIDTH : left]
    assert tuple(whole[10, 10]) == (0, 0, 200 // 3)
    assert tuple(whole[PICTURE_HEIGHT // 2 + 8, HALF_WIDTH // 2 + 8]) == BLUE
    assert tuple(whole[PICTURE_HEIGHT // 2, HALF_WIDTH // 2 + 50]) == INK
    assert tuple(whole[round(0.6 * PICTURE_HEIGHT), round(0.75 * HALF_WIDTH)]) == GREEN


@pytest.mark.parametrize("crop", [Box(0, 0, 1, 1), Box(0.999, 0.999, 1, 1), Box(0, 0, 0.001, 1)])
@pytest.mark.parametrize("size", [(1, 1), (4000, 3), (3, 4000)])
def test_any_picture_and_any_crop(crop: Box, size: tuple[int, int], tmp_path: Path) -> None:
    """From one pixel on, in every corner: a sheet comes out, of the same size."""
    one = card(crop=crop, picture=reduced(plain(BLUE, *size)), cover=reduced(plain(RED, *size)), box=None)
    cover_sheet([card(), one], tmp_path / "sheet.png")
    cover_sheet([card()], tmp_path / "other.png")

    assert drawn(tmp_path / "sheet.png").shape == drawn(tmp_path / "other.png").shape


def test_a_sheet_of_hundreds_can_be_opened(tmp_path: Path) -> None:
    """Those that are not shown are only counted, in the title; the sheet's size stays what it is."""
    cover_sheet([card()] * 4, tmp_path / "all.png")
    cover_sheet([card()] * 4, tmp_path / "more.png", hidden=50)

    full, more = drawn(tmp_path / "all.png"), drawn(tmp_path / "more.png")
    assert full.shape == more.shape
    rows = np.nonzero((full != more).any(axis=(1, 2)))[0]
    assert 0 < rows.min() <= rows.max() < 100


def test_what_is_kept_of_a_picture_is_small() -> None:
    """``reduced`` keeps no view of the original's memory, also where that is small already."""
    large, small = plain(BLUE, 4000, 3000), plain(BLUE, 20, 10)

    assert reduced(large).nbytes <= HALF_WIDTH * PICTURE_HEIGHT * 3
    assert not np.shares_memory(reduced(small), small)


def test_a_sheet_that_cannot_be_written(tmp_path: Path) -> None:
    """The error names the path."""
    (tmp_path / "file").write_text("")

    with pytest.raises(ConfigError, match=r"file.sheet\.png"):
        cover_sheet([card()], tmp_path / "file" / "sheet.png")
