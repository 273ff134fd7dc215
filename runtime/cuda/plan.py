"""What is known of each picture before the kernel runs: which part, how often halved, in which tiles."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.manifest import Input
from runtime.preprocess import Placement, Size, placements

MAX_SIDE = 65_535
MAX_STRIDE = 2**31 - 1
TILE = 32
"""Most pixels of the input's rows and columns that a block makes."""
TILE_BYTES = 160_000
"""Most bytes of a picture that a block reads, as far as tiles of ``LEAST_TILE`` pixels allow: many, alike."""
LEAST_TILE = 128
STRIP_BYTES = 8192
"""About as much is on its way to a block at a time."""
SHARED_BYTES = 40_000
"""Most shared memory of a block: every GPU has 48 KiB a block unasked, an H200 then runs five blocks at once."""
SPARSE = 12
"""From so many pixels for one of the input on (bilinear interpolation looks at four), each is read where it lies."""

FRAME = np.dtype(
    [
        *[(name, np.uint64) for name in ("origin", "begin", "end")],
        ("channel_stride", np.int64),
        *[(name, np.float64) for name in ("scale_down", "scale_across")],
        *[
            (name, np.int32)
            for name in (
                *("row_stride", "pixel_stride", "layout", "slot", "halvings", "direct", "rows", "columns"),
                *("field_top", "field_left", "field_rows", "field_columns"),
                *("tile_rows", "tile_columns", "tiles_across", "tiles"),
                *("strip_groups", "strip_stride", "folded_words", "reserved"),
            )
        ],
    ]
)
"""``Frame`` of ``preprocess.cuh``."""
_INTERLEAVED, _PLANES, _ANY = 0, 1, 2

Strides = tuple[int, int, int]
"""From a row, a pixel and a channel to the next one, in bytes."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How the pictures of one size and memory layout are worked on."""

    frames: bytes
    """A ``FRAME`` for each part of the picture that the input shows: one, or its patches. Addresses are counted from
    the picture's pointer, slots from its first part's."""
    tiles: int
    """Of each part."""
    shared_bytes: int
    source_bytes: int
    """Of the parts that are taken, together."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A picture's plan, its address, and the sample that it becomes."""

    plan: Plan
    pointer: int
    sample: int


def plan_picture(spec: Input, size: Size, strides: Strides, full: Size | None = None) -> Plan:
    """Lay out the work on pictures of one size.

    Args:
        spec: the input.
        size: the pictures' height and width.
        strides: of row, pixel and channel, in bytes.
        full: height and width before a scaled decode; None: ``size``.
    """
    if not all(1 <= side <= MAX_SIDE for side in size):
        raise ValueError(f"a picture of {size[1]} x {size[0]}: sides of 1..{MAX_SIDE} are due")
    if max(abs(stride) for stride in strides[:2]) > MAX_STRIDE:
        raise ValueError(f"rows and pixels {strides[:2]} bytes apart: at most {MAX_STRIDE} are due")
    spots = placements(spec, size, full or size)
    frame, shared_bytes = _frame(spec, spots[0], size, strides)
    frames = np.repeat(frame, len(spots))  # a picture's patches are alike but for where they lie
    offsets = [spot.top * strides[0] + spot.left * strides[1] for spot in spots]
    ends = [(side - 1) * stride for side, stride in zip((*size, 3), strides, strict=True)]
    frames["origin"] = _wrapped(offsets)
    frames["begin"] = _wrapped([sum(min(end, 0) for end in ends)])
    frames["end"] = _wrapped([sum(max(end, 0) for end in ends) + 1])
    frames["slot"] = np.arange(len(spots))
    source_bytes = sum(spot.height * spot.width * 3 for spot in spots)
    return Plan(frames.tobytes(), int(frame["tiles"]), shared_bytes, source_bytes)


def describe(frames: NDArray[Any], plans: Sequence[Placed]) -> None:
    """Write the descriptors of ``plans`` into ``frames``, an array of ``FRAME``, in their order."""
    frames.view(np.uint8)[...] = np.frombuffer(b"".join(placed.plan.frames for placed in plans), np.uint8)
    parts = frames.reshape(len(plans), -1)
    pointers = np.array([placed.pointer for placed in plans], np.uint64)[:, None]
    for name in ("origin", "begin", "end"):
        parts[name] += pointers
    parts["slot"] += np.array([placed.sample * parts.shape[1] for placed in plans], np.int32)[:, None]


def _frame(spec: Input, spot: Placement, size: Size, strides: Strides) -> tuple[NDArray[Any], int]:
    """A descriptor without addresses and slot, and the shared memory that a block needs."""
    frame = np.zeros((), FRAME)
    frame["row_stride"], frame["pixel_stride"], frame["channel_stride"] = strides
    frame["layout"] = _layout(size, strides)
    frame["halvings"] = spot.halvings
    frame["rows"], frame["columns"] = spot.height >> spot.halvings, spot.width >> spot.halvings
    frame["scale_down"] = int(frame["rows"]) / spot.inner_height
    frame["scale_across"] = int(frame["columns"]) / spot.inner_width
    frame["field_top"], frame["field_left"] = spot.inner_top, spot.inner_left
    frame["field_rows"], frame["field_columns"] = spot.inner_height, spot.inner_width
    shared_bytes = _tile(frame)
    frame["tiles_across"] = -(-spec.width // int(frame["tile_columns"]))
    frame["tiles"] = int(frame["tiles_across"]) * -(-spec.height // int(frame["tile_rows"]))
    return frame, shared_bytes


def _wrapped(offsets: Sequence[int]) -> NDArray[np.uint64]:
    """Modulo 2**64, as addresses add up: a picture that is upside down begins before its pointer."""
    return np.array(offsets, np.int64).view(np.uint64)


def _layout(size: Size, strides: Strides) -> int:
    row_stride, pixel_stride, channel_stride = strides
    if (pixel_stride, channel_stride) == (3, 1) and row_stride >= 3 * size[1]:
        return _INTERLEAVED
    if pixel_stride == 1 and row_stride >= size[1]:
        return _PLANES
    return _ANY


def _tile(frame: NDArray[Any]) -> int:
    """Choose the tile's size and the strip's; returns the shared memory that a block needs."""
    rows, columns = TILE, TILE
    sparse = float(frame["scale_down"]) * float(frame["scale_across"]) > SPARSE
    while not sparse:
        frame["tile_rows"], frame["tile_columns"] = rows, columns
        shared_bytes, source_bytes = _room(frame)
        large = source_bytes > TILE_BYTES and rows * columns > LEAST_TILE
        if shared_bytes <= SHARED_BYTES and not large:
            return shared_bytes
        if (rows, columns) == (1, 4):
            break
        rows, columns = (rows // 2, columns) if columns == 4 or rows >= columns else (rows, columns // 2)
    frame["direct"], frame["tile_rows"], frame["tile_columns"] = 1, 16, 16
    return 8 * (16 + 16)


def _room(frame: NDArray[Any]) -> tuple[int, int]:
    """Fix the strips for the tile's size; returns bytes of shared memory and of the picture for a whole tile."""
    halvings = int(frame["halvings"])
    at_once, later = min(halvings, 2), max(halvings - 2, 0)
    tile_rows, tile_columns = int(frame["tile_rows"]), int(frame["tile_columns"])
    rows = _reach(tile_rows, float(frame["scale_down"]), int(frame["rows"]))
    columns = _reach(tile_columns, float(frame["scale_across"]), int(frame["columns"]))
    planes, pixel_bytes = (3, 1) if frame["layout"] == _PLANES else (1, 3)
    stride = _up(pixel_bytes * (columns << halvings) + 28, 16)  # 15 before the first byte; reads reach 13 too far
    group_bytes = (stride * planes) << at_once
    groups = max(1, min(rows << later, STRIP_BYTES // group_bytes))
    words = _up((rows << later) * (columns << later), 16)
    frame["strip_groups"], frame["strip_stride"], frame["folded_words"] = groups, stride, words
    taps = _up(8 * (tile_rows + tile_columns), 16)
    shared_bytes = taps + 4 * (words + (words // 4 if later else 0)) + 2 * groups * group_bytes
    return shared_bytes, 3 * (rows << halvings) * (columns << halvings)


def _reach(wanted: int, scale: float, have: int) -> int:
    """The most pixels of a side that ``wanted`` neighbouring new ones may depend on."""
    # each lies between two, and one more is for positions that are rounded to single precision
    return min(have, math.ceil((wanted - 1) * scale) + 3)


def _up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple
