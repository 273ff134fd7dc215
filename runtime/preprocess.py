"""From upright RGB pixels to one sample of the engine's input, as the manifest's ``Resize`` and ``Input`` say.

``docs/resize.md`` gives the arithmetic; ``tests/reference_preprocess.py`` computes it slowly and plainly.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.manifest import Input, Resize
from runtime.opencv import cv2
from runtime.scratch import Scratch

Pixels = NDArray[np.uint8]


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


def place(resize: Resize, size: tuple[int, int], wanted: tuple[int, int]) -> Placement:
    """Lay a picture of ``size`` (height, width) into an input of ``wanted`` (height, width).

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
    return Placement(
        (size[0] - height) // 2,
        (size[1] - width) // 2,
        height,
        width,
        (wanted[0] - inner_height) // 2,
        (wanted[1] - inner_width) // 2,
        inner_height,
        inner_width,
    )


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

    @property
    def least(self) -> tuple[int, int] | None:
        """What ``Decoder.decode`` may be told: height and width, or None where the picture must come whole."""
        resize = self._spec.resize
        return (self._spec.height, self._spec.width) if resize.scaled_decode else None

    def batch(self, size: int) -> NDArray[Any]:
        """A zeroed batch buffer of ``size`` slots: (size, height, width, 3) or (size, 3, height, width)."""
        return np.zeros((size, *self._spec.shape), self._spec.dtype)

    def fill(self, pixels: Pixels, slot: NDArray[Any]) -> None:
        """Write one sample.

        Args:
            pixels: uint8 (height, width, 3), RGB, upright, of any size.
            slot: ``batch[i]``; every element of it is written, and nothing else.
        """
        if slot.shape != self._spec.shape or slot.dtype != self._spec.dtype or not slot.flags.c_contiguous:
            raise ValueError(f"a slot of {self._spec.shape} {self._spec.dtype} is due, not {slot.shape} {slot.dtype}")
        if self._direct:
            self._resize(pixels, slot)
            return
        resized = self._scratch.array("resized", (self._spec.height, self._spec.width, 3))
        self._resize(pixels, resized)
        if self._spec.layout == "NHWC":
            self._write_pixels(resized, slot)
        else:
            self._write_planes(resized, slot)

    def _resize(self, pixels: Pixels, out: Pixels) -> None:
        spot = place(self._spec.resize, pixels.shape[:2], out.shape[:2])
        part = pixels[spot.top : spot.top + spot.height, spot.left : spot.left + spot.width]
        if self._spec.resize.halve:
            part = self._halve(part, spot.inner_height, spot.inner_width)
        bottom, right = spot.inner_top + spot.inner_height, spot.inner_left + spot.inner_width
        inner = out[spot.inner_top : bottom, spot.inner_left : right]
        if inner.size < out.size:
            out.fill(self._spec.resize.pad_value)
        cv2.resize(part, (spot.inner_width, spot.inner_height), dst=inner, interpolation=cv2.INTER_LINEAR)

    def _halve(self, part: Pixels, least_height: int, least_width: int) -> Pixels:
        """Mean of 2x2, rounded half up, while both sides stay at least that long."""
        spare, other = "halved", "halved again"
        while (height := part.shape[0] // 2) >= least_height and (width := part.shape[1] // 2) >= least_width:
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


def level_table(spec: Input) -> NDArray[Any] | None:
    """What each of the 256 levels becomes, per channel: (1, 256, 3), rounded once, to the input's dtype."""
    if spec.mean is None or spec.std is None:
        return None
    levels = np.arange(256.0)[:, None]
    return _bits(((levels - spec.mean) / spec.std).astype(spec.dtype)[None])


def _bits(values: NDArray[Any]) -> NDArray[Any]:
    """OpenCV looks up 16-bit patterns in every version, half floats only in some."""
    return values.view(np.uint16) if values.dtype == np.float16 else values
