"""The contact sheet holds every tile under its heading."""

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
import simplejpeg

from runtime.contact_sheet import MAX_TILES, TILE_HEIGHT, TILE_WIDTH, Tile, contact_sheet, thumbnail
from runtime.errors import ConfigError
from tests.command import ROOT

PHOTO = (ROOT / "demo" / "photos" / "kitten-on-lawn.jpg").read_bytes()


def plain(colour: tuple[int, int, int]) -> "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]":
    return np.full((TILE_HEIGHT, TILE_WIDTH, 3), colour, np.uint8)


def drawn(path: Path, colour: tuple[int, int, int]) -> list[tuple[int, int]]:
    """Where on the sheet a tile of this colour begins: (y, x) of each."""
    sheet = cv2.imread(str(path))
    assert sheet is not None
    mask = np.all(sheet[:, :, ::-1] == colour, axis=2).astype(np.uint8)
    _, _, boxes, _ = cv2.connectedComponentsWithStats(mask)
    return sorted((int(y), int(x)) for x, y, w, h, _ in boxes[1:] if (w, h) == (TILE_WIDTH, TILE_HEIGHT))


def test_a_thumbnail_is_the_picture_fitted_into_a_tile() -> None:
    """A photograph of 16:9 fills the tile and looks like its own reduction; a tall one keeps its shape."""
    whole = cv2.resize(simplejpeg.decode_jpeg(PHOTO), (TILE_WIDTH, TILE_HEIGHT), interpolation=cv2.INTER_AREA)
    tall = simplejpeg.encode_jpeg(np.zeros((400, 100, 3), np.uint8))

    small = thumbnail(PHOTO)
    tall_small = thumbnail(tall)

    assert small is not None
    assert small.shape == (TILE_HEIGHT, TILE_WIDTH, 3)
    assert np.abs(small.astype(int) - whole).mean() < 4
    assert tall_small is not None
    assert tall_small.shape == (TILE_HEIGHT, TILE_HEIGHT // 4, 3)


def test_a_truncated_picture_shows_what_came() -> None:
    """The upper part of a cut JPEG is its picture's upper part."""
    whole, cut = thumbnail(PHOTO), thumbnail(PHOTO[: len(PHOTO) // 2])

    assert whole is not None
    assert cut is not None
    assert np.abs(whole[:40].astype(int) - cut[:40]).mean() < 4


def test_no_thumbnail_of_what_is_no_picture() -> None:
    """Nothing, text, and a PNG that claims more pixels than anybody would decode for this, have no thumbnail."""
    header = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + b"IHDR" + header + struct.pack(">I", zlib.crc32(b"IHDR" + header))

    assert thumbnail(None) is None
    assert thumbnail(b"") is None
    assert thumbnail(b"503 Service Unavailable") is None
    assert thumbnail(b"\x89PNG\r\n\x1a\n" + chunk) is None


def test_tiles_stand_under_their_headings(tmp_path: Path) -> None:
    """Kept above dropped above dead-lettered, each in the order given, whatever the order of the verdicts."""
    red, green, blue = (200, 0, 0), (0, 200, 0), (0, 0, 200)
    tiles = [
        Tile("dead-lettered", plain(blue), "cam-3", "truncated"),
        Tile("dropped", plain(red), "cam-2", "utility-below-threshold", 0.1),
        Tile("kept", plain(green), "cam-1", score=0.9),
        Tile("kept", plain(green), "cam-1", score=0.8),
    ]

    contact_sheet(tiles, tmp_path / "new" / "sheet.png", subtitle="of four frames")

    [first, second], [dropped], [dead] = (drawn(tmp_path / "new" / "sheet.png", c) for c in (green, red, blue))
    assert first[0] == second[0] < dropped[0] < dead[0]
    assert first[1] == dropped[1] == dead[1] < second[1]


def test_a_score_is_a_bar_of_its_length(tmp_path: Path) -> None:
    """Below the picture a bar as long as the score: none at 0, the tile's width at 1, never beyond."""
    sheet = tmp_path / "sheet.png"
    lengths = []
    for score in (0.0, 0.5, 1.0, 1.5):
        contact_sheet([Tile("kept", plain((200, 0, 0)), "", score=score)], sheet)
        [(y, x)] = drawn(sheet, (200, 0, 0))
        pixels = cv2.imread(str(sheet))
        assert pixels is not None
        bar = pixels[y + TILE_HEIGHT, x : x + TILE_WIDTH + 10, 1]
        lengths.append(int((bar > 150).sum()))

    assert lengths == [0, TILE_WIDTH // 2, TILE_WIDTH, TILE_WIDTH]


def test_a_sheet_of_thousands_can_be_opened(tmp_path: Path) -> None:
    """A section shows its first tiles only, and takes the rest from a generator without keeping it."""
    tile = Tile("kept", plain((200, 0, 0)), "cam-1")

    contact_sheet((tile for _ in range(5000)), tmp_path / "sheet.png")

    assert len(drawn(tmp_path / "sheet.png", (200, 0, 0))) == MAX_TILES


def test_long_and_strange_texts_stay_inside_their_tile(tmp_path: Path) -> None:
    """A long title ends in an ellipsis before the next tile begins; any text can be drawn."""
    tiles = [Tile("kept", None, "W" * 300, "é 漢字 \x00" * 50, 0.5), Tile("kept", plain((200, 0, 0)), "", "")]

    contact_sheet(tiles, tmp_path / "sheet.png")

    [(y, x)] = drawn(tmp_path / "sheet.png", (200, 0, 0))
    sheet = cv2.imread(str(tmp_path / "sheet.png"))
    assert sheet is not None
    gap = sheet[y : y + TILE_HEIGHT + 50, x - 12 : x - 2]
    assert (gap == gap[0, 0]).all()


def test_a_sheet_that_cannot_be_written_is_the_operators_fault(tmp_path: Path) -> None:
    """The error names the path."""
    (tmp_path / "file").write_text("")

    with pytest.raises(ConfigError, match=r"file.sheet\.png"):
        contact_sheet([], tmp_path / "file" / "sheet.png")
