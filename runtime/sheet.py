"""What sheets of pictures are drawn with: colours, text, frames, and the PNG in the end."""

from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from runtime.opencv import cv2
from runtime.pictures import write_bytes

Pixels = NDArray[np.uint8]
Colour = tuple[int, int, int]

GAP: Final = 16
MARGIN: Final = 36
PAPER: Final[Colour] = (22, 24, 29)
CARD: Final[Colour] = (37, 40, 47)
INK: Final[Colour] = (236, 238, 242)
FADED: Final[Colour] = (158, 164, 175)
GREEN: Final[Colour] = (74, 201, 126)
AMBER: Final[Colour] = (245, 176, 65)
RED: Final[Colour] = (238, 92, 92)


def title_band(title: str, subtitle: str, width: int) -> Pixels:
    """The sheet's top."""
    band = blank(MARGIN + 64, width)
    text(band, title, (MARGIN, MARGIN + 30), INK, 32, weight=700)
    if subtitle:
        text(band, shortened(subtitle, 15, width - 2 * MARGIN), (MARGIN, MARGIN + 58), FADED, 15)
    return band


def blank(height: int, width: int) -> Pixels:
    """Paper, RGB."""
    return np.full((height, width, 3), PAPER, np.uint8)


def fitted(pixels: Pixels, width: int, height: int) -> Pixels:
    """The picture scaled down to fit into ``width`` x ``height``; a small one is as small as it is."""
    own_height, own_width = pixels.shape[:2]
    scale = min(width / own_width, height / own_height, 1.0)
    size = max(1, round(own_width * scale)), max(1, round(own_height * scale))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)


def paste(picture: Pixels, frame: Pixels) -> tuple[int, int]:
    """Put a picture into the middle of a black frame that is as large or larger; returns where: x and y."""
    frame[:] = 0
    height, width = picture.shape[:2]
    y, x = (frame.shape[0] - height) // 2, (frame.shape[1] - width) // 2
    frame[y : y + height, x : x + width] = picture
    return x, y


def text(
    image: Pixels, words: str, origin: tuple[int, int], colour: Colour, size: int, *, weight: int = 400, flags: Any = 0
) -> int:
    """Draw text that begins (or, by ``flags``, ends) at ``origin``; returns where it ends."""
    end, _ = cv2.putText(image, words, origin, colour, cv2.FontFace("sans"), size, weight, flags)
    return int(end[0])


def shortened(words: str, size: int, room: int) -> str:
    """The text, or as much of its beginning as fits into ``room`` pixels with an ellipsis."""
    if text_width(words, size) <= room:
        return words
    while words and text_width(words + "…", size) > room:
        words = words[:-1]
    return words.rstrip() + "…"


def text_width(words: str, size: int) -> int:
    """In pixels."""
    face = cv2.FontFace("sans")
    return int(cv2.getTextSize((0, 0), words, (0, 0), face, size, 600)[2]) if words else 0


def write_png(sheet: Pixels, path: Path, asked_by: str = "contact sheet") -> None:
    """Write the sheet; ``asked_by`` is for the error's text.

    Raises:
        ConfigError: the file cannot be written.
    """
    _, encoded = cv2.imencode(".png", np.ascontiguousarray(sheet[:, :, ::-1]))
    write_bytes(path, encoded.tobytes(), asked_by)
