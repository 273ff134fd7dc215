"""A manifest for a graph that has none: what the graph says filled in, what only its maker knows left null."""

from typing import Any

from onnx import ModelProto, TensorProto

from export.graph import TensorSpec, inputs, outputs
from export.manifest import weights_digest
from runtime.manifest import HEAD_SHAPES, Resize

Template = dict[str, Any]


def manifest_template(model: ModelProto, name: str) -> Template:
    """The fields of a manifest, to be written as JSON; every ``null`` is for the engine's maker to fill in."""
    return {
        "format": "framegate/manifest/1",
        "name": name,
        "version": "1",
        "digest": weights_digest(model),
        "precision": _precision(model),
        "inputs": [_input(spec) for spec in inputs(model)],
        "heads": [head for spec in outputs(model) for head in _heads(spec)],
        "provenance": {"data": None, "metrics": {}, "licence": None, "command": None},
    }


def _input(spec: TensorSpec) -> Template:
    layout, height, width = _picture_shape(spec)
    template = {
        "name": spec.name,
        "dtype": spec.dtype,
        "layout": layout,
        "height": height,
        "width": width,
        "color": "RGB",
        "resize": Resize().model_dump(),
    }
    if spec.dtype != "uint8":
        template |= {"mean": None, "std": None}
    return template


def _picture_shape(spec: TensorSpec) -> tuple[str | None, int | None, int | None]:
    """Layout, height and width, as far as the graph tells them."""
    match spec.shape:
        case (_, height, width, 3):
            layout = "NHWC"
        case (_, 3, height, width):
            layout = "NCHW"
        case _:
            return None, None, None
    return layout, _known(height), _known(width)


def _known(size: int | str) -> int | None:
    return size if isinstance(size, int) else None


def _heads(spec: TensorSpec) -> list[Template]:
    return [
        {"kind": kind, "output": spec.name, "threshold": None}
        for kind, sample in HEAD_SHAPES.items()
        if spec.dtype == "float32" and spec.takes(sample)
    ]


def _precision(model: ModelProto) -> str:
    """By the type that most weights have; quantised graphs keep scales and biases in float."""
    elements: dict[int, int] = {}
    for tensor in model.graph.initializer:
        size = 1
        for dimension in tensor.dims:
            size *= dimension
        elements[tensor.data_type] = elements.get(tensor.data_type, 0) + size
    commonest = max(elements, key=lambda kind: elements[kind], default=TensorProto.FLOAT)
    names = {TensorProto.FLOAT16: "fp16", TensorProto.INT8: "int8", TensorProto.UINT8: "int8"}
    return names.get(commonest, "fp32")
