"""A network in an ONNX file, on ONNX Runtime's CPU provider."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime as ort

from runtime.decode import Pixels
from runtime.errors import ConfigError
from training.networks.answer import Answer
from training.networks.decode import decode
from training.networks.decode_boxes import OUTPUTS
from training.networks.description import Boxes, Description
from training.networks.network import RUN_PICTURES, Values
from training.networks.prepare import Placement, prepare
from training.networks.weights_file import check_weights


class OnnxNetwork:
    """See ``Network``. A fixed batch is filled up with zeros; a dynamic one takes what there is.

    Raises:
        ConfigError: as ``open_network``.
    """

    def __init__(self, description: Description, weights: Path, *, threads: int) -> None:
        self.description = description
        self._path = weights / description.model
        self.digest = f"sha256:{check_weights(description, self._path)}"
        self._session = _open(self._path, threads)
        assert description.input is not None  # the description's own rule
        self._input = description.input
        self._fixed = self._check_input()
        boxes = isinstance(description.decode, Boxes)
        self._outputs = OUTPUTS if boxes else [tensor.name for tensor in self._session.get_outputs()]
        # Boxes of several pictures could not be told apart.
        self._step = 1 if boxes else self._fixed or RUN_PICTURES

    def answers(self, pictures: Sequence[Pixels]) -> list[Answer]:
        """See ``Network``."""
        found: list[Answer] = []
        for start in range(0, len(pictures), self._step):
            found += self._run([prepare(self._input, pixels) for pixels in pictures[start : start + self._step]])
        return found

    def _run(self, prepared: list[tuple[Values, Placement]]) -> list[Answer]:
        batch = np.zeros((self._fixed or len(prepared), *self._input.shape), np.float32)
        for slot, (values, _) in zip(batch, prepared, strict=False):
            slot[:] = values
        try:
            outputs = self._session.run(self._outputs, {self._session.get_inputs()[0].name: batch})
        except Exception as error:  # ONNX Runtime raises its own classes, RuntimeError and more
            raise self._misfit(str(error)) from error
        if isinstance(self.description.decode, Boxes):
            return [self._decode(outputs, prepared[0][1])]
        if any(len(output) != len(batch) for output in outputs):
            raise self._misfit(f"outputs {[output.shape for output in outputs]} do not start with the batch")
        return [
            self._decode([output[index] for output in outputs], placement)
            for index, (_, placement) in enumerate(prepared)
        ]

    def _decode(self, outputs: Sequence[Values], placement: Placement) -> Answer:
        try:
            return decode(outputs, self.description, placement)
        except ValueError as error:
            raise self._misfit(str(error)) from error

    def _check_input(self) -> int | None:
        """The batch, where the graph fixes it."""
        tensors = self._session.get_inputs()
        if len(tensors) != 1 or tensors[0].type != "tensor(float)" or len(tensors[0].shape) != 4:
            has = ", ".join(f"{tensor.name} {tensor.type} {tensor.shape}" for tensor in tensors)
            raise self._misfit(f"one input, float32 of four axes, is due; the graph has {has}")
        batch, *sides = (size if isinstance(size, int) else None for size in tensors[0].shape)
        if any(has not in (None, said) for has, said in zip(sides, self._input.shape, strict=True)):
            raise self._misfit(
                f"the graph's input is {tensors[0].shape}, a picture's is said to be {self._input.shape}"
            )
        if isinstance(self.description.decode, Boxes) and batch not in (None, 1):
            raise self._misfit(f"boxes come from one picture at a time, and the graph fixes a batch of {batch}")
        return batch

    def _misfit(self, fault: str) -> ConfigError:
        return ConfigError(
            f"network {self.description.name}: {self._path} does not fit its description "
            f"(decode {self.description.decode.kind}): {fault}"
        )


def _open(path: Path, threads: int) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # as above: no common base class
        raise ConfigError(f"{path}: ONNX Runtime {ort.__version__} cannot open it: {error}") from error
