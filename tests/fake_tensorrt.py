"""The few classes of ``tensorrt`` that our engine calls, over a ``FakeDevice``: a plan here is an ONNX file within.

It is as strict as the library: a context needs its memory, a first run is no part of a graph, a graph is void once
its context has changed, and a batch outside the profile is refused. ``tests/export/test_tensorrt_api.py`` holds its
names to those of the real bindings.
"""

import enum
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from runtime.errors import InferenceError
from runtime.manifest import Input, Manifest, Plan
from tests.engines import PIXELS, Fault, Kind, fitting_manifest, make_engine
from tests.fake_device import FakeDevice

MAGIC = b"fake"
VERSION = "10.16.1.11"
SCRATCH = 1 << 10

Batches = tuple[int, int, int]


class Severity(enum.Enum):
    INTERNAL_ERROR = 0
    ERROR = 1
    WARNING = 2
    INFO = 3


class ILogger:
    Severity: type[enum.Enum] = Severity

    def log(self, severity: Any, message: str) -> None:
        raise NotImplementedError


class DataType(enum.Enum):
    FLOAT = "tensor(float)"
    HALF = "tensor(float16)"
    UINT8 = "tensor(uint8)"
    INT64 = "tensor(int64)"


class TensorIOMode(enum.Enum):
    NONE = 0
    INPUT = 1
    OUTPUT = 2


class ExecutionContextAllocationStrategy(enum.Enum):
    STATIC = 0
    ON_PROFILE_CHANGE = 1
    USER_MANAGED = 2


class IExecutionContext:
    """Addresses, shapes and memory, and a run of them in a stream."""

    def __init__(self, engine: "ICudaEngine", strategy: ExecutionContextAllocationStrategy) -> None:
        self._engine = engine
        self._scratch: tuple[int, int] | None = None
        if strategy is not ExecutionContextAllocationStrategy.USER_MANAGED:
            self._scratch = (0, 0)
        self._addresses: dict[str, int] = {}
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._changes = 0
        self._ran = -1

    def set_device_memory(self, memory: int, size: int) -> None:
        assert memory % 256 == 0
        assert size >= self._engine.device_memory_size_v2
        self._scratch = (memory, size)

    def set_tensor_address(self, name: str, memory: int) -> bool:
        self._addresses[name] = memory
        self._changes += 1
        return name in self._engine.tensors

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        least, _, most = self._engine.get_tensor_profile_shape(name, 0)
        if not least[0] <= shape[0] <= most[0]:
            self._engine.complain(f"setInputShape: {shape[0]} is not within the profile {least[0]}..{most[0]}")
            return False
        self._shapes[name] = shape
        self._changes += 1
        return True

    def execute_async_v3(self, stream_handle: int) -> bool:
        missing = set(self._engine.tensors) - set(self._addresses) | set(self._engine.inputs) - set(self._shapes)
        if missing or self._scratch is None:
            self._engine.complain(f"enqueueV3: no address, shape or memory: {sorted(missing)}")
            return False
        stream, changes, shapes = self._engine.device.streams[stream_handle], self._changes, dict(self._shapes)
        if stream.capturing and self._ran != changes:
            self._engine.complain("enqueueV3: the first run after a change cannot be captured")
            return False
        self._ran = changes

        def run() -> None:
            if changes != self._changes:
                raise InferenceError("CUDA_ERROR_ILLEGAL_ADDRESS: a graph of a context that has changed")
            assert self._scratch is not None
            self._engine.device.bytes_at(*self._scratch)
            self._engine.run(shapes, self._addresses)

        stream.queue(run)
        return True


class ICudaEngine:
    """A plan with its tensors; ``run`` is the device's part."""

    device_memory_size_v2 = SCRATCH

    def __init__(self, device: FakeDevice, onnx: bytes, batches: Batches, logger: ILogger) -> None:
        self.device = device
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 4
        self._session = ort.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])
        self._batches = batches
        self._logger = logger
        self.inputs: dict[str, Any] = {tensor.name: tensor for tensor in self._session.get_inputs()}
        self.outputs: dict[str, Any] = {tensor.name: tensor for tensor in self._session.get_outputs()}
        self.tensors = {**self.inputs, **self.outputs}

    @property
    def num_io_tensors(self) -> int:
        return len(self.tensors)

    def get_tensor_name(self, index: int) -> str:
        return sorted(self.tensors)[index]

    def get_tensor_mode(self, name: str) -> TensorIOMode:
        return TensorIOMode.INPUT if name in self.inputs else TensorIOMode.OUTPUT

    def get_tensor_dtype(self, name: str) -> DataType:
        return DataType(self.tensors[name].type)

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return (-1, *self._sample(name))

    def get_tensor_profile_shape(self, name: str, profile_index: int) -> list[tuple[int, ...]]:
        assert profile_index == 0
        return [(batch, *self._sample(name)) for batch in self._batches]

    def create_execution_context(
        self, strategy: ExecutionContextAllocationStrategy = ExecutionContextAllocationStrategy.STATIC
    ) -> IExecutionContext:
        return IExecutionContext(self, strategy)

    def complain(self, message: str) -> None:
        self._logger.log(Severity.ERROR, message)

    def run(self, shapes: dict[str, tuple[int, ...]], addresses: dict[str, int]) -> None:
        feeds = {}
        for name, shape in shapes.items():
            dtype = _numpy(self.tensors[name].type)
            nbytes = int(np.prod(shape)) * dtype.itemsize
            feeds[name] = self.device.bytes_at(addresses[name], nbytes).view(dtype).reshape(shape)
        try:
            answers: Sequence[NDArray[Any]] = self._session.run(list(self.outputs), feeds)
        except Exception as error:  # ONNX Runtime raises its own classes
            raise InferenceError(f"CUDA_ERROR_LAUNCH_FAILED: {error}") from error
        for name, answer in zip(self.outputs, answers, strict=True):
            self.device.bytes_at(addresses[name], answer.nbytes)[:] = (
                np.ascontiguousarray(answer).reshape(-1).view("u1")
            )

    def _sample(self, name: str) -> tuple[int, ...]:
        """Without the batch; the graphs of ``tests.engines`` leave their outputs' shapes open."""
        if name in self.inputs:
            return tuple(self.inputs[name].shape[1:])
        feeds = {key: np.zeros((1, *tensor.shape[1:]), _numpy(tensor.type)) for key, tensor in self.inputs.items()}
        [answer] = self._session.run([name], feeds)
        return tuple(answer.shape[1:])


def fake_tensorrt(device: FakeDevice, version: str = VERSION) -> ModuleType:
    """The module, as ``import tensorrt`` would give it on a machine with this device."""

    class Runtime:
        engine_host_code_allowed = False

        def __init__(self, logger: ILogger) -> None:
            self._logger = logger

        def deserialize_cuda_engine(self, serialized_engine: bytes) -> ICudaEngine | None:
            if not serialized_engine.startswith(MAGIC):
                self._logger.log(Severity.INFO, "Loaded engine size: 0 MiB")
                self._logger.log(Severity.ERROR, "IRuntime::deserializeCudaEngine: magicTag == kMAGIC_TAG\n failed")
                return None
            head, _, onnx = serialized_engine[len(MAGIC) :].partition(b"\n")
            least, best, most = json.loads(head)
            return ICudaEngine(device, onnx, (least, best, most), self._logger)

    module = ModuleType("tensorrt")
    module.__dict__.update(
        __version__=version,
        ILogger=ILogger,
        Runtime=Runtime,
        DataType=DataType,
        TensorIOMode=TensorIOMode,
        ExecutionContextAllocationStrategy=ExecutionContextAllocationStrategy,
    )
    return module


def make_plan(
    path: Path,
    *kinds: Kind,
    spec: Input = PIXELS,
    fault: Fault = "",
    batches: Batches = (1, 4, 8),
    manifest: Manifest | None = None,
    content: bytes | None = None,
    **plan: Any,
) -> Path:
    """Write NAME.plan for the fake library, and NAME.json beside it.

    Args:
        path: where.
        kinds: its heads; utility alone where none is named.
        spec: what it takes.
        fault: as in ``make_engine``.
        batches: the least, best and largest.
        manifest: another one, still without ``plan``.
        content: another file, which the manifest's SHA-256 fits.
        plan: replaces fields of the manifest's ``plan``.
    """
    onnx = make_engine(path.with_suffix(".onnx"), *kinds, spec=spec, fault=fault)
    said = manifest or fitting_manifest(path.stem, kinds or ("utility",), spec)
    return plan_of(onnx, path, said, batches=batches, content=content, **plan)


def plan_of(
    onnx: Path, path: Path, said: Manifest, *, batches: Batches = (1, 4, 8), content: bytes | None = None, **plan: Any
) -> Path:
    """As ``make_plan``, of an ONNX file that is there, with the manifest ``said``."""
    if content is None:
        content = MAGIC + json.dumps(batches).encode() + b"\n" + onnx.read_bytes()
    fields: dict[str, Any] = {
        "runtime": "tensorrt",
        "version": VERSION,
        "gpu": "Fake GPU",
        "compute_capability": "9.0",
        "min_batch": batches[0],
        "opt_batch": batches[1],
        "max_batch": batches[2],
        "sha256": hashlib.sha256(content).hexdigest(),
        "onnx_sha256": hashlib.sha256(onnx.read_bytes()).hexdigest(),
    }
    said = said.model_copy(update={"plan": Plan(**{**fields, **plan})})
    path.write_bytes(content)
    path.with_suffix(".json").write_text(said.model_dump_json())
    return path


def _numpy(onnx_type: str) -> np.dtype[Any]:
    return np.dtype({"tensor(float)": "f4", "tensor(float16)": "f2", "tensor(uint8)": "u1"}[onnx_type])
