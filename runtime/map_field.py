"""Which cells of a saliency map show the picture, and where in the picture they lie."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runtime.manifest import Input
from runtime.opencv import cv2
from runtime.preprocess import place

WidthHeight = tuple[int, int]
"""A picture's, in pixels."""
HeightWidth = tuple[int, int]
"""A map's, in cells."""
HALF = 0.5 + 1e-6
"""Of a cell, and a hair: what lies exactly on a cell's middle is computed in floating point."""


@dataclass(frozen=True, slots=True)
class MapField:
    """The part of a saliency map that shows the picture: all of it, unless the input's ``fit`` is ``pad``.

    Places in the picture are in 0..1 of its width and height.
    """

    rows: slice
    columns: slice
    left: float
    top: float
    """Of the field's first column and row, in the picture."""
    across: float
    down: float
    """Of one cell, in the picture."""
    share: float
    """Of the picture's area that the map shows: below 1 where ``fit`` is ``crop``."""

    def x(self, column: float) -> float:
        """Where a column's left edge, counted from the field's first, lies in the picture."""
        return _edge(column, self.left, self.across, self.columns)

    def y(self, row: float) -> float:
        """Where a row's upper edge, counted from the field's first, lies in the picture."""
        return _edge(row, self.top, self.down, self.rows)

    @property
    def reaches(self) -> tuple[bool, bool, bool, bool]:
        """Whether its left, top, right and bottom are the picture's border: all but what ``fit: crop`` leaves out."""
        right, bottom = self.columns.stop - self.columns.start, self.rows.stop - self.rows.start
        return self.x(0) == 0, self.y(0) == 0, self.x(right) == 1, self.y(bottom) == 1


def _edge(place: float, begin: float, step: float, cells: slice) -> float:
    """A place among the cells, in the picture; the outermost cells go on to its border where that is half a cell off.

    So much is left where padding ends within a cell: the mask shows that cell there, too.
    """
    end = begin + (cells.stop - cells.start) * step
    if place <= 0 and begin <= HALF * step:
        return 0.0
    if place >= cells.stop - cells.start and end >= 1 - HALF * step:
        return 1.0
    return min(max(begin + place * step, 0.0), 1.0)


def map_field(spec: Input, size: WidthHeight, cells: HeightWidth) -> MapField:
    """Find the picture in the map.

    Args:
        spec: the engine's whole-picture input, which the map is of, corner to corner.
        size: the picture's width and height in pixels.
        cells: the map's height and width.
    """
    width, height = size
    spot = place(spec.resize, (height, width), (spec.height, spec.width))
    columns, left, across = _axis(cells[1], spec.width, (spot.inner_left, spot.inner_width), (spot.left, spot.width))
    rows, top, down = _axis(cells[0], spec.height, (spot.inner_top, spot.inner_height), (spot.top, spot.height))
    share = spot.width * spot.height / (width * height)
    return MapField(rows, columns, left / width, top / height, across / width, down / height, share)


def picture_mask(saliency: NDArray[np.uint8], spec: Input, size: WidthHeight) -> NDArray[np.uint8]:
    """The map as a mask of the picture's size, uint8 (height, width): bilinear; 0 where the engine saw nothing.

    Args:
        saliency: uint8 (height, width), 0..255.
        spec: the engine's whole-picture input.
        size: the picture's width and height in pixels.
    """
    field = map_field(spec, size, saliency.shape)
    seen = np.ascontiguousarray(saliency[field.rows, field.columns])
    if spec.resize.fit == "pad":
        return _between_cells(seen, field, size)
    width, height = size
    spot = place(spec.resize, (height, width), (spec.height, spec.width))
    mask = np.zeros((height, width), np.uint8)
    part = mask[spot.top : spot.top + spot.height, spot.left : spot.left + spot.width]
    part[:] = cv2.resize(seen, (spot.width, spot.height), interpolation=cv2.INTER_LINEAR)
    return mask


def _between_cells(seen: NDArray[np.uint8], field: MapField, size: WidthHeight) -> NDArray[np.uint8]:
    """As cv2.resize does, from where the cells lie: padding ends where it will, not at a cell's edge."""
    width, height = size
    across, down = 1 / (width * field.across), 1 / (height * field.down)  # cells a pixel
    to_cell = np.array(
        [
            [across, 0, across / 2 - field.left / field.across - 0.5],  # both count from the middle of their first
            [0, down, down / 2 - field.top / field.down - 0.5],
        ]
    )
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(seen, to_cell, size, flags=flags, borderMode=cv2.BORDER_REPLICATE), np.uint8)


def _axis(cells: int, side: int, inner: tuple[int, int], part: tuple[int, int]) -> tuple[slice, float, float]:
    """Cells whose middle lies in the field; where the first one begins in the picture, and a cell's size there.

    A field so narrow that it holds no cell's middle is the cell that holds the field's.

    Args:
        cells: the map's side.
        side: the input's, in pixels.
        inner: where the picture lies in the input: start and length.
        part: what of the picture lies there: start and length, in its pixels.
    """
    (start, length), (begin, shown) = inner, part
    first = math.ceil(start * cells / side - 0.5)
    last = math.ceil((start + length) * cells / side - 0.5)
    if last <= first:
        first = (2 * start + length) * cells // (2 * side)
        last = first + 1
    scale = shown / length  # picture pixels per input pixel
    return slice(first, last), begin + (first * side / cells - start) * scale, side / cells * scale
