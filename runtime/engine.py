"""An engine: a file that turns a batch of pictures into scores. The suffix names what runs it."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from runtime.device import Device
from runtime.errors import ConfigError, EngineError, InferenceError
from runtime.manifest import Manifest, head_shape
from runtime.slots import Slot, Slots

Provider = Literal["cpu", "cuda", "tensorrt"]
Arrays = Mapping[str, NDArray[Any]]

_OUT_OF_MEMORY = re.compile(r"out.?of.?memory|failed to allocate memory|smaller than requested", re.IGNORECASE)
"""In the drivers' words, TensorRT's and ONNX Runtime's: neither has an error of its own for it."""


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
    _require_file(path)
    with within_memory(path, max_batch, in_flight):
        return _open_engine(path, provider, workers, threads, max_batch, in_flight)


def peek_manifest(path: Path) -> Manifest:
    """An engine's manifest, without opening the engine.

    Raises:
        EngineError: the file or its manifest is missing, broken or of an unknown kind.
    """
    _require_file(path)
    if path.suffix in {".plan", ".engine"}:
        from runtime.plan_file import PlanFile  # noqa: PLC0415 - imported when it is needed

        return PlanFile.read(path).manifest
    if path.suffix != ".onnx":
        raise _unknown_kind(path)
    from runtime.engine_onnx import open_session, read_manifest  # noqa: PLC0415 - likewise

    return read_manifest(open_session(path, "cpu", optimise=False), path)


def _require_file(path: Path) -> None:
    if path.is_dir():
        raise EngineError(f"--engine {path}: a folder; give the .onnx, .plan or .engine file in it")
    if not path.is_file():
        raise EngineError(f"--engine {path}: no such file")


def _unknown_kind(path: Path) -> EngineError:
    return EngineError(
        f"--engine {path}: unknown kind {path.suffix!r}; an engine is an .onnx file, or TensorRT's .plan or .engine"
    )


@contextmanager
def within_memory(path: Path, max_batch: int, in_flight: int) -> Iterator[None]:
    """What opens or first runs an engine; the device's memory not being enough is the operator's to change.

    Raises:
        EngineError: there is not enough; the text names the engine and what takes less.
    """
    try:
        yield
    except (EngineError, InferenceError) as error:
        if not _OUT_OF_MEMORY.search(str(error)):
            raise
        raise EngineError(
            f"--engine {path}: the GPU's memory does not hold it with --max-batch {max_batch} and --in-flight "
            f"{in_flight}; choose less of either, or stop what else runs there (nvidia-smi). The library says: {error}"
        ) from error


def _open_engine(
    path: Path, provider: Provider, workers: Executor, threads: int, max_batch: int, in_flight: int
) -> Engine:
    if path.suffix in {".plan", ".engine"}:
        from runtime.engine_tensorrt import open_tensorrt_engine  # noqa: PLC0415 - imported when it is needed

        return open_tensorrt_engine(path, max_batch=max_batch, in_flight=in_flight)
    if path.suffix != ".onnx":
        raise _unknown_kind(path)
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


def batch_sizes(least: int, most: int, *, by_shape: bool) -> Sequence[int]:
    """The batch sizes that are run: powers of two and ``most`` where each shape has its price, else all."""
    if not by_shape:
        return range(least, most + 1)
    powers = [1 << exponent for exponent in range(most.bit_length())]
    return sorted({least, most, *(power for power in powers if least < power < most)})


def padded(size: int, sizes: Sequence[int]) -> int:
    """The smallest of the batch sizes that holds ``size`` samples; what lies behind them is judged in vain."""
    return next(each for each in sizes if each >= size)


def warm_up(engine: Engine, batch: int) -> None:
    """Run grey batches, so that no live frame pays for a first time.

    On the CPU one of 1 and one of ``batch``; on a device each of ``batch_sizes``, in each slot.

    Raises:
        InferenceError: the device cannot run it.
        EngineError: an output is not what the manifest says.
    """
    sizes: Sequence[int] = sorted({1, batch})
    if isinstance(engine, DeviceEngine):  # its slots are taken in turn
        sizes = [size for size in batch_sizes(1, batch, by_shape=True) for _ in engine.slots.all]
    for size in sizes:
        inputs = {spec.name: np.full((size, *spec.shape), 114, spec.dtype) for spec in engine.manifest.inputs}
        outputs = engine.infer(inputs)
        for head in engine.manifest.heads:
            expected = (size, *head_shape(head))
            if outputs[head.output].shape != expected:
                raise EngineError(
                    f"{engine.manifest.name}: output {head.output!r} has shape {outputs[head.output].shape} for a "
                    f"batch of {size}; a {head.kind} head has {expected}"
                )
