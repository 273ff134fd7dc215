"""An engine: a file that turns a batch of pictures into scores. The suffix names what runs it."""

from collections.abc import Iterable, Mapping
from concurrent.futures import Executor
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from runtime.device import Device
from runtime.errors import ConfigError, EngineError
from runtime.manifest import Manifest
from runtime.slots import Slot, Slots, output_shape

Provider = Literal["cpu", "cuda", "tensorrt"]
Arrays = Mapping[str, NDArray[Any]]


class Engine(Protocol):
    """What the pipeline asks of an engine."""

    manifest: Manifest

    def infer(self, inputs: Arrays) -> dict[str, NDArray[Any]]:
        """Judge a batch.

        Args:
            inputs: per input name, an array (batch, ...) as the manifest says.

        Returns:
            Per output name an array (batch, ...) that belongs to the caller.

        Raises:
            InferenceError: the device failed.
        """
        ...

    def close(self) -> None:
        """Give the device's memory back."""
        ...


@runtime_checkable
class DeviceEngine(Engine, Protocol):
    """An engine whose batches live in a GPU's memory."""

    device: Device
    slots: Slots

    def infer_slot(self, slot: Slot, size: int) -> dict[str, NDArray[Any]]:
        """Judge what is in a slot.

        Args:
            slot: its ``inputs`` hold ``size`` samples, or will by what is queued in its stream.
            size: at most the slots' ``max_batch``.

        Returns:
            Per output name an array (size, ...) that belongs to the caller; the slot's stream is then empty.

        Raises:
            InferenceError: the device failed.
        """
        ...


def open_engine(
    path: Path, *, provider: Provider, workers: Executor, threads: int, max_batch: int = 32, in_flight: int = 3
) -> Engine:
    """Open an engine by its suffix and check it against its manifest.

    Args:
        path: ``.onnx`` for ONNX Runtime, ``.plan`` or ``.engine`` for TensorRT.
        provider: what ONNX Runtime must run on; there is no silent fallback.
        workers: where an engine on the CPU spreads a batch.
        threads: how many of ``workers`` there are.
        max_batch: the most samples in a batch; an engine on a GPU takes memory for them.
        in_flight: how many batches an engine on a GPU has memory for at once.

    Raises:
        EngineError: the file is missing, broken, of an unknown kind, does not fit its manifest, or what it needs
            is not there.
        ConfigError: no GPU, or nothing installed that drives it.
    """
    if not path.is_file():
        raise EngineError(f"--engine {path}: no such file")
    if path.suffix in {".plan", ".engine"}:
        from runtime.engine_tensorrt import open_tensorrt_engine  # noqa: PLC0415 - imported when it is needed

        return open_tensorrt_engine(path, max_batch=max_batch, in_flight=in_flight)
    if path.suffix != ".onnx":
        raise EngineError(
            f"--engine {path}: unknown kind {path.suffix!r}; an engine is an .onnx file, or TensorRT's .plan or .engine"
        )
    if provider == "cpu":
        from runtime.engine_onnx import OnnxEngine  # noqa: PLC0415 - likewise

        return OnnxEngine(path, workers=workers, threads=threads)
    from runtime.engine_onnx_cuda import open_onnx_cuda_engine  # noqa: PLC0415 - likewise

    return open_onnx_cuda_engine(path, provider=provider, max_batch=max_batch, in_flight=in_flight)


def require_distinct_heads(engines: Iterable[tuple[Path, Engine]]) -> None:
    """Two engines with the same head would contradict each other.

    Raises:
        ConfigError: they do; the text names both.
    """
    owners: dict[str, Path] = {}
    for path, engine in engines:
        for head in engine.manifest.heads:
            if head.kind in owners:
                raise ConfigError(
                    f"--engine: {owners[head.kind]} and {path} both have a head {head.kind!r}; give one of them"
                )
            owners[head.kind] = path


def warm_up(engine: Engine, batch: int) -> None:
    """Run a grey batch of 1 and one of ``batch``, so that the first frame does not pay for the start.

    Raises:
        InferenceError: the device cannot run it.
        EngineError: an output is not what the manifest says.
    """
    for size in {1, batch}:
        inputs = {spec.name: np.full((size, *spec.shape), 114, spec.dtype) for spec in engine.manifest.inputs}
        outputs = engine.infer(inputs)
        for head in engine.manifest.heads:
            expected = (size, *output_shape(head))
            if outputs[head.output].shape != expected:
                raise EngineError(
                    f"{engine.manifest.name}: output {head.output!r} has shape {outputs[head.output].shape} for a "
                    f"batch of {size}; a {head.kind} head has {expected}"
                )
