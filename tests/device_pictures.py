"""Pictures in host memory that passes for a device's, in every layout that a decoder might choose."""

import math

import numpy as np
from numpy.typing import NDArray

from runtime.preprocess_cuda import DevicePicture

Pixels = NDArray[np.uint8]
LAYOUTS = (
    *("interleaved", "padded rows", "planes", "padded planes", "BGR planes"),
    *("four bytes a pixel", "BGR", "upside down"),
)


def device_picture(pixels: Pixels, layout: str = "interleaved", shift: int = 0) -> DevicePicture:
    """A copy of ``pixels`` whose memory begins ``shift`` bytes behind a multiple of 32."""
    height, width = pixels.shape[:2]
    placed = _placed(layout, height, width, shift)
    placed[...] = pixels
    row, pixel, channel = placed.strides
    return DevicePicture(placed.ctypes.data, height, width, row, pixel, channel, height, width, placed)


def _placed(layout: str, h: int, w: int, shift: int) -> Pixels:
    """Room for (h, w, 3), with strides as the layout has them."""
    if layout == "padded rows":
        return _room((h, w + 5, 3), shift)[:, :w]
    if layout == "planes":
        return _room((3, h, w), shift).transpose(1, 2, 0)
    if layout == "BGR planes":
        return _room((3, h, w), shift)[::-1].transpose(1, 2, 0)
    if layout == "padded planes":
        return _room((3, h + 2, w + 7), shift).transpose(1, 2, 0)[:h, :w]
    if layout == "four bytes a pixel":
        return _room((h, w, 4), shift)[..., :3]
    room = _room((h, w, 3), shift)
    return {"interleaved": room, "BGR": room[..., ::-1], "upside down": room[::-1]}[layout]


def _room(shape: tuple[int, ...], shift: int) -> Pixels:
    memory = np.full(math.prod(shape) + 64, 0xEE, np.uint8)
    start = -memory.ctypes.data % 32 + shift
    return memory[start : start + math.prod(shape)].reshape(shape)
