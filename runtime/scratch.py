"""Memory that a thread uses again for every frame."""

import math
import threading

import numpy as np
from numpy.typing import NDArray


class Scratch(threading.local):
    """Named uint8 buffers, each thread its own; they grow to the largest shape asked for and stay."""

    def __init__(self) -> None:
        self._buffers: dict[str, NDArray[np.uint8]] = {}

    def array(self, name: str, shape: tuple[int, ...]) -> NDArray[np.uint8]:
        """A C-contiguous array of that shape, its content undefined.

        It is valid until the same thread asks for the same name again.
        """
        size = math.prod(shape)
        buffer = self._buffers.get(name)
        if buffer is None or buffer.size < size:
            buffer = self._buffers[name] = np.empty(size, np.uint8)
        return buffer[:size].reshape(shape)
