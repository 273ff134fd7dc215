"""Which range of values each tensor of a network takes on real pictures: ONNX Runtime's calibrators, fed in pieces."""

import io
import tempfile
from collections.abc import Iterable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, Literal

import onnx
from numpy.typing import NDArray
from onnx import ModelProto
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod
from onnxruntime.quantization.calibrate import TensorsData, create_calibrator

from export.samples import Samples

Method = Literal["percentile", "entropy", "minmax"]

METHODS: dict[Method, tuple[CalibrationMethod, dict[str, Any]]] = {
    "percentile": (CalibrationMethod.Percentile, {"percentile": 99.999}),
    "entropy": (CalibrationMethod.Entropy, {}),
    "minmax": (CalibrationMethod.MinMax, {}),
}
PIECE = 4
"""Samples whose tensors are held at the same time."""


class _Reader(CalibrationDataReader):  # type: ignore[misc] # ONNX Runtime is untyped
    def __init__(self, samples: Samples) -> None:
        self._feeds = iter([dict(one.inputs) for one in samples.batches(1)])

    def get_next(self) -> dict[str, NDArray[Any]] | None:
        return next(self._feeds, None)


def tensor_ranges(model: ModelProto, samples: Samples, method: Method, ops: Iterable[str]) -> TensorsData:
    """The range of every float tensor that a node of the kinds ``ops`` takes or gives.

    Args:
        model: float32.
        samples: of its inputs.
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
        for piece in samples.batches(PIECE):
            calibrator.collect_data(_Reader(piece))
        return calibrator.compute_data()
