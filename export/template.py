"""A manifest for a graph that has none: what the graph says filled in, what only its maker knows left null."""

from collections.abc import Sequence
from typing import Any

from onnx import ModelProto, TensorProto

from export.graph import TensorSpec, inputs, outputs
from export.manifest import weights_digest
from runtime.manifest import Patches, Resize

Template = dict[str, Any]
_LEAST_SIDE = Patches.model_fields["least_side"].default


def manifest_template(model: ModelProto, name: str) -> Template:
    """The fields of a manifest, to be written as JSON; every ``null`` is for the engine's maker to fill in."""
    return {
        "format": "framegate/manifest/1",
        "name": name,
        "version": "1",
        "digest": weights_digest(model),
        "precision": _precision(model),
        "inputs": _inputs(inputs(model)),
        "heads": [head for spec in outputs(model) for head in _heads(spec)],
        "provenance": {"data": None, "metrics": {}, "licence": None, "command": None},
    }


def _inputs(specs: Sequence[TensorSpec]) -> list[Template]:
    """Two pictures of one size are what is judged and its reference; which is which, only a name may tell."""
    templates = [_input(spec) for spec in specs]
    if len(specs) == 2 and len(specs[0].shape) == 4 and specs[0].shape[1:] == specs[1].shape[1:]:
        told = [spec for spec in specs if "ref" in spec.name.lower()]
        for template, spec in zip(templates, specs, strict=True):
            del template["resize"]
            template |= {"tiles": True, "of": ("reference" if spec in told else "frame") if len(told) == 1 else None}
    return templates


def _input(spec: TensorSpec) -> Template:
    shows_patches = len(spec.shape) == 5
    layout, height, width = _picture_shape(spec.shape[2:] if shows_patches else spec.shape[1:])
    template = {
        "name": spec.name,
        "dtype": spec.dtype,
        "layout": layout,
        "height": height,
        "width": width,
        "color": "RGB",
        "resize": Resize().model_dump(include={"scaled_decode"} if shows_patches else None),
    }
    if shows_patches:  # how many there are, the graph may tell, but not how they lie
        template["patches"] = {"rows": None, "columns": None, "least_side": _LEAST_SIDE}
    if spec.dtype != "uint8":
        template |= {"mean": None, "std": None}
    return template


def _picture_shape(shape: Sequence[int | str]) -> tuple[str | None, int | None, int | None]:
    """Layout, height and width, as far as the graph tells them."""
    match shape:
        case (height, width, 3):
            layout = "NHWC"
        case (3, height, width):
            layout = "NCHW"
        case _:
            return None, None, None
    return layout, _known(height), _known(width)


def _known(size: int | str) -> int | None:
    return size if isinstance(size, int) else None


def _heads(spec: TensorSpec) -> list[Template]:
    """What the output can be: none, or one head, whose kind is left to its maker where shape and name do not tell."""
    if spec.dtype != "float32":
        return []
    match spec.shape:
        case (_,):
            kind = next((kind for kind in ("utility", "clarity", "quality_fr") if kind in spec.name.lower()), None)
            return [{"kind": kind, "output": spec.name, "threshold": None}]
        case (_, height, width):
            return [{"kind": "saliency", "output": spec.name, "height": _known(height), "width": _known(width)}]
    return [{"kind": "quality", "output": spec.name, "threshold": None}] if spec.takes((5,)) else []


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
