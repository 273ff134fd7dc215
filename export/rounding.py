"""Half precision made honest on the CPU.

ONNX Runtime has few half kernels on the CPU: it computes in float32 and leaves the roundings between nodes out, so a
half graph answers better there than on a device. Here it becomes a graph in float32 that rounds every value which
was a half to one, as a device does that adds up in float32 and stores halves.
"""

from collections import deque
from collections.abc import Iterable

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper, shape_inference

from runtime.errors import EngineError


def round_halves(model: ModelProto) -> ModelProto:
    """The model in float32 with the answers that its half precision gives; itself where it has no halves.

    Inputs keep their types, outputs that are halves become float32.

    Raises:
        EngineError: a graph with halves has values whose type cannot be told: they might go unrounded.
    """
    halves = _values(model, TensorProto.FLOAT16)
    if not halves and all(tensor.data_type != TensorProto.FLOAT16 for tensor in model.graph.initializer):
        return model
    _require_types(model)
    rounding = ModelProto()
    rounding.CopyFrom(model)
    for tensor in rounding.graph.initializer:
        _widen(tensor)
    for node in rounding.graph.node:
        _compute_in_float(node)
    for output in rounding.graph.output:
        if output.type.tensor_type.elem_type == TensorProto.FLOAT16:
            output.type.tensor_type.elem_type = TensorProto.FLOAT
    insert_rounding(rounding, halves)
    _widen_inputs(rounding)
    return rounding


def float_values(model: ModelProto) -> set[str]:
    """Names of the float32 values that nodes compute; what a Cast makes is not among them."""
    cast = {name for node in model.graph.node if node.op_type == "Cast" for name in node.output}
    return _values(model, TensorProto.FLOAT) - cast


def insert_rounding(model: ModelProto, values: set[str]) -> None:
    """Round each of the values, which are float32, to half where its node has computed it."""
    nodes = []
    for node in model.graph.node:
        nodes.append(node)
        for i, name in enumerate(node.output):
            if name in values:
                node.output[i] = f"{name}/exact"
                nodes.append(_cast(f"{name}/exact", f"{name}/half", TensorProto.FLOAT16))
                nodes.append(_cast(f"{name}/half", name, TensorProto.FLOAT))
    del model.graph.value_info[:]
    _replace_nodes(model, nodes)


def sort_nodes(model: ModelProto) -> None:
    """Put every node behind those whose values it reads, otherwise in the order they had."""
    waiting = deque(model.graph.node)
    made = {name for node in waiting for name in node.output}
    known: set[str] = set()
    nodes = []
    while waiting:
        node = waiting.popleft()
        if any(name in made and name not in known for name in node.input):
            waiting.append(node)
            continue
        known.update(node.output)
        nodes.append(node)
    _replace_nodes(model, nodes)


def _compute_in_float(node: NodeProto) -> None:
    for attribute in node.attribute:
        if node.op_type == "Cast" and attribute.name == "to" and attribute.i == TensorProto.FLOAT16:
            attribute.i = TensorProto.FLOAT
        elif attribute.HasField("t"):
            _widen(attribute.t)


def _widen(tensor: TensorProto) -> None:
    if tensor.data_type == TensorProto.FLOAT16:
        values = numpy_helper.to_array(tensor).astype(np.float32)
        tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))


def _widen_inputs(model: ModelProto) -> None:
    """Read each input that is of halves as float32."""
    halves = [v.name for v in model.graph.input if v.type.tensor_type.elem_type == TensorProto.FLOAT16]
    for node in model.graph.node:
        for i, name in enumerate(node.input):
            node.input[i] = f"{name}/float" if name in halves else name
    casts = [_cast(name, f"{name}/float", TensorProto.FLOAT) for name in halves]
    _replace_nodes(model, [*casts, *model.graph.node])


def _cast(source: str, target: str, kind: int) -> NodeProto:
    return helper.make_node("Cast", [source], [target], name=f"Cast/{target}", to=kind)


def _replace_nodes(model: ModelProto, nodes: Iterable[NodeProto]) -> None:
    copies = [NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del model.graph.node[:]
    model.graph.node.extend(copies)


def _values(model: ModelProto, kind: int) -> set[str]:
    return {name for name, own in _types(model).items() if own == kind}


def _types(model: ModelProto) -> dict[str, int]:
    """Of the values that nodes compute, as far as ONNX can tell."""
    try:
        graph = shape_inference.infer_shapes(model).graph
    except shape_inference.InferenceError as error:
        raise EngineError(f"ONNX cannot follow the graph's types: {error}") from error
    computed = {name for node in graph.node for name in node.output}
    typed = {value.name: value.type.tensor_type.elem_type for value in [*graph.value_info, *graph.output]}
    return {name: kind for name, kind in typed.items() if name in computed and kind != TensorProto.UNDEFINED}


def _require_types(model: ModelProto) -> None:
    known = _types(model)
    for node in model.graph.node:
        unknown = [name for name in node.output if name and name not in known]
        inner = [attribute.name for attribute in node.attribute if attribute.HasField("g")]
        if unknown or inner:
            what = (
                f"ONNX cannot tell the type of its output {unknown[0]!r}" if unknown else f"it has a graph {inner[0]!r}"
            )
            raise EngineError(
                f"node {node.name!r} ({node.domain or 'ai.onnx'} {node.op_type}): {what}, so its roundings to half "
                "precision cannot be followed on the CPU. Export the network without it"
            )
