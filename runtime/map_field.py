"""Which cells of a saliency map show the picture, and where in the picture they lie."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.manifest import Input
from runtime.opencv import cv2
from runtime.preprocess import place

Size = tuple[int, int]


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
        return min(max(self.left + column * self.across, 0.0), 1.0)

    def y(self, row: float) -> float:
        """Where a row's upper edge, counted from the field's first, lies in the picture."""
        return min(max(self.top + row * self.down, 0.0), 1.0)


def map_field(spec: Input, size: Size, cells: Size) -> MapField:
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


def picture_mask(saliency: NDArray[np.uint8], spec: Input, size: Size) -> NDArray[np.uint8]:
    """The map as a mask of the picture's size, uint8 (height, width): bilinear; 0 where the engine saw nothing.

    Args:
        saliency: uint8 (height, width), 0..255.
        spec: the engine's whole-picture input.
        size: the picture's width and height in pixels.
    """
    width, height = size
    field = map_field(spec, size, saliency.shape)
    spot = place(spec.resize, (height, width), (spec.height, spec.width))
    mask = np.zeros((height, width), np.uint8)
    part = mask[spot.top : spot.top + spot.height, spot.left : spot.left + spot.width]
    seen = np.ascontiguousarray(saliency[field.rows, field.columns])
    part[:] = cv2.resize(seen, (spot.width, spot.height), interpolation=cv2.INTER_LINEAR)
    return mask


def _axis(cells: int, side: int, inner: tuple[int, int], part: tuple[int, int]) -> tuple[slice, float, float]:
    """Cells whose middle lies in the field; where the first one begins in the picture, and a cell's size there.

    Args:
        cells: the map's side.
        side: the input's, in pixels.
        inner: where the picture lies in the input: start and length.
        part: what of the picture lies there: start and length, in its pixels.
    """
    (start, length), (begin, shown) = inner, part
    first = min(math.ceil(start * cells / side - 0.5), cells - 1)
    last = max(math.ceil((start + length) * cells / side - 0.5), first + 1)
    scale = shown / length  # picture pixels per input pixel
    return slice(first, last), begin + (first * side / cells - start) * scale, side / cells * scale


def whole_picture_input(inputs: Any) -> Input:
    """The input that shows the whole picture; the manifest has made sure that an engine with a map has one."""
    whole: Input = next(spec for spec in inputs if spec.patches is None)
    return whole
