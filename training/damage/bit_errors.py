"""A JPEG after bit errors on the way: shifted blocks and wrong colours up to the end of a row of blocks."""

import numpy as np
import simplejpeg
from numpy.typing import NDArray

from runtime.decode import Pixels
from runtime.opencv import cv2

QUALITY = 75
UNIT = 16
"""Pixels along a side of what 4:2:0 codes at once."""
MARKER = 0xFF
SEEN, TRIES = 3.0, 8
"""Mean change of a row's values, of 255, that is seen; and how many bits are tried: many change next to nothing."""


def jpeg_errors(pixels: Pixels, share: float, rng: np.random.Generator) -> Pixels:
    """``share`` of the rows of 16x16 blocks get one wrong bit; each row begins anew (restart markers).

    Of ``TRIES`` bits of a row the first that is seen is taken. Rows in which none is, of sky for one, come last: so a
    larger share is always seen to be one. With one seed, what a smaller share hits a larger one hits too.
    """
    bgr = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    columns = -(-pixels.shape[1] // UNIT)
    flags = [cv2.IMWRITE_JPEG_QUALITY, QUALITY, cv2.IMWRITE_JPEG_RST_INTERVAL, columns]
    done, encoded = cv2.imencode(".jpg", bgr, flags)
    assert done
    intact = encoded.reshape(-1)
    rows = _intervals(intact)
    order = [int(row) for row in rng.permutation(len(rows))]
    broken, unseen = _broken(intact, rows, rng)
    order.sort(key=unseen.__contains__)
    content = intact.copy()
    for row in order[: max(1, round(share * len(rows)))]:
        content[slice(*rows[row])] = broken[slice(*rows[row])]
    return _decoded(content)


def _broken(
    intact: NDArray[np.uint8], rows: list[tuple[int, int]], rng: np.random.Generator
) -> tuple[NDArray[np.uint8], set[int]]:
    """The file with a wrong bit in every row, and the rows in which no bit that was tried is seen."""
    content, whole = intact.copy(), _decoded(intact)
    unseen = set(range(len(rows)))
    for own_places, own_bits in zip(
        rng.random((TRIES, len(rows))), rng.integers(8, size=(TRIES, len(rows))), strict=True
    ):
        for row in unseen:
            content[slice(*rows[row])] = intact[slice(*rows[row])]
            _flip(content, rows[row], float(own_places[row]), int(own_bits[row]))
        decoded = _decoded(content)
        unseen = {row for row in unseen if _change(decoded, whole, row) < SEEN}
        if not unseen:
            break
    return content, unseen


def _decoded(content: NDArray[np.uint8]) -> Pixels:
    # Lenient: libjpeg goes on at the next marker, and fills what it cannot read.
    return np.asarray(simplejpeg.decode_jpeg(content.tobytes(), "RGB", strict=False), np.uint8)


def _change(pixels: Pixels, others: Pixels, row: int) -> float:
    """Mean over the inside of a row of blocks: the colour of its border is mixed with its neighbours'."""
    inside = slice(min(UNIT * row + 2, len(pixels) - 1), UNIT * (row + 1) - 2)
    return float(np.abs(pixels[inside].astype(np.int16) - others[inside]).mean())


def _intervals(content: NDArray[np.uint8]) -> list[tuple[int, int]]:
    """Where the coded rows of blocks lie: from after the scan's header to the end, cut at the restart markers."""
    start = _scan(content)
    markers = start + np.flatnonzero(
        (content[start:-1] == MARKER) & (content[start + 1 :] >= 0xD0) & (content[start + 1 :] <= 0xD9)
    )
    begins = [start, *(int(place) + 2 for place in markers[:-1])]
    return [(begin, int(end)) for begin, end in zip(begins, markers, strict=True)]


def _scan(content: NDArray[np.uint8]) -> int:
    """The first byte after the header of the scan."""
    place = 2
    while content[place + 1] != 0xDA:
        place += 2 + int(content[place + 2]) * 256 + int(content[place + 3])
    return place + 2 + int(content[place + 2]) * 256 + int(content[place + 3])


def _flip(content: NDArray[np.uint8], row: tuple[int, int], place: float, bit: int) -> None:
    """One bit in a row, near ``place`` of it, where no marker is made or unmade of it; a row may have no such bit."""
    begin, end = row
    first = begin + int(place * (end - begin))
    for at in [*range(first, end), *range(begin, first)]:
        before = content[at - 1] if at > begin else 0
        changed = content[at] ^ (1 << bit)
        if MARKER not in (before, content[at], changed):
            content[at] = changed
            return
