"""One picture of the chosen covers: each beside the picture that it is cut from."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from runtime.cover_crop import Box, to_pixels
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
    Colour,
    Pixels,
    blank,
    fitted,
    paste,
    shortened,
    text,
    title_band,
    write_png,
)

COLUMNS: Final = 2
HALF_WIDTH: Final = 400
PICTURE_HEIGHT: Final = 225
CAPTION_HEIGHT: Final = 58
MAX_CARDS: Final = 200
"""Shown on one sheet; the rest is only counted, so that any sheet can be opened."""


@dataclass(frozen=True, slots=True, eq=False)
class Card:
    """One cover on the sheet.

    Args:
        picture: the whole picture, RGB; ``reduced`` is enough.
        cover: its crop, likewise.
        box: around the object; None: there is none.
        crop: where in the picture the cover is.
        title: where the picture is from.
        note: clarity, proportion and what else is worth a line.
        score: in [0, 1].
        distinct: False: it resembles a better one.
    """

    picture: Pixels
    cover: Pixels
    box: Box | None
    crop: Box
    title: str
    note: str
    score: float
    distinct: bool = True


def reduced(pixels: Pixels) -> Pixels:
    """As much of a picture as the sheet shows, in memory of its own."""
    return fitted(pixels, HALF_WIDTH, PICTURE_HEIGHT).copy()


def cover_sheet(cards: Sequence[Card], path: Path, *, subtitle: str = "", hidden: int = 0) -> None:
    """Write a PNG of covers, in the order given.

    Args:
        cards: at most ``MAX_CARDS``.
        path: of the PNG.
        subtitle: a line below the title.
        hidden: how many more covers there are; they are only counted.

    Raises:
        ConfigError: the file cannot be written.
    """
    if hidden:
        subtitle = f"{subtitle} ({hidden} not shown)".strip()
    width = 2 * MARGIN + COLUMNS * (2 * HALF_WIDTH + GAP) - GAP
    rows = -(-len(cards) // COLUMNS)
    row_height = PICTURE_HEIGHT + CAPTION_HEIGHT + GAP
    band = blank(rows * row_height, width)
    for index, card in enumerate(cards):
        row, column = divmod(index, COLUMNS)
        x, y = MARGIN + column * (2 * HALF_WIDTH + GAP), row * row_height
        _draw(card, index + 1, band[y : y + PICTURE_HEIGHT + CAPTION_HEIGHT, x : x + 2 * HALF_WIDTH])
    bands = [title_band("Covers", subtitle, width), blank(GAP, width), band, blank(MARGIN // 2, width)]
    write_png(np.concatenate(bands), path)


def _draw(card: Card, rank: int, field: Pixels) -> None:
    field[:] = CARD
    colour = GREEN if card.distinct else AMBER
    upper = field[:PICTURE_HEIGHT]
    paste(_marked(card), upper[:, :HALF_WIDTH])
    paste(fitted(card.cover, HALF_WIDTH, PICTURE_HEIGHT), upper[:, HALF_WIDTH:])
    upper[:, HALF_WIDTH - 1 : HALF_WIDTH + 1] = PAPER
    field[PICTURE_HEIGHT : PICTURE_HEIGHT + 3] = PAPER
    field[PICTURE_HEIGHT : PICTURE_HEIGHT + 3, : round(2 * HALF_WIDTH * min(max(card.score, 0.0), 1.0))] = colour
    baseline = PICTURE_HEIGHT + 25
    end = text(field, f"{rank}", (12, baseline), colour, 17, weight=700)
    room = 2 * HALF_WIDTH - end - 90
    text(field, shortened(card.title, 16, room), (end + 10, baseline), INK, 16, weight=600)
    right = 2 * HALF_WIDTH - 12
    text(field, f"{card.score:.2f}", (right, baseline), colour, 17, weight=700, flags=cv2.PUT_TEXT_ALIGN_RIGHT)
    text(field, shortened(card.note, 14, 2 * HALF_WIDTH - 24), (12, baseline + 22), FADED, 14)


def _marked(card: Card) -> Pixels:
    """The whole picture, dimmed outside the cover, with the cover and the object's box drawn on it."""
    whole = fitted(card.picture, HALF_WIDTH, PICTURE_HEIGHT)
    left, top, right, bottom = to_pixels(card.crop, (whole.shape[1], whole.shape[0]))
    marked = whole // 3
    marked[top:bottom, left:right] = whole[top:bottom, left:right]
    _frame(marked, card.crop, INK)
    if card.box is not None:
        _frame(marked, card.box, GREEN)
    return marked


def _frame(image: Pixels, box: Box, colour: Colour) -> None:
    left, top, right, bottom = to_pixels(box, (image.shape[1], image.shape[0]))
    cv2.rectangle(image, (left, top), (max(right - 1, left), max(bottom - 1, top)), colour, 2)
