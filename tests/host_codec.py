"""JPEG decoding in host memory with nvJPEG's manners, for a device whose memory is the host's."""

import ctypes
from collections.abc import Sequence

import numpy as np
import simplejpeg
from numpy.typing import NDArray

from runtime.device import Stream
from runtime.preprocess_cuda import DevicePicture


class HostCodec:
    """See ``runtime.decode_cuda.Codec``.

    As nvJPEG on its hardware engines it writes when it is called, whatever waits in the stream; it writes into the
    memory of its last call; and it does not see corruption in a picture's data.
    """

    def __init__(self) -> None:
        self.seen: list[bytes] = []
        self._memory: list[NDArray[np.uint8]] = []

    def decode(self, values: Sequence[bytes], stream: Stream) -> list[DevicePicture | None]:
        self.seen += values
        return [self._decoded(place, value) for place, value in enumerate(values)]

    def _decoded(self, place: int, value: bytes) -> DevicePicture | None:
        try:
            pixels = simplejpeg.decode_jpeg(value, "RGB", strict=False)
        except ValueError:
            return None
        if place == len(self._memory):
            self._memory.append(np.empty(0, np.uint8))
        if self._memory[place].size < pixels.size:
            self._memory[place] = np.empty(pixels.size, np.uint8)
        memory = self._memory[place]
        memory[: pixels.size] = pixels.reshape(-1)
        height, width = pixels.shape[:2]
        return DevicePicture(memory.ctypes.data, height, width, 3 * width, 3, 1, height, width, memory)


def pixels_of(picture: DevicePicture) -> NDArray[np.uint8]:
    """A copy of the pixels (height, width, 3), where the device's memory is the host's."""
    nbytes = (
        (picture.height - 1) * picture.row_stride
        + (picture.width - 1) * picture.pixel_stride
        + 2 * picture.channel_stride
        + 1
    )
    memory = np.ctypeslib.as_array((ctypes.c_uint8 * nbytes).from_address(picture.pointer))
    strides = (picture.row_stride, picture.pixel_stride, picture.channel_stride)
    return np.lib.stride_tricks.as_strided(memory, (picture.height, picture.width, 3), strides).copy()
