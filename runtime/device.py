"""What the runtime asks of a GPU: memory, copies, kernels, streams, events.

``device_pycuda`` and ``device_cuda_core`` do it, both in the device's primary context, which they share with
TensorRT, ONNX Runtime and nvImageCodec. Nothing here touches a driver at import.
"""

import ctypes
import logging
import weakref
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from runtime.errors import InferenceError

log = logging.getLogger("framegate")


class Memory(Protocol):
    """A piece of device memory."""

    pointer: int
    """Its address on the device; at least 256-byte aligned."""
    nbytes: int

    def free(self) -> None:
        """Give it back; a second call does nothing."""
        ...


class Stream(Protocol):
    """A queue of work on the device; two streams run side by side."""

    handle: int
    """The ``cudaStream_t``, as a number, for libraries that take one."""

    def synchronize(self) -> None:
        """Block until all that was queued is done. Other Python threads run meanwhile."""
        ...


class Event(Protocol):
    """A mark in a stream."""

    def record(self, stream: Stream) -> None:
        """Put the mark behind what is queued in ``stream`` now."""
        ...

    def synchronize(self) -> None:
        """Block until the mark is passed. Other Python threads run meanwhile."""
        ...


class Graph(Protocol):
    """Captured work, queued again by one call."""

    def launch(self, stream: Stream) -> None:
        """Queue it."""
        ...


class Kernel(Protocol):
    """A function of a loaded cubin, fatbin or PTX."""

    def launch(
        self,
        grid: tuple[int, int, int],
        block: tuple[int, int, int],
        arguments: Sequence[Any],
        stream: Stream,
        shared_bytes: int = 0,
    ) -> None:
        """Queue it; ``arguments`` are NumPy scalars (a pointer is a ``np.uint64``), passed as they are."""
        ...


class Device(Protocol):
    """One GPU. Its methods may be called by any thread that has called ``activate``.

    Raises (every method):
        InferenceError: the driver reports an error; the text has its name.
    """

    name: str
    """As the driver tells it: ``NVIDIA H200``."""
    compute_capability: tuple[int, int]
    graphs: bool
    """Whether ``capture`` works."""

    def activate(self) -> None:
        """Make the device's primary context current in the calling thread; cheap to call again."""
        ...

    def memory(self, nbytes: int) -> Memory:
        """Device memory, its content undefined."""
        ...

    def pinned(self, nbytes: int) -> NDArray[np.uint8]:
        """Page-locked host memory: copies to and from it run beside the host. Freed with the array."""
        ...

    def stream(self) -> Stream:
        """A new stream that does not wait for the default one."""
        ...

    def event(self) -> Event:
        """A new event, without timing."""
        ...

    def upload(self, target: int, source: NDArray[Any], stream: Stream) -> None:
        """Queue a copy of a C-contiguous host array to the device address ``target``.

        ``source`` must stay as it is until the stream has passed the copy.
        """
        ...

    def download(self, target: NDArray[Any], source: int, stream: Stream) -> None:
        """Queue a copy from the device address ``source`` into a C-contiguous host array."""
        ...

    def wait(self, stream: Stream, event: Event) -> None:
        """Let what comes next in ``stream`` wait for ``event``; the host goes on."""
        ...

    def kernel(self, image: bytes, name: str) -> Kernel:
        """Load a cubin, fatbin or PTX and find a function in it."""
        ...

    def capture(self, stream: Stream, work: Callable[[], None]) -> Graph:
        """Record what ``work`` queues in ``stream``, without running it; only where ``graphs``."""
        ...


def free_all(device: Device, memories: Iterable[Memory]) -> None:
    """Give memory back, from any thread: all of it, whatever the driver says.

    A driver that refuses does so because the device is broken. What broke it is the error to be told; this one
    goes to the log.
    """
    failures = []
    try:
        device.activate()
    except InferenceError as error:
        failures.append(error)
    for memory in memories:
        try:
            memory.free()
        except InferenceError as error:
            failures.append(error)
    if failures:
        log.warning("the GPU's memory could not be given back: %s", failures[0])


def host_array(pointer: int, nbytes: int, give_back: Callable[[], None]) -> NDArray[np.uint8]:
    """Host memory at an address as an array; ``give_back`` is called once neither it nor a view of it is left."""
    owner = (ctypes.c_uint8 * nbytes).from_address(pointer)
    weakref.finalize(owner, give_back)
    return np.frombuffer(memoryview(owner), np.uint8)
