"""One picture of many: what was kept, what was dropped, what could not be judged."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray

from runtime.errors import ConfigError, FrameError
from runtime.header import Header, read_header

Pixels = NDArray[np.uint8]
Colour = tuple[int, int, int]
Section = Literal["kept", "dropped", "dead-lettered"]

COLUMNS: Final = 6
TILE_WIDTH: Final = 256
TILE_HEIGHT: Final = 144
CAPTION_HEIGHT: Final = 52
GAP: Final = 16
MARGIN: Final = 36
MAX_TILES: Final = 240
"""Shown of one section; the rest is only counted, so that a sheet of any folder can be opened."""
MAX_PIXELS: Final = 1 << 26

PAPER: Final[Colour] = (22, 24, 29)
CARD: Final[Colour] = (37, 40, 47)
INK: Final[Colour] = (236, 238, 242)
FADED: Final[Colour] = (158, 164, 175)
HEADINGS: Final[dict[Section, tuple[str, Colour]]] = {
    "kept": ("Kept", (74, 201, 126)),
    "dropped": ("Dropped", (245, 176, 65)),
    "dead-lettered": ("Dead-lettered", (238, 92, 92)),
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
    """

    section: Section
    picture: Pixels | None
    title: str
    note: str = ""
    score: float | None = None


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
    return None if pixels is None else _fitted(pixels)


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
    bands = [_title(title, subtitle, width)]
    bands += [_section(section, shown[section], counts[section], width) for section in HEADINGS if counts[section]]
    _write(np.concatenate([*bands, _blank(MARGIN // 2, width)]), path)


def _title(title: str, subtitle: str, width: int) -> Pixels:
    band = _blank(MARGIN + 64, width)
    _text(band, title, (MARGIN, MARGIN + 30), INK, 32, weight=700)
    if subtitle:
        _text(band, _shortened(subtitle, 15, width - 2 * MARGIN), (MARGIN, MARGIN + 58), FADED, 15)
    return band


def _section(section: Section, tiles: list[Tile], count: int, width: int) -> Pixels:
    rows = -(-len(tiles) // COLUMNS)
    heading_height, row_height = 60, TILE_HEIGHT + CAPTION_HEIGHT + GAP
    band = _blank(heading_height + rows * row_height, width)
    name, colour = HEADINGS[section]
    cv2.circle(band, (MARGIN + 8, 33), 8, colour, cv2.FILLED, cv2.LINE_AA)
    end = _text(band, name, (MARGIN + 28, 41), INK, 22, weight=600)
    left_out = f" ({count - len(tiles)} not shown)" if count > len(tiles) else ""
    _text(band, f"{count}{left_out}", (end + 12, 41), FADED, 22)
    for index, tile in enumerate(tiles):
        row, column = divmod(index, COLUMNS)
        x, y = MARGIN + column * (TILE_WIDTH + GAP), heading_height + row * row_height
        _draw(tile, band[y : y + TILE_HEIGHT + CAPTION_HEIGHT, x : x + TILE_WIDTH], colour)
    return band


def _draw(tile: Tile, card: Pixels, colour: Colour) -> None:
    card[:] = CARD
    if tile.picture is None:
        x = (TILE_WIDTH - _width("no picture", 16)) // 2
        _text(card, "no picture", (x, TILE_HEIGHT // 2 + 6), FADED, 16)
    else:
        _paste(tile.picture, card[:TILE_HEIGHT])
    card[TILE_HEIGHT : TILE_HEIGHT + 3] = PAPER
    score = "" if tile.score is None else f"{tile.score:.2f}"
    if tile.score is not None:
        card[TILE_HEIGHT : TILE_HEIGHT + 3, : round(TILE_WIDTH * min(max(tile.score, 0.0), 1.0))] = colour
    room = TILE_WIDTH - 20 - (44 if score else 0)
    _text(card, _shortened(tile.title, 15, room), (10, TILE_HEIGHT + 23), INK, 15, weight=600)
    _text(card, score, (TILE_WIDTH - 10, TILE_HEIGHT + 23), colour, 16, weight=700, flags=cv2.PUT_TEXT_ALIGN_RIGHT)
    _text(card, _shortened(tile.note, 13, TILE_WIDTH - 20), (10, TILE_HEIGHT + 42), FADED, 13)


def _paste(picture: Pixels, frame: Pixels) -> None:
    frame[:] = 0
    height, width = picture.shape[:2]
    y, x = (TILE_HEIGHT - height) // 2, (TILE_WIDTH - width) // 2
    frame[y : y + height, x : x + width] = picture


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


def _fitted(pixels: Pixels) -> Pixels:
    height, width = pixels.shape[:2]
    scale = min(TILE_WIDTH / width, TILE_HEIGHT / height, 1.0)  # a small picture is shown as small as it is
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)


def _text(
    image: Pixels, text: str, origin: tuple[int, int], colour: Colour, size: int, *, weight: int = 400, flags: Any = 0
) -> int:
    """Draw text that begins (or, by ``flags``, ends) at ``origin``; returns where it ends."""
    end, _ = cv2.putText(image, text, origin, colour, cv2.FontFace("sans"), size, weight, flags)
    return int(end[0])


def _shortened(text: str, size: int, room: int) -> str:
    if _width(text, size) <= room:
        return text
    while text and _width(text + "…", size) > room:
        text = text[:-1]
    return text.rstrip() + "…"


def _width(text: str, size: int) -> int:
    face = cv2.FontFace("sans")
    return int(cv2.getTextSize((0, 0), text, (0, 0), face, size, 600)[2]) if text else 0


def _blank(height: int, width: int) -> Pixels:
    return np.full((height, width, 3), PAPER, np.uint8)


def _write(sheet: Pixels, path: Path) -> None:
    _, encoded = cv2.imencode(".png", sheet[:, :, ::-1])
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded.tobytes())
    except OSError as error:
        raise ConfigError(f"{path}: cannot write the contact sheet: {error.strerror}") from error
