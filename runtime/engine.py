"""An engine: a file that turns a batch of pictures into scores. The suffix names what runs it."""

from collections.abc import Iterable, Mapping
from concurrent.futures import Executor
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from runtime.errors import ConfigError, EngineError
from runtime.manifest import Manifest

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


def open_engine(path: Path, *, provider: Provider, workers: Executor, threads: int) -> Engine:
    """Open an engine by its suffix and check it against its manifest.

    Args:
        path: ``.onnx`` for ONNX Runtime.
        provider: what ONNX Runtime must run on; there is no silent fallback.
        workers: where an engine on the CPU spreads a batch.
        threads: how many of ``workers`` there are.

    Raises:
        EngineError: the file is missing, broken, of an unknown kind, or does not fit its manifest.
    """
    if not path.is_file():
        raise EngineError(f"--engine {path}: no such file")
    if path.suffix == ".onnx":
        from runtime.engine_onnx import OnnxEngine  # noqa: PLC0415 - imported when it is needed

        return OnnxEngine(path, provider=provider, workers=workers, threads=threads)
    raise EngineError(f"--engine {path}: unknown kind {path.suffix!r}; an engine is an .onnx file")


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
            expected = (size,) if head.kind == "utility" else (size, 5)
            if outputs[head.output].shape != expected:
                raise EngineError(
                    f"{engine.manifest.name}: output {head.output!r} has shape {outputs[head.output].shape} for a "
                    f"batch of {size}; a {head.kind} head has {expected}"
                )
