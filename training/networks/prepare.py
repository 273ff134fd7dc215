"""From a picture of any size to a network's input, and from places in the input back to places in the picture."""

from dataclasses import dataclass

import numpy as np

from runtime.decode import Pixels
from runtime.opencv import cv2
from training.networks.description import Input, Letterbox, ShorterSideCrop
from training.networks.network import Values

_FLAGS = {"bilinear": cv2.INTER_LINEAR, "bicubic": cv2.INTER_CUBIC}


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a picture of ``picture_height`` x ``picture_width`` lies in a network's input; all in pixels."""

    left: int
    top: int
    """Of the picture's first pixel, negative where the picture hangs over."""
    height: int
    width: int
    """Of the whole picture, resized."""
    picture_height: int
    picture_width: int

    def boxes_in_picture(self, boxes: Values) -> Values:
        """Boxes (n, 4) of the input as float32 boxes of the picture, cut at its borders."""
        scale = np.array([self.picture_width / self.width, self.picture_height / self.height])
        moved = (boxes.reshape(-1, 2, 2) - (self.left, self.top)) * scale
        inside = np.clip(moved, 0, (self.picture_width, self.picture_height))
        return np.asarray(inside.reshape(-1, 4), np.float32)


def place(spec: Input, height: int, width: int) -> Placement:
    """Lay a picture of ``height`` x ``width`` into the input. Of a side that follows, the fraction is cut off."""
    if isinstance(spec.resize, ShorterSideCrop):
        short = min(height, width)
        inner_height, inner_width = (spec.resize.shorter * side // short for side in (height, width))
        left, top = -((inner_width - spec.width) // 2), -((inner_height - spec.height) // 2)
        return Placement(left, top, inner_height, inner_width, height, width)
    inner_height, inner_width = spec.height, spec.width
    if isinstance(spec.resize, Letterbox):
        if height * spec.width > width * spec.height:
            inner_width = max(1, width * spec.height // height)
        else:
            inner_height = max(1, height * spec.width // width)
    return Placement(0, 0, inner_height, inner_width, height, width)


def prepare(spec: Input, pixels: Pixels) -> tuple[Values, Placement]:
    """A picture as float32 ``spec.shape``, and where it lies in it.

    Args:
        spec: the network's input.
        pixels: uint8 (height, width, 3), RGB.
    """
    placement = place(spec, *pixels.shape[:2])
    resized = _resize(spec, pixels, placement)
    if spec.color == "BGR":
        resized = resized[..., ::-1]
    values: Values = (resized - np.array(spec.mean, np.float32)) / np.array(spec.std, np.float32)
    return (values.transpose(2, 0, 1) if spec.layout == "NCHW" else values), placement


def _resize(spec: Input, pixels: Pixels, at: Placement) -> Pixels:
    resized = pixels
    if (at.height, at.width) != pixels.shape[:2]:
        shrinks = at.height < pixels.shape[0] or at.width < pixels.shape[1]
        flag = cv2.INTER_AREA if shrinks and spec.resize.antialias else _FLAGS[spec.resize.interpolation]
        resized = np.asarray(cv2.resize(pixels, (at.width, at.height), interpolation=flag), np.uint8)
    if isinstance(spec.resize, ShorterSideCrop):
        return resized[-at.top : spec.height - at.top, -at.left : spec.width - at.left]
    if not isinstance(spec.resize, Letterbox):
        return resized
    filled = np.full((spec.height, spec.width, 3), spec.resize.fill, np.uint8)
    filled[: at.height, : at.width] = resized
    return filled
