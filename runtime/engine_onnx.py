"""ONNX Runtime on the CPU behind the engine interface, and what its other providers share."""

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
TENSOR_TYPES = {"uint8": "tensor(uint8)", "float32": "tensor(float)", "float16": "tensor(float16)"}

RUN_FRAMES: dict[Precision, int] = {"fp32": 2, "fp16": 2, "int8": 1}
"""Frames in one run on the CPU: larger batches are not faster there (their activations leave the cache), and
small ones spread evenly over the workers. Measured by ``python -m benchmarks engine`` and ``precision``."""


class OnnxEngine:
    """One session on the CPU, run from many threads at once, each run on one core.

    A session with threads of its own spins while it waits and fights decoding for the cores; sessions that
    run inline in our workers leave nothing idle and nothing spinning.

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
    path: Path, provider: Provider, provider_options: Mapping[str, str] | None = None
) -> ort.InferenceSession:
    """Open an ONNX file on one provider, and on no other.

    Raises:
        EngineError: no ONNX file, or the provider is not there or refuses it.
    """
    wanted = require_provider(provider)
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    try:
        session = ort.InferenceSession(str(path), options, providers=[(wanted, dict(provider_options or {}))])
    except Exception as error:  # as above: no common base class
        raise EngineError(f"--engine {path}: ONNX Runtime cannot open it: {error}") from error
    if session.get_providers()[0] != wanted:
        raise EngineError(
            f"--provider {provider}: ONNX Runtime fell back to {session.get_providers()}; its log above says why"
        )
    return session


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
        fits = len(fixed) == 3 and all(has in (None, said) for has, said in zip(fixed, spec.shape, strict=True))
        if tensor.type != TENSOR_TYPES[spec.dtype] or not fits:
            raise EngineError(
                f"{path}: the manifest's input {spec.name!r} is {spec.dtype} (batch, {spec.shape}), the graph's is "
                f"{tensor.type} {tensor.shape}"
            )
        if isinstance(tensor.shape[0], int):
            raise EngineError(f"{path}: input {spec.name!r} has a fixed batch of {tensor.shape[0]}; export it dynamic")
    for head in manifest.heads:
        if head.output not in outputs:
            raise EngineError(f"{path}: no output {head.output!r} for head {head.kind}; there are {sorted(outputs)}")
