"""The device by cuda.core, and by cuda.bindings where cuda.core has no function for it."""

import functools
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import cuda.core
import numpy as np
from cuda.bindings import driver
from numpy.typing import NDArray

from runtime.device import host_array
from runtime.errors import InferenceError

FATBIN_MAGIC = b"\x50\xed\x55\xba"
ELF_MAGIC = b"\x7fELF"


class CudaCoreMemory:
    """See ``runtime.device.Memory``."""

    def __init__(self, nbytes: int) -> None:
        self.nbytes = nbytes
        self.pointer = int(_done(driver.cuMemAlloc(max(nbytes, 1))))
        self._give_back = weakref.finalize(self, _free, self.pointer)

    def free(self) -> None:
        """See ``runtime.device.Memory``."""
        result = self._give_back()
        if result is not None:
            _done(result)


class CudaCoreStream:
    """See ``runtime.device.Stream``."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream
        self.handle = int(stream.handle)

    def synchronize(self) -> None:
        """See ``runtime.device.Stream``."""
        with _translated():
            self.stream.sync()


class CudaCoreEvent:
    """See ``runtime.device.Event``."""

    def __init__(self, event: Any) -> None:
        self.event = event

    def record(self, stream: Any) -> None:
        """See ``runtime.device.Event``."""
        with _translated():
            stream.stream.record(self.event)

    def synchronize(self) -> None:
        """See ``runtime.device.Event``."""
        with _translated():
            self.event.sync()


class CudaCoreGraph:
    """See ``runtime.device.Graph``."""

    def __init__(self, graph: Any) -> None:
        self._graph = graph

    def launch(self, stream: Any) -> None:
        """See ``runtime.device.Graph``."""
        with _translated():
            self._graph.launch(stream.stream)


class CudaCoreKernel:
    """See ``runtime.device.Kernel``."""

    def __init__(self, kernel: Any) -> None:
        self._kernel = kernel

    def launch(
        self,
        grid: tuple[int, int, int],
        block: tuple[int, int, int],
        arguments: Sequence[Any],
        stream: Any,
        shared_bytes: int = 0,
    ) -> None:
        """See ``runtime.device.Kernel``."""
        with _translated():
            config = cuda.core.LaunchConfig(grid=grid, block=block, shmem_size=shared_bytes)
            cuda.core.launch(stream.stream, config, self._kernel, *arguments)


class CudaCoreDevice:
    """See ``runtime.device.Device``: the first visible GPU, in its primary context.

    Raises:
        InferenceError: the driver fails.
    """

    graphs = True

    def __init__(self) -> None:
        with _translated():
            device = cuda.core.Device(0)
            device.set_current()
            self.name = str(device.name)
            self.compute_capability = (int(device.compute_capability.major), int(device.compute_capability.minor))

    def activate(self) -> None:
        """See ``runtime.device.Device``."""
        with _translated():
            self._device().set_current()

    def memory(self, nbytes: int) -> CudaCoreMemory:
        """See ``runtime.device.Device``."""
        return CudaCoreMemory(nbytes)

    def pinned(self, nbytes: int) -> NDArray[np.uint8]:
        """See ``runtime.device.Device``."""
        pointer = int(_done(driver.cuMemHostAlloc(max(nbytes, 1), driver.CU_MEMHOSTALLOC_PORTABLE)))
        return host_array(pointer, nbytes, functools.partial(self._free_pinned, pointer))

    def stream(self) -> CudaCoreStream:
        """See ``runtime.device.Device``."""
        with _translated():
            return CudaCoreStream(self._device().create_stream(options=cuda.core.StreamOptions(nonblocking=True)))

    def event(self) -> CudaCoreEvent:
        """See ``runtime.device.Device``; who waits for it sleeps, and leaves the core to the decoders."""
        with _translated():
            options = cuda.core.EventOptions(timing_enabled=False, blocking_sync=True)
            return CudaCoreEvent(self._device().create_event(options=options))

    def upload(self, target: int, source: NDArray[Any], stream: Any) -> None:
        """See ``runtime.device.Device``."""
        assert source.flags.c_contiguous
        _done(driver.cuMemcpyHtoDAsync(target, source.ctypes.data, source.nbytes, stream.handle))

    def download(self, target: NDArray[Any], source: int, stream: Any) -> None:
        """See ``runtime.device.Device``."""
        assert target.flags.c_contiguous
        _done(driver.cuMemcpyDtoHAsync(target.ctypes.data, source, target.nbytes, stream.handle))

    def wait(self, stream: Any, event: Any) -> None:
        """See ``runtime.device.Device``."""
        with _translated():
            stream.stream.wait(event.event)

    def kernel(self, image: bytes, name: str) -> CudaCoreKernel:
        """See ``runtime.device.Device``."""
        with _translated():
            return CudaCoreKernel(_code(image).get_kernel(name))

    def capture(self, stream: Any, work: Callable[[], None]) -> CudaCoreGraph:
        """See ``runtime.device.Device``."""
        with _translated():
            builder = stream.stream.create_graph_builder().begin_building(mode="thread_local")
        try:
            work()
        finally:
            with _translated():
                builder.end_building()
        with _translated():
            return CudaCoreGraph(builder.complete())

    def _device(self) -> Any:
        return cuda.core.Device(0)  # one object a thread: cuda.core keeps it

    def _free_pinned(self, pointer: int) -> None:
        self.activate()  # the array may die in any thread
        _done(driver.cuMemFreeHost(pointer))


def _free(pointer: int) -> tuple[Any, ...]:
    """Also for memory that nobody freed, which may die in any thread; what the driver says."""
    cuda.core.Device(0).set_current()
    result: tuple[Any, ...] = driver.cuMemFree(pointer)
    return result


@functools.lru_cache(maxsize=16)
def _code(image: bytes) -> Any:
    """A loaded cubin, fatbin or PTX, told apart by its first bytes."""
    if image.startswith(ELF_MAGIC):
        return cuda.core.ObjectCode.from_cubin(image)
    if image.startswith(FATBIN_MAGIC):
        return cuda.core.ObjectCode.from_fatbin(image)
    return cuda.core.ObjectCode.from_ptx(image)


def _done(result: tuple[Any, ...]) -> Any:
    """The value of a driver's call.

    Raises:
        InferenceError: the driver reports an error.
    """
    status, *values = result
    if status != driver.CUresult.CUDA_SUCCESS:
        raise InferenceError(f"the GPU's driver: {status.name}")
    return values[0] if values else None


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except InferenceError:
        raise
    except Exception as error:  # cuda.core raises CUDAError, RuntimeError, ValueError and more
        raise InferenceError(f"the GPU's driver: {type(error).__name__}: {error}") from error
