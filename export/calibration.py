"""Which range of values each tensor of a network takes on real pictures: ONNX Runtime's calibrators, fed in pieces."""

import io
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, Literal

import onnx
from numpy.typing import NDArray
from onnx import ModelProto
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod
from onnxruntime.quantization.calibrate import TensorsData, create_calibrator

Method = Literal["percentile", "entropy", "minmax"]

METHODS: dict[Method, tuple[CalibrationMethod, dict[str, Any]]] = {
    "percentile": (CalibrationMethod.Percentile, {"percentile": 99.999}),
    "entropy": (CalibrationMethod.Entropy, {}),
    "minmax": (CalibrationMethod.MinMax, {}),
}
PIECE = 4
"""Samples whose tensors are held at the same time."""


class _Reader(CalibrationDataReader):  # type: ignore[misc] # ONNX Runtime is untyped
    def __init__(self, name: str, samples: NDArray[Any]) -> None:
        self._feeds: Iterator[dict[str, NDArray[Any]]] = ({name: sample[None]} for sample in samples)

    def get_next(self) -> dict[str, NDArray[Any]] | None:
        return next(self._feeds, None)


def tensor_ranges(model: ModelProto, samples: NDArray[Any], method: Method, ops: Iterable[str]) -> TensorsData:
    """The range of every float tensor that a node of the kinds ``ops`` takes or gives.

    Args:
        model: float32, with one input.
        samples: (n, ...) of that input.
        method: ``minmax`` holds every value; ``percentile`` all but one in 100,000; ``entropy`` what keeps the
            tensor's distribution.
        ops: kinds of nodes.
    """
    kind, options = METHODS[method]
    with tempfile.TemporaryDirectory(prefix="framegate-") as folder, redirect_stdout(io.StringIO()):
        source, augmented = Path(folder, "model.onnx"), Path(folder, "augmented.onnx")
        onnx.save(model, source)
        calibrator = create_calibrator(
            source, list(ops), augmented_model_path=str(augmented), calibrate_method=kind, extra_options=options
        )
        for start in range(0, len(samples), PIECE):
            calibrator.collect_data(_Reader(model.graph.input[0].name, samples[start : start + PIECE]))
        return calibrator.compute_data()
