"""TensorRT plans behind the engine interface: TensorRT 10.16, TensorRT 11 and TensorRT-RTX alike."""

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from runtime.device import Device, Memory, free_all
from runtime.engine import Arrays, batch_sizes, padded
from runtime.errors import EngineError, InferenceError
from runtime.manifest import Manifest, head_shape
from runtime.open_device import open_device
from runtime.plan_file import PlanFile
from runtime.slots import Slot, Slots
from runtime.tensorrt_library import complaints, library_logger, load_library

PROFILE = 0
"""Plans have one optimisation profile."""
DTYPES = {"uint8": "UINT8", "float32": "FLOAT", "float16": "HALF"}
"""The library's names for the manifest's."""


class TensorrtEngine:
    """A plan with execution contexts for each slot, so that batches run side by side.

    Where the device captures graphs, each slot has a context and a graph for each of the batch sizes 1, 2, 4, ...,
    ``max_batch``: a batch is padded up to the next one and starts with one call. A captured graph holds addresses, so
    its context serves it alone; the contexts of a slot never run at once and share their scratch memory.

    TensorRT-RTX has the same batch sizes and no graphs: it compiles kernels for the shapes that come, in the
    background, and a graph would keep the provisional ones.

    Args:
        file: read and checked.
        device: the GPU; this thread must have activated it.
        max_batch: the most samples in a batch.
        in_flight: how many slots.

    Raises:
        EngineError: the library is missing, or cannot load the plan, or the plan is not what its manifest says.
        InferenceError: the device fails.
    """

    def __init__(self, file: PlanFile, device: Device, *, max_batch: int, in_flight: int) -> None:
        self.manifest = file.manifest
        self.device = device
        self._path = file.path
        self._trt = load_library(file.plan.runtime)
        self._logger = library_logger(self._trt)
        self._runtime, self._engine = deserialize(self._trt, file)
        check_tensors(self._trt, self._engine, file)
        room = max(max_batch, file.plan.min_batch)
        self.slots = Slots(device, self.manifest, room, in_flight)
        self._scratch: list[Memory] = []
        self._contexts: list[_Context] = []
        self._launches: list[dict[int, Callable[[], None]]] = []
        captures = device.graphs and file.plan.runtime == "tensorrt"
        by_shape = captures or file.plan.runtime == "tensorrt-rtx"
        self._sizes = batch_sizes(file.plan.min_batch, room, by_shape=by_shape)
        prepare = self._capture if captures else self._plain
        try:
            for slot in self.slots.all:
                self._scratch.append(device.memory(self._engine.device_memory_size_v2))
                self._launches.append(prepare(slot))
        except BaseException:
            self.close()
            raise

    def infer(self, inputs: Arrays) -> dict[str, NDArray[Any]]:
        """See ``Engine``."""
        with self.slots.take() as slot:
            return self.infer_slot(slot, self.slots.upload(slot, inputs))

    def infer_slot(self, slot: Slot, size: int) -> dict[str, NDArray[Any]]:
        """See ``DeviceEngine``; what lies behind the ``size`` samples is judged too, and its scores left behind."""
        self._launches[slot.index][padded(size, self._sizes)]()
        return self.slots.download(slot, size)

    def close(self) -> None:
        """See ``Engine``."""
        with suppress(InferenceError):  # free_all tells of it
            self.device.activate()
        self._launches.clear()
        self._contexts.clear()
        del self._engine, self._runtime  # in this order: an engine needs its runtime
        free_all(self.device, self._scratch)
        self.slots.close()

    def _plain(self, slot: Slot) -> dict[int, Callable[[], None]]:
        context = self._context(slot)
        return {size: partial(context.enqueue, size) for size in self._sizes}

    def _capture(self, slot: Slot) -> dict[int, Callable[[], None]]:
        launches: dict[int, Callable[[], None]] = {}
        for size in self._sizes:
            context = self._context(slot)
            context.enqueue(size)  # the first run sets things up that must not be part of a graph
            graph = self.device.capture(slot.stream, partial(context.enqueue, size))
            launches[size] = partial(graph.launch, slot.stream)
        return launches

    def _context(self, slot: Slot) -> "_Context":
        strategy = self._trt.ExecutionContextAllocationStrategy.USER_MANAGED
        made = self._engine.create_execution_context(strategy)
        if made is None:
            raise InferenceError(self._failure("make an execution context"))
        context = _Context(made, self.manifest, slot, self._scratch[slot.index], self._failure)
        self._contexts.append(context)  # a graph does not keep it alive
        return context

    def _failure(self, action: str) -> str:
        return f"{self._path}: {self._trt.__name__} {self._trt.__version__} cannot {action}: {complaints(self._logger)}"


class _Context:
    """One of the plan's execution contexts, bound to a slot's memory."""

    def __init__(
        self, context: Any, manifest: Manifest, slot: Slot, scratch: Memory, failure: Callable[[str], str]
    ) -> None:
        self._context = context
        self._inputs = manifest.inputs
        self._stream = slot.stream
        self._failure = failure
        self._size = 0
        context.set_device_memory(scratch.pointer, scratch.nbytes)
        for name, memory in (*slot.inputs.items(), *slot.outputs.items()):
            if not context.set_tensor_address(name, memory.pointer):
                raise InferenceError(failure(f"take an address for {name!r}"))

    def enqueue(self, size: int) -> None:
        """Queue the inference of the slot's first ``size`` samples."""
        if size != self._size:
            self._set_size(size)
        if not self._context.execute_async_v3(self._stream.handle):
            raise InferenceError(self._failure(f"run a batch of {size}"))

    def _set_size(self, size: int) -> None:
        for spec in self._inputs:
            if not self._context.set_input_shape(spec.name, (size, *spec.shape)):
                raise InferenceError(self._failure(f"take a batch of {size}"))
        self._size = size


def open_tensorrt_engine(
    path: Path, *, max_batch: int, in_flight: int, find_device: Callable[[], Device] = open_device
) -> TensorrtEngine:
    """Open a plan; whatever can be known to be wrong with it is known before the library or the device sees it.

    Raises:
        EngineError: the plan or its manifest is missing, broken, or of another library, version or GPU; or takes
            smaller batches only; or the library is missing.
        ConfigError: no GPU, or nothing installed that drives it.
        InferenceError: the device fails.
    """
    file = PlanFile.read(path)
    file.require_batch(max_batch)
    try:
        library = load_library(file.plan.runtime)
    except EngineError as error:
        raise EngineError(f"--engine {path}: {error}") from error
    file.require_version(library.__version__)
    device = find_device()
    file.require_device(device)
    return TensorrtEngine(file, device, max_batch=max_batch, in_flight=in_flight)


def deserialize(trt: Any, file: PlanFile) -> tuple[Any, Any]:
    """The runtime, which must outlive the engine, and the engine.

    Raises:
        EngineError: the library refuses; the text has what it says.
    """
    logger = library_logger(trt)
    logger.errors.clear()
    here = f"--engine {file.path}: {trt.__name__} {trt.__version__}"
    try:
        runtime = trt.Runtime(logger)
    except TypeError as error:  # the binding's way to say that the library gave it nothing
        raise EngineError(
            f"{here} cannot start: {complaints(logger)}. It needs the NVIDIA driver of its CUDA version"
        ) from error
    if file.plan.version_compatible:
        runtime.engine_host_code_allowed = True  # such a plan brings the runtime of its own version
    engine = runtime.deserialize_cuda_engine(file.content)
    if engine is None:
        raise EngineError(
            f"{here} cannot load it: {complaints(logger)}. It is no plan of this library, version and GPU: "
            f"{file.rebuild}"
        )
    return runtime, engine


def check_tensors(trt: Any, engine: Any, file: PlanFile) -> None:
    """Hold the manifest to what the plan takes and gives.

    Raises:
        EngineError: they differ; the text has both.
    """
    names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
    inputs = {name for name in names if engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT}
    specs, heads = file.manifest.inputs, file.manifest.heads
    _require(file, "inputs", sorted(inputs), sorted(spec.name for spec in specs))
    _require(file, "outputs", sorted(set(names) - inputs), sorted(head.output for head in heads))
    said: dict[str, tuple[str, tuple[int, ...]]] = {spec.name: (spec.dtype, spec.shape) for spec in specs}
    said |= {head.output: ("float32", head_shape(head)) for head in heads}
    for name, (dtype, shape) in said.items():
        has = (engine.get_tensor_dtype(name).name, *engine.get_tensor_shape(name))
        _require(file, f"tensor {name!r}", has, (DTYPES[dtype], -1, *shape))
    plan = file.plan
    for spec in specs:
        batches = [shape[0] for shape in engine.get_tensor_profile_shape(spec.name, PROFILE)]
        _require(file, f"batches of {spec.name!r}", batches, [plan.min_batch, plan.opt_batch, plan.max_batch])


def _require(file: PlanFile, what: str, has: object, said: object) -> None:
    if has != said:
        raise EngineError(
            f"--engine {file.path}: its {what}: {has}, but its manifest {file.path.with_suffix('.json').name} says "
            f"{said}. Copy the plan's own manifest, or {file.rebuild}"
        )
