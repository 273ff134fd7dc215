"""Preprocessing as the docstrings of ``runtime.manifest`` say it, slow and plain, in whole numbers.

Shares nothing with ``runtime.preprocess``: a pixel at a time, by the rule in ``docs/resize.md``.
"""

from fractions import Fraction
from math import floor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.manifest import Input, Patches

Rows = list[list[tuple[int, ...]]]


def reference(pixels: NDArray[np.uint8], spec: Input) -> NDArray[Any]:
    """One sample of the engine's input from uint8 RGB pixels of any size, all that there are of the picture."""
    rows: Rows = [[tuple(pixel) for pixel in row] for row in pixels.tolist()]
    if spec.patches is not None:
        return np.stack([as_input(patch, spec) for patch in patches_of(rows, spec.patches, spec.height, spec.width)])
    return as_input(resized(rows, spec), spec)


def resized(rows: Rows, spec: Input) -> Rows:
    """The whole picture at the input's size."""
    resize = spec.resize
    inner_height, inner_width = spec.height, spec.width
    if resize.fit == "crop":
        rows = cropped(rows, spec.height, spec.width)
    if resize.fit == "pad":
        inner_height, inner_width = fitted(len(rows), len(rows[0]), spec.height, spec.width)
    while resize.halve and len(rows) >= 2 * inner_height and len(rows[0]) >= 2 * inner_width:
        rows = halved(rows)
    rows = bilinear(rows, inner_height, inner_width)
    if resize.fit == "pad":
        rows = padded(rows, spec.height, spec.width, resize.pad_value)
    return rows


def patches_of(rows: Rows, patches: Patches, height: int, width: int) -> list[Rows]:
    """The patches, row by row: the whole picture is halved, then each is cut out and, where it is short, enlarged."""
    while min(len(rows) // 2, len(rows[0]) // 2) >= patches.least_side:
        rows = halved(rows)
    found = []
    for row in range(patches.rows):
        for column in range(patches.columns):
            top = patch_start(row, patches.rows, len(rows), height)
            left = patch_start(column, patches.columns, len(rows[0]), width)
            patch = [line[left : left + width] for line in rows[top : top + height]]
            found.append(bilinear(patch, height, width))
    return found


def patch_start(cell: int, cells: int, side: int, patch: int) -> int:
    """The patch's middle is the cell's; one that would hang over is pushed in, one longer than the side starts at 0."""
    middle = floor(Fraction(2 * cell + 1, 2) * side / cells)
    start = middle - patch // 2
    if start + patch > side:
        start = side - patch
    return max(start, 0)


def half_up(value: Fraction) -> int:
    return floor(value + Fraction(1, 2))


def cropped(rows: Rows, height: int, width: int) -> Rows:
    """The largest centred part with the input's aspect ratio."""
    have_height, have_width = len(rows), len(rows[0])
    if Fraction(have_width, have_height) > Fraction(width, height):
        keep_height, keep_width = have_height, max(1, half_up(Fraction(have_height * width, height)))
    else:
        keep_height, keep_width = max(1, half_up(Fraction(have_width * height, width))), have_width
    top, left = (have_height - keep_height) // 2, (have_width - keep_width) // 2
    return [row[left : left + keep_width] for row in rows[top : top + keep_height]]


def fitted(have_height: int, have_width: int, height: int, width: int) -> tuple[int, int]:
    """The largest size of the picture's aspect ratio that the input holds."""
    scale = min(Fraction(height, have_height), Fraction(width, have_width))
    return max(1, half_up(have_height * scale)), max(1, half_up(have_width * scale))


def halved(rows: Rows) -> Rows:
    """Mean of 2x2 pixels, rounded half up; an odd last row or column is left out."""
    return [
        [
            tuple(
                (sum(rows[y][x][c] for y in (2 * row, 2 * row + 1) for x in (2 * column, 2 * column + 1)) + 2) // 4
                for c in range(3)
            )
            for column in range(len(rows[0]) // 2)
        ]
        for row in range(len(rows) // 2)
    ]


def taps(have: int, wanted: int, *, stop_at_edge: bool) -> list[tuple[int, int, int, int]]:
    """For each new pixel its two sources and their weights, which sum to 2048.

    The position is held in single precision, as OpenCV holds it. Horizontally a position beyond the first or last
    pixel's centre is moved onto it; vertically both sources are that pixel and the weights stay.
    """
    result = []
    for place in range(wanted):
        position = np.float32((place + 0.5) * (have / wanted) - 0.5)
        first = floor(position)
        share = np.float32(position - np.float32(first))
        if stop_at_edge and (first < 0 or first >= have - 1):
            first, share = min(max(first, 0), have - 1), np.float32(0)
        weights = (int(np.rint((np.float32(1) - share) * np.float32(2048))), int(np.rint(share * np.float32(2048))))
        result.append((min(max(first, 0), have - 1), min(max(first + 1, 0), have - 1), *weights))
    return result


def bilinear(rows: Rows, height: int, width: int) -> Rows:
    """OpenCV's INTER_LINEAR for 8 bits: 11-bit weights, sums cut to 4 and then 16 bits less, rounded at the end."""
    if (len(rows), len(rows[0])) == (height, width):
        return rows
    across = taps(len(rows[0]), width, stop_at_edge=True)
    down = taps(len(rows), height, stop_at_edge=False)
    wide = [
        [[row[a][c] * weight_a + row[b][c] * weight_b for c in range(3)] for a, b, weight_a, weight_b in across]
        for row in rows
    ]
    return [
        [
            tuple(
                ((weight_a * (wide[a][x][c] >> 4) >> 16) + (weight_b * (wide[b][x][c] >> 4) >> 16) + 2) >> 2
                for c in range(3)
            )
            for x in range(width)
        ]
        for a, b, weight_a, weight_b in down
    ]


def padded(rows: Rows, height: int, width: int, value: int) -> Rows:
    """The rows in the middle of a grey field, the odd pixel at the bottom or the right."""
    top, left = (height - len(rows)) // 2, (width - len(rows[0])) // 2
    field: Rows = [[(value,) * 3 for _ in range(width)] for _ in range(height)]
    for y, row in enumerate(rows):
        for x, pixel in enumerate(row):
            field[top + y][left + x] = pixel
    return field


def as_input(rows: Rows, spec: Input) -> NDArray[Any]:
    """Colour order, normalisation, layout."""
    values = np.array(rows, np.float64)
    if spec.color == "BGR":
        values = values[..., ::-1]
    if spec.mean is not None and spec.std is not None:
        values = (values - np.array(spec.mean)) / np.array(spec.std)
    if spec.layout == "NCHW":
        values = values.transpose(2, 0, 1)
    return values.astype(spec.dtype)
