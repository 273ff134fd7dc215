"""Is a plan in half precision? Asked of the network that was compiled, of the plan's size, and of the plan itself."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from onnx import ModelProto, TensorProto

from runtime.errors import EngineError

LEAST_SHARE = 0.5
"""Of a network's floating-point tensors; nodes that a converter keeps single are few."""
LARGEST_PLAN = 1.75
"""Times the weights in half precision. Measured with TensorRT-RTX 1.7.1 on ``utility-baseline``: half 1.08 (1.47 for
Turing, which keeps some weights in two layouts), single 2.07."""
LEAST_WEIGHTS = 1 << 20
"""Elements, below which a plan's size is not that of its weights."""

_FLOATS = {TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE}


@dataclass(frozen=True)
class Precision:
    """How many floating-point tensors between layers are half, and how many single."""

    half: int
    single: int

    @property
    def share(self) -> float:
        """Of the half ones; 1 where there is no floating-point tensor."""
        return self.half / (self.half + self.single) if self.half + self.single else 1.0

    def __str__(self) -> str:
        return f"{self.half} of {self.half + self.single} floating-point tensors are half"


def precision_of_network(trt: Any, network: Any) -> Precision:
    """Of a strongly typed network: the builder may not change it."""
    dtypes = []
    for index in range(network.num_layers):
        layer = network.get_layer(index)
        dtypes += [layer.get_output(output).dtype for output in range(layer.num_outputs)]
    return Precision(dtypes.count(trt.DataType.HALF), dtypes.count(trt.DataType.FLOAT))


def precision_of_layers(layers: str) -> Precision:
    """Of a plan, by the inspector's JSON; the network's own inputs and outputs, whose types the caller chose, are out.

    TensorRT 10 writes each tensor's type and format as one text, TensorRT 11 the type alone.
    """
    document = json.loads(layers)
    ends = {end if isinstance(end, str) else end["Name"] for end in _ends(document)}
    kinds = [
        _kind(tensor)
        for layer in document.get("Layers", ())
        if isinstance(layer, dict)  # names alone, where the plan was built without details
        for tensor in layer.get("Outputs", ())
        if tensor.get("Name") not in ends
    ]
    return Precision(kinds.count("half"), kinds.count("single"))


def inspect_engine(trt: Any, logger: Any, plan: bytes) -> str | None:
    """The inspector's JSON of a plan; None where this device cannot load it."""
    runtime = trt.Runtime(logger)
    runtime.engine_host_code_allowed = True  # of the lean runtime in a version-compatible plan, which we just built
    engine = runtime.deserialize_cuda_engine(plan)
    if engine is None:
        return None
    inspector = engine.create_engine_inspector()
    return str(inspector.get_engine_information(trt.LayerInformationFormat.JSON))


def float_weights(model: ModelProto) -> int:
    """Elements in the model's floating-point initialisers."""
    return sum(int(np.prod(tensor.dims)) for tensor in model.graph.initializer if tensor.data_type in _FLOATS)


def require_half(onnx: Path, network: Precision, plan: bytes, weights: int, layers: str | None) -> None:
    """Hold a plan to the half precision that its manifest claims.

    Args:
        onnx: what it was built from.
        network: of the network that was compiled.
        plan: the plan.
        weights: elements of floating point in the network.
        layers: the inspector's JSON, where a device loaded the plan; it decides. Else the plan's size does.

    Raises:
        EngineError: it is not in half precision.
    """
    if network.share < LEAST_SHARE:
        raise EngineError(f"{onnx}: its manifest says fp16, but only {network}: convert it with python -m export fp16")
    inside = precision_of_layers(layers) if layers else Precision(0, 0)
    if inside.half + inside.single:
        if inside.share < LEAST_SHARE:
            raise EngineError(f"{onnx}: half precision was asked, but in the plan only {inside}; nothing is written")
    elif weights >= LEAST_WEIGHTS and len(plan) > LARGEST_PLAN * 2 * weights:
        raise EngineError(
            f"{onnx}: half precision was asked, but the plan has {len(plan) / 1e6:.1f} MB for weights that take "
            f"{2 * weights / 1e6:.1f} MB in half precision; nothing is written"
        )


def _ends(document: Any) -> Iterator[Any]:
    yield from document.get("Bindings", ())  # TensorRT 10
    yield from document.get("I/O Tensors", ())  # TensorRT 11


def _kind(tensor: Any) -> str:
    text = str(tensor.get("Format/Datatype") or tensor.get("DataType") or tensor.get("Datatype") or "").upper()
    if "HALF" in text or ("FP16" in text and "BF16" not in text):
        return "half"
    return "single" if "FP32" in text or text == "FLOAT" else "other"
