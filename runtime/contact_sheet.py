"""One picture of many: what was kept, what was dropped, what could not be judged."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np
import simplejpeg

from runtime.errors import FrameError
from runtime.header import Header, read_header
from runtime.opencv import cv2
from runtime.sheet import (
    AMBER,
    CARD,
    FADED,
    GAP,
    GREEN,
    INK,
    MARGIN,
    PAPER,
    RED,
    Colour,
    Pixels,
    blank,
    fitted,
    paste,
    shortened,
    text,
    text_width,
    title_band,
    write_png,
)

Section = Literal["kept", "dropped", "dead-lettered"]

COLUMNS: Final = 6
TILE_WIDTH: Final = 256
TILE_HEIGHT: Final = 144
CAPTION_HEIGHT: Final = 52
MAX_TILES: Final = 240
"""Shown of one section; the rest is only counted, so that a sheet of any folder can be opened."""
MAX_PIXELS: Final = 1 << 26

HEADINGS: Final[dict[Section, tuple[str, Colour]]] = {
    "kept": ("Kept", GREEN),
    "dropped": ("Dropped", AMBER),
    "dead-lettered": ("Dead-lettered", RED),
}


@dataclass(frozen=True)
class Tile:
    """One frame on the sheet.

    Args:
        section: under which heading it stands.
        picture: what ``thumbnail`` made of it; None where there is nothing to show.
        title: whose frame it is: its camera or file.
        note: the reason, or what else is worth a line.
        score: in [0, 1], drawn as a bar; None where it has none.
        label: how the score is written; default: with two decimals.
    """

    section: Section
    picture: Pixels | None
    title: str
    note: str = ""
    score: float | None = None
    label: str = ""


def thumbnail(value: bytes | None) -> Pixels | None:
    """The encoded picture fitted into a tile, RGB; None where it is none, or too large to be decoded for this.

    A truncated picture shows as far as it goes.
    """
    try:
        header = read_header(value or b"")
    except FrameError:
        return None
    if header.width * header.height > MAX_PIXELS:
        return None
    pixels = _decoded(value or b"", header)
    return None if pixels is None else fitted(pixels, TILE_WIDTH, TILE_HEIGHT)


def contact_sheet(tiles: Iterable[Tile], path: Path, *, title: str = "framegate", subtitle: str = "") -> None:
    """Write a PNG of all tiles, in one section for each verdict that occurs.

    Raises:
        ConfigError: the file cannot be written.
    """
    shown: dict[Section, list[Tile]] = {section: [] for section in HEADINGS}
    counts = dict.fromkeys(HEADINGS, 0)
    for tile in tiles:
        counts[tile.section] += 1
        if counts[tile.section] <= MAX_TILES:
            shown[tile.section].append(tile)
    width = 2 * MARGIN + COLUMNS * (TILE_WIDTH + GAP) - GAP
    bands = [title_band(title, subtitle, width)]
    bands += [_section(section, shown[section], counts[section], width) for section in HEADINGS if counts[section]]
    write_png(np.concatenate([*bands, blank(MARGIN // 2, width)]), path)


def _section(section: Section, tiles: list[Tile], count: int, width: int) -> Pixels:
    rows = -(-len(tiles) // COLUMNS)
    heading_height, row_height = 60, TILE_HEIGHT + CAPTION_HEIGHT + GAP
    band = blank(heading_height + rows * row_height, width)
    name, colour = HEADINGS[section]
    cv2.circle(band, (MARGIN + 8, 33), 8, colour, cv2.FILLED, cv2.LINE_AA)
    end = text(band, name, (MARGIN + 28, 41), INK, 22, weight=600)
    left_out = f" ({count - len(tiles)} not shown)" if count > len(tiles) else ""
    text(band, f"{count}{left_out}", (end + 12, 41), FADED, 22)
    for index, tile in enumerate(tiles):
        row, column = divmod(index, COLUMNS)
        x, y = MARGIN + column * (TILE_WIDTH + GAP), heading_height + row * row_height
        _draw(tile, band[y : y + TILE_HEIGHT + CAPTION_HEIGHT, x : x + TILE_WIDTH], colour)
    return band


def _draw(tile: Tile, card: Pixels, colour: Colour) -> None:
    card[:] = CARD
    if tile.picture is None:
        x = (TILE_WIDTH - text_width("no picture", 16)) // 2
        text(card, "no picture", (x, TILE_HEIGHT // 2 + 6), FADED, 16)
    else:
        paste(tile.picture, card[:TILE_HEIGHT])
    card[TILE_HEIGHT : TILE_HEIGHT + 3] = PAPER
    score = "" if tile.score is None else tile.label or f"{tile.score:.2f}"
    if tile.score is not None:
        card[TILE_HEIGHT : TILE_HEIGHT + 3, : round(TILE_WIDTH * min(max(tile.score, 0.0), 1.0))] = colour
    room = TILE_WIDTH - 20 - (44 if score else 0)
    text(card, shortened(tile.title, 15, room), (10, TILE_HEIGHT + 23), INK, 15, weight=600)
    text(card, score, (TILE_WIDTH - 10, TILE_HEIGHT + 23), colour, 16, weight=700, flags=cv2.PUT_TEXT_ALIGN_RIGHT)
    text(card, shortened(tile.note, 13, TILE_WIDTH - 20), (10, TILE_HEIGHT + 42), FADED, 13)


def _decoded(value: bytes, header: Header) -> Pixels | None:
    half = header.width >= 2 * TILE_WIDTH and header.height >= 2 * TILE_HEIGHT
    flag = cv2.IMREAD_REDUCED_COLOR_2 if half else cv2.IMREAD_COLOR
    pixels = cv2.imdecode(np.frombuffer(value, np.uint8), flag)
    if pixels is not None:
        return np.ascontiguousarray(pixels[:, :, ::-1], np.uint8)
    try:
        # cv2 shows nothing of a picture that breaks off; this decoder shows what came.
        return np.asarray(simplejpeg.decode_jpeg(value, strict=False), np.uint8)
    except ValueError:
        return None
