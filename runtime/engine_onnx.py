"""ONNX Runtime on the CPU behind the engine interface, and what its other providers share."""

import threading
from collections.abc import Mapping
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from runtime.engine import Arrays, Provider
from runtime.errors import EngineError, InferenceError
from runtime.manifest import METADATA_KEY, Manifest, Precision, parse_manifest

PROVIDERS: dict[Provider, str] = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
}
NO_FALLBACK = "session.disable_cpu_ep_fallback"
"""ONNX Runtime gives nodes that its provider does not take to the CPU, unless it is told not to."""
TENSOR_TYPES = {"uint8": "tensor(uint8)", "float32": "tensor(float)", "float16": "tensor(float16)"}

RUN_FRAMES: dict[Precision, int] = {"fp32": 2, "fp16": 2, "int8": 1}
"""Frames in one run on the CPU: larger batches are not faster there (their activations leave the cache), and
small ones spread evenly over the workers. Measured by ``python -m benchmarks engine`` and ``precision``."""


class OnnxEngine:
    """One session on the CPU, run from many threads, each run on one core, as many at once as there are cores.

    A session with threads of its own spins while it waits and fights decoding for the cores; sessions that
    run inline in our workers leave nothing idle and nothing spinning. More runs at once than cores would only
    add their activations to the memory.

    Raises:
        EngineError: not an ONNX file, no manifest, or inputs or outputs that differ from it.
    """

    def __init__(self, path: Path, *, workers: Executor, threads: int) -> None:
        self._path = path
        self._session = open_session(path, "cpu")
        self.manifest = read_manifest(self._session, path)
        check_signature(self._session, self.manifest, path)
        self._outputs = [head.output for head in self.manifest.heads]
        self._run_frames = RUN_FRAMES[self.manifest.precision]
        self._workers = workers
        self._threads = threads
        self._cores = threading.BoundedSemaphore(threads)

    def infer(self, inputs: Arrays) -> dict[str, NDArray[Any]]:
        """See ``Engine``."""
        size = len(next(iter(inputs.values())))
        step = min(self._run_frames, -(-size // self._threads))  # a small batch is spread too: that halves its latency
        chunks = [
            {name: array[start : start + step] for name, array in inputs.items()} for start in range(0, size, step)
        ]
        spread = self._workers.map if len(chunks) > 1 else map  # a single run need not change threads
        parts = list(spread(self._run, chunks))
        return {name: np.concatenate([part[index] for part in parts]) for index, name in enumerate(self._outputs)}

    def close(self) -> None:
        """See ``Engine``."""
        del self._session

    def _run(self, inputs: Arrays) -> list[NDArray[Any]]:
        try:
            with self._cores:
                outputs: list[NDArray[Any]] = self._session.run(self._outputs, dict(inputs))
        except Exception as error:  # ONNX Runtime raises its own classes, RuntimeError and more
            raise InferenceError(f"{self._path}: {type(error).__name__}: {error}") from error
        return outputs


def require_provider(provider: Provider) -> str:
    """The name that ONNX Runtime has for a provider.

    Raises:
        EngineError: this installation lacks it; the text says what it has.
    """
    wanted, available = PROVIDERS[provider], ort.get_available_providers()
    if wanted not in available:
        raise EngineError(
            f"--provider {provider} needs ONNX Runtime's {wanted}; this installation has {', '.join(available)}. "
            "Install the extra that brings it (docs/gpu.md), or choose another provider"
        )
    return wanted


def preload_libraries(provider: Provider) -> None:
    """Load the CUDA libraries that a GPU provider needs from the packages that pip installed.

    Raises:
        EngineError: this installation lacks the provider.
    """
    require_provider(provider)
    ort.preload_dlls()


def open_session(
    path: Path, provider: Provider, provider_options: Mapping[str, str] | None = None, *, optimise: bool = True
) -> ort.InferenceSession:
    """Open an ONNX file on one provider, with all of its nodes, and on no other.

    Args:
        path: the file.
        provider: where it runs.
        provider_options: as ONNX Runtime documents them.
        optimise: False opens it sooner, to be read and not to be run.

    Raises:
        EngineError: no ONNX file, or the provider is not there or refuses it.
    """
    wanted = require_provider(provider)
    options = ort.SessionOptions()
    if provider != "cpu":
        options.add_session_config_entry(NO_FALLBACK, "1")
    if not optimise:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.add_session_config_entry("session.disable_prepacking", "1")
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    try:
        session = ort.InferenceSession(
            str(path),
            options,
            providers=[(wanted, dict(provider_options or {}))],
            enable_fallback=0,  # else it prints the error to standard output and goes on with the CPU
        )
    except Exception as error:  # as above: no common base class
        raise EngineError(_refusal(path, provider, str(error))) from error
    if session.get_providers()[0] != wanted:
        raise EngineError(
            f"--provider {provider}: ONNX Runtime fell back to {session.get_providers()}; its log above says why"
        )
    return session


def _refusal(path: Path, provider: Provider, said: str) -> str:
    here = f"--engine {path}: ONNX Runtime {ort.__version__}"
    if provider == "cpu":
        return f"{here} cannot open it: {said}. Copy the file again, or export it anew (docs/engines.md)"
    if "fallback to CPU EP" in said:
        return (
            f"{here} would run some or all of it on the CPU beside --provider {provider}. Where lines above say that "
            "the provider could not be loaded, install what it misses (docs/gpu.md); else it does not take all of "
            "the graph's nodes: export it with shapes that are fixed but for the batch, or choose another --provider"
        )
    return (
        f"{here} cannot open it with --provider {provider}: {said}. docs/gpu.md says what the provider needs; "
        "--provider cpu does without"
    )


def read_manifest(session: ort.InferenceSession, path: Path) -> Manifest:
    """The manifest in an ONNX file's metadata.

    Raises:
        EngineError: there is none, or it does not follow the format.
    """
    text = session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
    if text is None:
        raise EngineError(
            f"--engine {path}: no manifest in it, so its input and scores are unknown. Add one with: "
            f"python -m export manifest {path} --manifest MANIFEST.json"
        )
    return parse_manifest(text, str(path))


def check_signature(session: ort.InferenceSession, manifest: Manifest, path: Path) -> None:
    """Hold the manifest to what the graph takes and gives.

    Raises:
        EngineError: they differ; the text has both.
    """
    inputs = {tensor.name: tensor for tensor in session.get_inputs()}
    outputs = {tensor.name for tensor in session.get_outputs()}
    named = {spec.name for spec in manifest.inputs}
    if named != set(inputs):
        raise EngineError(f"{path}: the manifest names the inputs {sorted(named)}, the graph has {sorted(inputs)}")
    for spec in manifest.inputs:
        tensor = inputs[spec.name]
        fixed = [size if isinstance(size, int) else None for size in tensor.shape[1:]]
        fits = len(fixed) == len(spec.shape) and all(map(_may_be, fixed, spec.shape))
        if tensor.type != TENSOR_TYPES[spec.dtype] or not fits:
            raise EngineError(
                f"{path}: the manifest's input {spec.name!r} is {spec.dtype} {('batch', *spec.shape)}, the graph's is "
                f"{tensor.type} {tensor.shape}"
            )
        if isinstance(tensor.shape[0], int):
            raise EngineError(f"{path}: input {spec.name!r} has a fixed batch of {tensor.shape[0]}; export it dynamic")
    for head in manifest.heads:
        if head.output not in outputs:
            raise EngineError(f"{path}: no output {head.output!r} for head {head.kind}; there are {sorted(outputs)}")


def _may_be(fixed: int | None, said: int) -> bool:
    return fixed in {None, said}
