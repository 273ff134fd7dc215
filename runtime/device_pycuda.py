"""The device by pycuda, without graphs, which pycuda does not have.

pycuda keeps a stack of contexts for each thread, and aborts the process when a thread ends with one on it. So each
call here pushes the primary context and pops it again: under a microsecond.
"""

import atexit
import ctypes
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import pycuda.driver as cuda
from numpy.typing import NDArray

from runtime.device import host_array
from runtime.errors import InferenceError

NON_BLOCKING = 1
"""``CU_STREAM_NON_BLOCKING``, which pycuda has no name for."""


class PycudaMemory:
    """See ``runtime.device.Memory``."""

    def __init__(self, device: "PycudaDevice", nbytes: int) -> None:
        self.nbytes = nbytes
        self._device = device
        self._held = device.hold(self, lambda: cuda.mem_alloc(max(nbytes, 1)))
        self.pointer = int(self._held[0])

    def free(self) -> None:
        """See ``runtime.device.Memory``."""
        self._device.let_go(self._held)


class PycudaStream:
    """See ``runtime.device.Stream``."""

    def __init__(self, device: "PycudaDevice") -> None:
        self._device = device
        self._held = device.hold(self, lambda: cuda.Stream(NON_BLOCKING))
        self.handle = int(self.stream.handle)

    @property
    def stream(self) -> Any:
        """What pycuda has for it."""
        return self._held[0]

    def synchronize(self) -> None:
        """See ``runtime.device.Stream``."""
        with self._device.current():
            self.stream.synchronize()


class PycudaEvent:
    """See ``runtime.device.Event``; who waits for it sleeps, and leaves the core to the decoders."""

    def __init__(self, device: "PycudaDevice") -> None:
        self._device = device
        flags = cuda.event_flags.DISABLE_TIMING | cuda.event_flags.BLOCKING_SYNC
        self._held = device.hold(self, lambda: cuda.Event(flags))

    @property
    def event(self) -> Any:
        """What pycuda has for it."""
        return self._held[0]

    def record(self, stream: Any) -> None:
        """See ``runtime.device.Event``."""
        with self._device.current():
            self.event.record(stream.stream)

    def synchronize(self) -> None:
        """See ``runtime.device.Event``."""
        with self._device.current():
            self.event.synchronize()


class PycudaKernel:
    """See ``runtime.device.Kernel``."""

    def __init__(self, device: "PycudaDevice", image: bytes, name: str) -> None:
        self._device = device
        self._held = device.hold(self, lambda: cuda.module_from_buffer(image).get_function(name))

    def launch(
        self,
        grid: tuple[int, int, int],
        block: tuple[int, int, int],
        arguments: Sequence[Any],
        stream: Any,
        shared_bytes: int = 0,
    ) -> None:
        """See ``runtime.device.Kernel``."""
        with self._device.current():
            self._held[0](*arguments, grid=grid, block=block, stream=stream.stream, shared=shared_bytes)


class PycudaDevice:
    """See ``runtime.device.Device``: the first visible GPU, in its primary context.

    Raises:
        InferenceError: the driver fails.
    """

    graphs = False

    def __init__(self) -> None:
        try:
            cuda.init()
            device = cuda.Device(0)
            self.name = str(device.name())
            major, minor = device.compute_capability()
            self._context = device.retain_primary_context()
            atexit.register(self._context.detach)  # its destructor would release it by the wrong function
        except cuda.Error as error:
            raise _translated(error) from error
        self.compute_capability = (int(major), int(minor))
        self._driver = ctypes.CDLL("libcuda.so.1")
        self.activate()

    def activate(self) -> None:
        """See ``runtime.device.Device``: for TensorRT and others, which take the context that is there."""
        result = self._driver.cuCtxSetCurrent(ctypes.c_void_p(self._context.handle))
        if result:
            raise InferenceError(f"the GPU's driver: cuCtxSetCurrent answers {result}")

    @contextmanager
    def current(self) -> Iterator[None]:
        """The context on top of this thread's stack, and pycuda's errors as ours."""
        try:
            self._context.push()
            try:
                yield
            finally:
                self._context.pop()
        except cuda.Error as error:
            raise _translated(error) from error

    def hold(self, owner: object, make: Callable[[], Any]) -> list[Any]:
        """Something of pycuda's, in a list that is emptied when ``owner`` dies.

        pycuda leaks what dies in a thread without the context on its stack, so nothing else may refer to it.
        """
        with self.current():
            held = [make()]
        weakref.finalize(owner, self.let_go, held)
        return held

    def let_go(self, held: list[Any]) -> None:
        """Give back what is in the list; an empty one is left as it is."""
        with self.current():
            held.clear()

    def memory(self, nbytes: int) -> PycudaMemory:
        """See ``runtime.device.Device``."""
        return PycudaMemory(self, nbytes)

    def pinned(self, nbytes: int) -> NDArray[np.uint8]:
        """See ``runtime.device.Device``."""
        with self.current():
            held = [cuda.pagelocked_empty(nbytes, np.uint8, mem_flags=cuda.host_alloc_flags.PORTABLE)]
        return host_array(held[0].ctypes.data, nbytes, partial(self.let_go, held))

    def stream(self) -> PycudaStream:
        """See ``runtime.device.Device``."""
        return PycudaStream(self)

    def event(self) -> PycudaEvent:
        """See ``runtime.device.Device``."""
        return PycudaEvent(self)

    def upload(self, target: int, source: NDArray[Any], stream: Any) -> None:
        """See ``runtime.device.Device``."""
        assert source.flags.c_contiguous
        with self.current():
            cuda.memcpy_htod_async(target, source, stream.stream)

    def download(self, target: NDArray[Any], source: int, stream: Any) -> None:
        """See ``runtime.device.Device``."""
        assert target.flags.c_contiguous
        with self.current():
            cuda.memcpy_dtoh_async(target, source, stream.stream)

    def wait(self, stream: Any, event: Any) -> None:
        """See ``runtime.device.Device``."""
        with self.current():
            stream.stream.wait_for_event(event.event)

    def kernel(self, image: bytes, name: str) -> PycudaKernel:
        """See ``runtime.device.Device``."""
        return PycudaKernel(self, image, name)

    def capture(self, stream: Any, work: Callable[[], None]) -> Any:
        """See ``runtime.device.Device``."""
        raise NotImplementedError("pycuda has no graphs: install cuda-core")


def _translated(error: Exception) -> InferenceError:
    return InferenceError(f"the GPU's driver: {type(error).__name__}: {error}")
