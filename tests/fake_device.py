"""A device whose memory is the host's, and whose work waits until somebody waits for it.

What is queued runs only when its stream, or an event behind it, is synchronised, or when another stream's work
waits for it: a synchronisation that was left out shows as a wrong answer, every time. Each rule of CUDA that our
code relies on is held: a thread without a context, an address outside the device's memory, and a wait during a
capture are errors.
"""

import itertools
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.errors import InferenceError

ALIGNMENT = 256
GARBAGE = 0xAB
"""What undefined memory holds: far from any right answer, as bytes and as floats."""

Work = Callable[[], None]
HostKernel = Callable[[tuple[int, int, int], tuple[int, int, int], Sequence[Any]], None]
"""Called with grid, block and arguments, when the stream comes to it; a pointer is an address in this process."""


class FakeMemory:
    """A piece of host memory that passes for a device's."""

    def __init__(self, device: "FakeDevice", nbytes: int) -> None:
        self.nbytes = nbytes
        self._device = device
        self._room = np.full(nbytes + ALIGNMENT, GARBAGE, np.uint8)
        self.pointer = -(-self._room.ctypes.data // ALIGNMENT) * ALIGNMENT
        device.pieces[self.pointer] = self

    def free(self) -> None:
        """See ``runtime.device.Memory``. Its content is undefined from now on."""
        if self._device.pieces.pop(self.pointer, None) is not None:
            self._room[:] = GARBAGE

    @property
    def content(self) -> NDArray[np.uint8]:
        """Its bytes, for a test to look at."""
        start = self.pointer - self._room.ctypes.data
        return self._room[start : start + self.nbytes]


class FakeStream:
    """A queue of functions that nobody runs before they must be done."""

    def __init__(self, device: "FakeDevice", handle: int) -> None:
        self.handle = handle
        self.queued = 0
        self.done = 0
        self._device = device
        self._work: list[Work] = []
        self._captured: list[Work] | None = None

    @property
    def capturing(self) -> bool:
        """Whether what comes goes into a graph."""
        return self._captured is not None

    def queue(self, work: Work) -> None:
        """Put ``work`` behind what is there, or into the graph that is being captured."""
        self._device.require_active()
        with self._device.lock:
            if self._captured is not None:
                self._captured.append(work)
                return
            self._work.append(work)
            self.queued += 1

    def synchronize(self) -> None:
        """See ``runtime.device.Stream``."""
        self._device.require_active()
        self.run_until(self.queued)

    def run_until(self, mark: int) -> None:
        """Do what was queued before ``mark``."""
        with self._device.lock:
            if self._captured is not None:
                raise InferenceError("CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED: a wait during a capture")
            while self.done < mark:
                work = self._work.pop(0)
                self.done += 1
                work()

    def capture(self, work: Work) -> list[Work]:
        """What ``work`` queues here, without running it."""
        self._captured = []
        try:
            work()
            return self._captured
        finally:
            self._captured = None


class FakeEvent:
    """A mark: a stream, and how much of it lies before."""

    def __init__(self, device: "FakeDevice") -> None:
        self._device = device
        self.mark: tuple[FakeStream, int] | None = None

    def record(self, stream: Any) -> None:
        """See ``runtime.device.Event``."""
        self._device.require_active()
        self.mark = (stream, stream.queued)

    def synchronize(self) -> None:
        """See ``runtime.device.Event``."""
        self._device.require_active()
        if self.mark is not None:
            stream, position = self.mark
            stream.run_until(position)


class FakeGraph:
    """Functions that are queued together."""

    def __init__(self, work: Sequence[Work]) -> None:
        self._work = work
        self.launches = 0

    def launch(self, stream: Any) -> None:
        """See ``runtime.device.Graph``."""
        self.launches += 1
        for work in self._work:
            stream.queue(work)


class FakeKernel:
    """A host function in place of a device's."""

    def __init__(self, function: HostKernel) -> None:
        self._function = function

    def launch(
        self,
        grid: tuple[int, int, int],
        block: tuple[int, int, int],
        arguments: Sequence[Any],
        stream: Any,
        shared_bytes: int = 0,
    ) -> None:
        """See ``runtime.device.Kernel``; the arguments are taken now, as the driver does it."""
        if not all(isinstance(argument, np.generic) for argument in arguments):
            raise TypeError(f"a kernel's arguments are NumPy scalars: {[type(each) for each in arguments]}")
        taken = tuple(arguments)
        stream.queue(lambda: self._function(grid, block, taken))


class FakeDevice:
    """See ``runtime.device.Device``.

    Args:
        kernels: the host functions that stand for kernels, by name.
        graphs: whether it captures.
        name: as a driver would tell it.
        compute_capability: likewise.
        room: how many pieces of memory it has room for; None for any number.
    """

    def __init__(
        self,
        kernels: Mapping[str, HostKernel] | None = None,
        *,
        graphs: bool = True,
        name: str = "Fake GPU",
        compute_capability: tuple[int, int] = (9, 0),
        room: int | None = None,
    ) -> None:
        self.room = room
        self.name = name
        self.compute_capability = compute_capability
        self.graphs = graphs
        self.kernels = dict(kernels or {})
        self.lock = threading.RLock()
        self.pieces: dict[int, FakeMemory] = {}
        self.streams: dict[int, FakeStream] = {}
        self._handles = itertools.count(0x1000, 0x10)
        self._thread = threading.local()
        self.activate()

    def activate(self) -> None:
        """See ``runtime.device.Device``."""
        self._thread.active = True

    def require_active(self) -> None:
        """What a driver does first.

        Raises:
            InferenceError: the calling thread has no context.
        """
        if not getattr(self._thread, "active", False):
            raise InferenceError("CUDA_ERROR_INVALID_CONTEXT: this thread never called activate()")

    def memory(self, nbytes: int) -> FakeMemory:
        """See ``runtime.device.Device``."""
        self.require_active()
        if self.room is not None and len(self.pieces) >= self.room:
            raise InferenceError("the GPU's driver: CUDA_ERROR_OUT_OF_MEMORY")
        return FakeMemory(self, nbytes)

    def pinned(self, nbytes: int) -> NDArray[np.uint8]:
        """See ``runtime.device.Device``."""
        self.require_active()
        return np.full(nbytes, GARBAGE, np.uint8)

    def stream(self) -> FakeStream:
        """See ``runtime.device.Device``."""
        self.require_active()
        stream = FakeStream(self, next(self._handles))
        self.streams[stream.handle] = stream
        return stream

    def event(self) -> FakeEvent:
        """See ``runtime.device.Device``."""
        self.require_active()
        return FakeEvent(self)

    def upload(self, target: int, source: NDArray[Any], stream: Any) -> None:
        """See ``runtime.device.Device``; what ``source`` holds is read when the stream comes to it."""
        assert source.flags.c_contiguous
        stream.queue(lambda: np.copyto(self.bytes_at(target, source.nbytes), source.reshape(-1).view(np.uint8)))

    def download(self, target: NDArray[Any], source: int, stream: Any) -> None:
        """See ``runtime.device.Device``."""
        assert target.flags.c_contiguous
        stream.queue(lambda: np.copyto(target.reshape(-1).view(np.uint8), self.bytes_at(source, target.nbytes)))

    def wait(self, stream: Any, event: Any) -> None:
        """See ``runtime.device.Device``: what counts is what ``event`` marks now."""
        if event.mark is not None:
            other, position = event.mark
            stream.queue(lambda: other.run_until(position))

    def kernel(self, image: bytes, name: str) -> FakeKernel:
        """See ``runtime.device.Device``; ``image`` is not looked at."""
        self.require_active()
        if name not in self.kernels:
            raise InferenceError(f"CUDA_ERROR_NOT_FOUND: {name}")
        return FakeKernel(self.kernels[name])

    def capture(self, stream: Any, work: Work) -> FakeGraph:
        """See ``runtime.device.Device``."""
        self.require_active()
        if not self.graphs:
            raise NotImplementedError("this device has no graphs")
        return FakeGraph(stream.capture(work))

    def bytes_at(self, pointer: int, nbytes: int) -> NDArray[np.uint8]:
        """A piece of the device's memory, to read and write.

        Raises:
            InferenceError: it is not all within one living allocation.
        """
        for start, piece in list(self.pieces.items()):
            if start <= pointer and pointer + nbytes <= start + piece.nbytes:
                return piece.content[pointer - start : pointer - start + nbytes]
        raise InferenceError(f"CUDA_ERROR_ILLEGAL_ADDRESS: {nbytes} bytes at {pointer:#x}")
