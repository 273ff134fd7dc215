"""ONNX Runtime's CUDA and TensorRT providers behind the engine interface, run in place on the slots' memory."""

import contextlib
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.device import Device
from runtime.engine import Arrays, Provider, batch_sizes, padded
from runtime.engine_onnx import TENSOR_TYPES, check_signature, open_session, preload_libraries, read_manifest
from runtime.errors import EngineError, InferenceError
from runtime.manifest import Input, head_shape
from runtime.open_device import open_device
from runtime.slots import Slot, Slots

TF32_SWITCH = "NVIDIA_TF32_OVERRIDE"
"""NVIDIA's variable for the whole process: 0 keeps float32 whole. TensorRT rounds it to 10 bits otherwise, and ONNX
Runtime's provider has no option for that (microsoft/onnxruntime#26029)."""


class OnnxCudaEngine:
    """One session, whose runs read and write the slots' memory; several threads may run it at once.

    ONNX Runtime brings its own streams, so the host waits twice a batch: for the upload before a run, and for the
    run, which ends when its results are there. Other slots' work goes on meanwhile.

    Batches are padded up to 1, 2, 4, ..., ``max_batch``: for each new shape cuDNN would look for its algorithms anew,
    in the middle of live traffic.

    Args:
        path: the ONNX file.
        provider: ``cuda`` or ``tensorrt``; ``cpu`` goes with a device whose memory is the host's.
        device: whose memory the slots are.
        memory_kind: what ONNX Runtime calls that memory: ``cuda`` or ``cpu``.
        max_batch: the most samples in a batch.
        in_flight: how many slots.

    Raises:
        EngineError: not an ONNX file, no manifest, inputs or outputs that differ from it, or a provider that is
            not there.
    """

    def __init__(
        self, path: Path, *, provider: Provider, device: Device, memory_kind: str, max_batch: int, in_flight: int
    ) -> None:
        self.device = device
        self._path = path
        self._memory_kind = memory_kind
        # names and shapes for the provider's options, before there is a session with them
        self.manifest = read_manifest(open_session(path, "cpu", optimise=False), path)
        self._session = open_session(path, provider, provider_options(provider, self.manifest.inputs, max_batch))
        check_signature(self._session, self.manifest, path)
        self._check_outputs()
        self._sizes = batch_sizes(1, max_batch, by_shape=True)
        self.slots = Slots(device, self.manifest, max_batch, in_flight)

    def infer(self, inputs: Arrays) -> dict[str, NDArray[Any]]:
        """See ``Engine``."""
        with self.slots.take() as slot:
            return self.infer_slot(slot, self.slots.upload(slot, inputs))

    def infer_slot(self, slot: Slot, size: int) -> dict[str, NDArray[Any]]:
        """See ``DeviceEngine``."""
        slot.done.record(slot.stream)  # the session's streams know nothing of ours
        slot.done.synchronize()  # an event's wait sleeps, a stream's spins
        try:
            self._session.run_with_iobinding(self._bound(slot, padded(size, self._sizes)))
        except Exception as error:  # ONNX Runtime raises its own classes, RuntimeError and more
            raise InferenceError(f"{self._path}: {type(error).__name__}: {error}") from error
        return self.slots.download(slot, size)

    def close(self) -> None:
        """See ``Engine``."""
        del self._session
        self.slots.close()

    def _bound(self, slot: Slot, size: int) -> Any:
        binding = self._session.io_binding()
        for spec in self.manifest.inputs:
            binding.bind_input(
                spec.name,
                self._memory_kind,
                0,
                np.dtype(spec.dtype),
                (size, *spec.shape),
                slot.inputs[spec.name].pointer,
            )
        for head in self.manifest.heads:
            binding.bind_output(
                head.output,
                self._memory_kind,
                0,
                np.dtype(np.float32),
                (size, *head_shape(head)),
                slot.outputs[head.output].pointer,
            )
        return binding

    def _check_outputs(self) -> None:
        types = {tensor.name: tensor.type for tensor in self._session.get_outputs()}
        for head in self.manifest.heads:
            if types[head.output] != TENSOR_TYPES["float32"]:
                raise EngineError(f"{self._path}: output {head.output!r} is {types[head.output]}; a head's is float32")


def open_onnx_cuda_engine(path: Path, *, provider: Provider, max_batch: int, in_flight: int) -> OnnxCudaEngine:
    """Open an ONNX file on the GPU.

    Raises:
        EngineError: as ``OnnxCudaEngine``.
        ConfigError: no GPU, or nothing installed that drives it.
    """
    if provider == "tensorrt":
        os.environ.setdefault(TF32_SWITCH, "0")  # read once, by the first library of NVIDIA's that computes
    with contextlib.redirect_stdout(sys.stderr):  # it prints what it misses; standard output is for results
        preload_libraries(provider)
    return OnnxCudaEngine(
        path, provider=provider, device=open_device(), memory_kind="cuda", max_batch=max_batch, in_flight=in_flight
    )


def provider_options(provider: Provider, inputs: tuple[Input, ...], max_batch: int) -> dict[str, str]:
    """What the provider must know before it sees a batch.

    CUDA's rounds float32 to 10 bits unless it is told not to; TensorRT's has no option for that (``TF32_SWITCH``).
    TensorRT's compiles the graph for a range of shapes: without one it would compile again for each new batch size.
    It takes each tensor's precision from the graph, as long as none of its own is asked for (``trt_fp16_enable``).
    """
    if provider == "cuda":
        return {"use_tf32": "0"}
    if provider == "cpu":
        return {}

    def shapes(batch: int) -> str:
        return ",".join(f"{spec.name}:{'x'.join(map(str, (batch, *spec.shape)))}" for spec in inputs)

    return {
        "trt_profile_min_shapes": shapes(1),
        "trt_profile_opt_shapes": shapes(max_batch),
        "trt_profile_max_shapes": shapes(max_batch),
    }
