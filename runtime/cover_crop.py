"""The part of a picture that becomes its cover: a crop of the wanted aspect around the object.

``docs/cover-decision.md`` shows the rule beside its reasons.
"""

import math
from typing import NamedTuple

from runtime.aspect import Aspect

MARGIN = 0.1
"""Room around the object's box, on each side, as a share of the box's side."""
FILLED = 1 / 3
"""The share of the cover's area that the object's box takes, where margin and enlargement leave the choice."""
ENLARGED = 2
"""The sides of the largest possible crop over those of the smallest: no cover is enlarged more than that."""
NARROW = 0.5
"""An object's box up to this share of the cover's width goes to a third line; a wider one to the middle."""
ROUNDING = 1e-6
"""In pixels: a share that was computed from a pixel's edge belongs to that edge."""


class Box(NamedTuple):
    """A part of a picture; each side in 0..1 of the picture's width or height, from its left and its top."""

    left: float
    top: float
    right: float
    bottom: float


class Point(NamedTuple):
    """A place in a picture, in 0..1 of its width and height."""

    x: float
    y: float


class Rectangle(NamedTuple):
    """A part of a picture in whole pixels; ``right`` and ``bottom`` are the first that lie outside."""

    left: int
    top: int
    right: int
    bottom: int

    def shares(self, size: tuple[int, int]) -> Box:
        """Of a picture of ``size`` (width, height)."""
        width, height = size
        return Box(self.left / width, self.top / height, self.right / width, self.bottom / height)


def to_pixels(box: Box, size: tuple[int, int]) -> Rectangle:
    """The pixels that a crop's shares stand for, in a picture of ``size`` (width, height)."""
    width, height = size
    left, top, right, bottom = box
    return Rectangle(round(left * width), round(top * height), round(right * width), round(bottom * height))


def largest_crop(size: tuple[int, int], aspect: Aspect) -> tuple[int, int]:
    """Width and height of the largest crop of a picture of ``size`` (width, height): one of its sides is whole."""
    width, height = size
    if width * aspect.height > height * aspect.width:
        return max(1, _rounded(height * aspect.width, aspect.height)), height
    return width, max(1, _rounded(width * aspect.height, aspect.width))


def centred_crop(size: tuple[int, int], aspect: Aspect) -> Rectangle:
    """The largest crop, in the picture's middle: for a picture without an object."""
    width, height = largest_crop(size, aspect)
    left, top = (size[0] - width) // 2, (size[1] - height) // 2
    return Rectangle(left, top, left + width, top + height)


def object_crop(size: tuple[int, int], aspect: Aspect, box: Box, centre: Point) -> Rectangle:
    """The cover of a picture with an object.

    It lies inside the picture, has the aspect to a pixel, and contains the object's box with its margin (as far as the
    picture goes) wherever a crop of this aspect can; else the box alone; else, along that side, it is centred on the
    object's centre. It is the smallest crop that holds box and margin, shows the box at no more than ``FILLED`` of
    its area, and need not be enlarged more than ``ENLARGED`` times beyond the largest crop. A narrow object's
    centre goes to the third line on its own side of the picture, so that the wider room is on the other; a wider one
    to the middle. Up and down it is centred.

    Args:
        size: the picture's width and height in pixels.
        aspect: of the cover.
        box: the object's.
        centre: the object's.
    """
    inner = _outwards(box, size)
    outer = _outwards(_with_margin(box), size)
    width, height = _size(size, aspect, inner, outer)
    third = 1 / 3 if centre.x <= 0.5 else 2 / 3
    at = third if inner.right - inner.left <= NARROW * width else 0.5
    left = _begin(size[0], width, centre.x, at, (inner.left, inner.right), (outer.left, outer.right))
    top = _begin(size[1], height, centre.y, 0.5, (inner.top, inner.bottom), (outer.top, outer.bottom))
    return Rectangle(left, top, left + width, top + height)


def _size(size: tuple[int, int], aspect: Aspect, inner: Rectangle, outer: Rectangle) -> tuple[int, int]:
    most = largest_crop(size, aspect)
    area = (inner.right - inner.left) * (inner.bottom - inner.top) / FILLED
    width = max(outer.right - outer.left, most[0] / ENLARGED, math.sqrt(area * aspect.width / aspect.height))
    height = max(outer.bottom - outer.top, most[1] / ENLARGED, math.sqrt(area * aspect.height / aspect.width))
    least = _around(math.ceil(width), math.ceil(height), aspect)
    return most if least[0] > most[0] or least[1] > most[1] else least


def _around(width: int, height: int, aspect: Aspect) -> tuple[int, int]:
    """The smallest size of the aspect that holds width x height."""
    if width * aspect.height >= height * aspect.width:
        return width, -(-width * aspect.height // aspect.width)
    return -(-height * aspect.width // aspect.height), height


def _begin(whole: int, side: int, centre: float, at: float, inner: tuple[int, int], outer: tuple[int, int]) -> int:
    """Where a crop's side begins: the centre comes ``at`` that share of it, unless that cuts what can be whole."""
    kept = next((part for part in (outer, inner) if part[1] - part[0] <= side), None)
    begin = math.floor(centre * whole - (at if kept else 0.5) * side + 0.5)
    if kept:
        begin = min(max(begin, kept[1] - side), kept[0])
    return min(max(begin, 0), whole - side)


def _with_margin(box: Box) -> Box:
    across, down = MARGIN * (box.right - box.left), MARGIN * (box.bottom - box.top)
    return Box(box.left - across, box.top - down, box.right + across, box.bottom + down)


def _outwards(box: Box, size: tuple[int, int]) -> Rectangle:
    """The whole pixels that the box touches, at least one, inside the picture."""
    left, right = _touched(box.left, box.right, size[0])
    top, bottom = _touched(box.top, box.bottom, size[1])
    return Rectangle(left, top, right, bottom)


def _touched(begin: float, end: float, whole: int) -> tuple[int, int]:
    first = min(max(math.floor(begin * whole + ROUNDING), 0), whole - 1)
    return first, min(max(math.ceil(end * whole - ROUNDING), first + 1), whole)


def _rounded(numerator: int, denominator: int) -> int:
    return (2 * numerator + denominator) // (2 * denominator)
