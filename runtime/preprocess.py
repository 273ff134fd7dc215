"""From upright RGB pixels to one sample of the engine's input, as the manifest's ``Resize`` and ``Input`` say.

``docs/resize.md`` gives the arithmetic; ``tests/reference_preprocess.py`` computes it slowly and plainly.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.manifest import Input, Patches, Resize
from runtime.opencv import cv2
from runtime.scratch import Scratch

Pixels = NDArray[np.uint8]
Size = tuple[int, int]
"""Height and width in pixels."""


@dataclass(frozen=True, slots=True)
class Placement:
    """Which part of a picture goes where in the input; all in pixels."""

    top: int
    left: int
    height: int
    width: int
    """The part of the picture, before any halving."""
    inner_top: int
    inner_left: int
    inner_height: int
    inner_width: int
    """Where it lies in the input, and at what size."""
    halvings: int
    """How often the part is halved before it is interpolated to that size."""


def placements(spec: Input, size: Size, full: Size) -> tuple[Placement, ...]:
    """What the input shows of a picture: one part, or its patches, row by row.

    Args:
        spec: the input.
        size: of the decoded picture.
        full: of the picture at full size; a JPEG may have been decoded at 1/2, 1/4 or 1/8, each side rounded up.

    Raises:
        ValueError: patches are due, and the picture was decoded smaller than ``Preprocessor.least`` allows.
    """
    wanted = (spec.height, spec.width)
    if spec.patches is None:
        return (place(spec.resize, size, wanted),)
    return cut(spec.patches, size, full, wanted)


def place(resize: Resize, size: Size, wanted: Size) -> Placement:
    """Lay a picture of ``size`` into an input of ``wanted``.

    A side that follows from the other is rounded half up and at least 1; what is left over is split evenly,
    the odd pixel going to the bottom or the right.
    """
    (height, width), (inner_height, inner_width) = size, wanted
    wider = width * wanted[0] > height * wanted[1]
    if resize.fit == "crop" and wider:
        width = _scaled(wanted[1], height, wanted[0])
    elif resize.fit == "crop":
        height = _scaled(wanted[0], width, wanted[1])
    elif resize.fit == "pad" and wider:
        inner_height = _scaled(wanted[1], height, width)
    elif resize.fit == "pad":
        inner_width = _scaled(wanted[0], width, height)
    ratio = min(height // inner_height, width // inner_width)
    return Placement(
        (size[0] - height) // 2,
        (size[1] - width) // 2,
        height,
        width,
        (wanted[0] - inner_height) // 2,
        (wanted[1] - inner_width) // 2,
        inner_height,
        inner_width,
        max(1, ratio).bit_length() - 1 if resize.halve else 0,  # while both sides stay at least the field's
    )


def cut(patches: Patches, size: Size, full: Size, wanted: Size) -> tuple[Placement, ...]:
    """Cut patches of ``wanted`` out of a picture of ``size``, which is ``full`` before any scaled decode.

    Where they lie follows from the full size alone, so that it does not depend on the decoder. A side of the halved
    picture that is shorter than the patch's is taken whole, and enlarged.

    Raises:
        ValueError: the picture was decoded too small, or to a size that no scaled decode gives.
    """
    halvings = max(1, min(full) // patches.least_side).bit_length() - 1
    left_to_do = halvings - _halved_by_decoder(size, full, halvings)
    height, width = (side >> halvings for side in full)
    part_height, part_width = min(height, wanted[0]), min(width, wanted[1])
    return tuple(
        Placement(
            _start(row, patches.rows, height, wanted[0]) << left_to_do,
            _start(column, patches.columns, width, wanted[1]) << left_to_do,
            part_height << left_to_do,
            part_width << left_to_do,
            0,
            0,
            *wanted,
            left_to_do,
        )
        for row in range(patches.rows)
        for column in range(patches.columns)
    )


def _start(cell: int, cells: int, side: int, patch: int) -> int:
    """Where a patch around the middle of a cell begins, moved into the picture where it would hang over."""
    return min(max((2 * cell + 1) * side // (2 * cells) - patch // 2, 0), max(0, side - patch))


def _halved_by_decoder(size: Size, full: Size, most: int) -> int:
    for halvings in range(most + 1):
        if size == (-(-full[0] >> halvings), -(-full[1] >> halvings)):  # a decoder rounds up
            return halvings
    raise ValueError(f"a picture of {full} decoded to {size}: for its patches it may be halved {most} times, no more")


def _scaled(side: int, numerator: int, denominator: int) -> int:
    return max(1, (2 * side * numerator + denominator) // (2 * denominator))


class Preprocessor:
    """Writes pictures of any size into the slots of a batch buffer. Any number of threads may share one."""

    def __init__(self, spec: Input) -> None:
        self._spec = spec
        self._scratch = Scratch()
        self._table = level_table(spec)
        self._tables = [] if self._table is None else [plane.copy() for plane in np.moveaxis(self._table, -1, 0)]
        self._direct = (spec.dtype, spec.layout, spec.color) == ("uint8", "NHWC", "RGB")
        self._placements = lru_cache(maxsize=256)(partial(placements, spec))

    @property
    def least(self) -> Size | None:
        """What ``Decoder.decode`` may be told: height and width, or None where the picture must come whole.

        For patches it is the least side of a picture that is halved for them: a decoder that keeps it halves no
        picture more often than they do.
        """
        if not self._spec.resize.scaled_decode:
            return None
        if self._spec.patches is None:
            return self._spec.height, self._spec.width
        return self._spec.patches.least_side, self._spec.patches.least_side

    def batch(self, size: int) -> NDArray[Any]:
        """A zeroed batch buffer of ``size`` slots, each of the input's ``shape``."""
        return np.zeros((size, *self._spec.shape), self._spec.dtype)

    def fill(self, pixels: Pixels, slot: NDArray[Any], full: Size | None = None) -> None:
        """Write one sample.

        Args:
            pixels: uint8 (height, width, 3), RGB, upright, of any size.
            slot: ``batch[i]``; every element of it is written, and nothing else.
            full: the picture's size before a scaled decode; None: the pixels are all there are. Patches need it.

        Raises:
            ValueError: the slot is not the input's, or the pixels are too few for the patches.
        """
        if slot.shape != self._spec.shape or slot.dtype != self._spec.dtype or not slot.flags.c_contiguous:
            raise ValueError(f"a slot of {self._spec.shape} {self._spec.dtype} is due, not {slot.shape} {slot.dtype}")
        size = pixels.shape[:2]
        views = slot[None] if self._spec.patches is None else slot
        for spot, view in zip(self._placements(size, full or size), views, strict=True):
            self._fill(pixels, spot, view)

    def _fill(self, pixels: Pixels, spot: Placement, view: NDArray[Any]) -> None:
        if self._direct:
            self._resize(pixels, spot, view)
            return
        resized = self._scratch.array("resized", (self._spec.height, self._spec.width, 3))
        self._resize(pixels, spot, resized)
        if self._spec.layout == "NHWC":
            self._write_pixels(resized, view)
        else:
            self._write_planes(resized, view)

    def _resize(self, pixels: Pixels, spot: Placement, out: Pixels) -> None:
        part = pixels[spot.top : spot.top + spot.height, spot.left : spot.left + spot.width]
        part = self._halve(part, spot.halvings)
        bottom, right = spot.inner_top + spot.inner_height, spot.inner_left + spot.inner_width
        inner = out[spot.inner_top : bottom, spot.inner_left : right]
        if inner.size < out.size:
            out.fill(self._spec.resize.pad_value)
        cv2.resize(part, (spot.inner_width, spot.inner_height), dst=inner, interpolation=cv2.INTER_LINEAR)

    def _halve(self, part: Pixels, times: int) -> Pixels:
        """Mean of 2x2, rounded half up."""
        spare, other = "halved", "halved again"
        for _ in range(times):
            height, width = part.shape[0] // 2, part.shape[1] // 2
            half = self._scratch.array(spare, (height, width, 3))
            even = part[: 2 * height, : 2 * width]
            # OpenCV's area interpolation at exactly 1/2 is (a + b + c + d + 2) >> 2
            part = cv2.resize(even, (width, height), dst=half, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
            spare, other = other, spare
        return part

    def _write_pixels(self, resized: Pixels, slot: NDArray[Any]) -> None:
        if self._table is None:
            cv2.cvtColor(resized, cv2.COLOR_RGB2BGR, dst=slot)
            return
        if self._spec.color == "BGR":
            swapped = self._scratch.array("swapped", resized.shape)
            resized = cv2.cvtColor(resized, cv2.COLOR_RGB2BGR, dst=swapped)  # type: ignore[assignment]
        cv2.LUT(resized, self._table, dst=_bits(slot))

    def _write_planes(self, resized: Pixels, slot: NDArray[Any]) -> None:
        order = [0, 1, 2] if self._spec.color == "RGB" else [2, 1, 0]
        if self._table is None:
            cv2.split(resized, [slot[channel] for channel in order])
            return
        planes = self._scratch.array("planes", (3, *resized.shape[:2]))
        cv2.split(resized, [planes[channel] for channel in order])
        for channel in range(3):
            cv2.LUT(planes[channel], self._tables[channel], dst=_bits(slot[channel]))


def common_least(preprocessors: Sequence[Preprocessor]) -> Size | None:
    """The smallest decoded size that serves every input; None where one of them wants the full picture."""
    leasts = [preprocessor.least for preprocessor in preprocessors]
    if any(least is None for least in leasts):
        return None
    return (
        int(np.max([least[0] for least in leasts if least])),
        int(np.max([least[1] for least in leasts if least])),
    )


def level_table(spec: Input) -> NDArray[Any] | None:
    """What each of the 256 levels becomes, per channel: (1, 256, 3), rounded once, to the input's dtype."""
    if spec.mean is None or spec.std is None:
        return None
    levels = np.arange(256.0)[:, None]
    return _bits(((levels - spec.mean) / spec.std).astype(spec.dtype)[None])


def _bits(values: NDArray[Any]) -> NDArray[Any]:
    """OpenCV looks up 16-bit patterns in every version, half floats only in some."""
    return values.view(np.uint16) if values.dtype == np.float16 else values
