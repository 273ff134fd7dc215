"""Graphs with QuantizeLinear and DequantizeLinear pairs: what of a graph can be in 8 bits, and what must be mended."""

import math
from collections.abc import Sequence

import numpy as np
from onnx import ModelProto, NodeProto, helper, numpy_helper

LAYERS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
"""Nodes whose weights become 8 bits: the ones that may be kept in float32."""
OPS = (
    *LAYERS,
    *("Add", "Mul", "Relu", "Clip", "MaxPool", "AveragePool", "GlobalAveragePool", "Concat", "Split"),
    *("Pad", "Resize", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "Slice"),
)


def inner_nodes(model: ModelProto) -> list[NodeProto]:
    """The nodes of ``OPS`` from the first layers to the last: each is a layer, or has one before and one behind it.

    With nothing but nodes of ``OPS`` between: before a softmax or a normalisation, which compute in float32, 8 bits
    would be worth nothing, and one scale for what a Concat joins would lose the smaller.
    """
    nodes = [node for node in model.graph.node if node.op_type in OPS]
    after: set[str] = set()
    for node in nodes:  # in topological order
        if node.op_type in LAYERS or after.intersection(node.input):
            after.update(node.output)
    before: set[str] = set()
    inner = []
    for node in reversed(nodes):
        if node.op_type in LAYERS or before.intersection(node.output):
            before.update(node.input)
            if after.intersection(node.output):
                inner.append(node)
    return inner[::-1]


def layers_before(model: ModelProto) -> dict[str, set[str]]:
    """By layer, the layers whose outputs reach it without another between."""
    sources: dict[str, set[str]] = {}
    before = {}
    for node in model.graph.node:  # in topological order
        found = set().union(*(sources.get(name, set()) for name in node.input))
        if node.op_type in LAYERS:
            before[node.name], found = found, {node.name}
        sources |= dict.fromkeys(node.output, found)
    return before


def layer_sizes(model: ModelProto) -> dict[str, tuple[int, int]]:
    """By layer, the values that it gives for one frame, and the products that they take.

    Without layers whose sizes the graph, its shapes inferred, does not tell.
    """
    weights = {tensor.name: math.prod(tensor.dims[1:]) for tensor in model.graph.initializer}
    shapes = {value.name: value.type.tensor_type.shape.dim for value in model.graph.value_info}
    sizes = {}
    for node in model.graph.node:
        dims = [dim.dim_value for dim in shapes.get(node.output[0], ())][1:]
        if node.op_type == "Conv" and dims and all(dims) and node.input[1] in weights:
            values = math.prod(dims)
            sizes[node.name] = values, values * weights[node.input[1]]
    return sizes


def separate_weights(model: ModelProto) -> None:
    """Give each layer weights of its own, in place, where several share theirs.

    Else one layer in 8 bits would put them into 8 bits for those, too, that are kept in float32.
    """
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    taken: set[str] = set()
    for node in model.graph.node:
        if node.op_type not in LAYERS:
            continue
        for i, name in enumerate(node.input):
            if name in tensors and name in taken:
                copy = model.graph.initializer.add()
                copy.CopyFrom(tensors[name])
                copy.name = node.input[i] = f"{name} of {node.name}"
            taken.add(name)


def cutting_clips(model: ModelProto) -> set[str]:
    """Clips that a quantised range cannot stand for: it always holds 0, so one that cuts 0 off must stay."""
    weights = {tensor.name: tensor for tensor in model.graph.initializer}

    def holds_zero(node: NodeProto) -> bool:
        bounds = [numpy_helper.to_array(weights[name]) if name in weights else None for name in node.input[1:] if name]
        signs = (1, -1) if len(bounds) == 2 else ()
        return bool(signs) and all(b is not None and sign * b <= 0 for b, sign in zip(bounds, signs, strict=True))

    return {node.name for node in model.graph.node if node.op_type == "Clip" and not holds_zero(node)}


def shield(model: ModelProto, kept: set[str]) -> None:
    """Make sure that kept layers of a quantised graph compute in float32, in place.

    Where a layer's input is dequantised with one scale, ONNX Runtime quantises its weights when it opens the file,
    with one scale for all of them (its optimizer WeightBiasQuantization): a scale for each channel, all equal, is
    the same to everyone else and keeps it off.
    """
    makers = {output: node for node in model.graph.node for output in node.output}
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    nodes = []
    for node in model.graph.node:
        source = makers.get(node.input[0]) if node.name in kept else None
        if source is not None and source.op_type == "DequantizeLinear" and node.op_type != "MatMul":
            scale, zero = (numpy_helper.to_array(tensors[name]) for name in source.input[1:3])
            channels = _input_channels(node, tensors[node.input[1]].dims)
            names = [f"{node.name}_input{part}" for part in ("", "_scale", "_zero_point")]
            model.graph.initializer.extend(
                numpy_helper.from_array(np.full(channels, value, value.dtype), name)
                for name, value in zip(names[1:], (scale, zero), strict=True)
            )
            nodes.append(
                helper.make_node(
                    "DequantizeLinear", [source.input[0], *names[1:]], names[:1], f"{names[0]}_dequantize", axis=1
                )
            )
            node.input[0] = names[0]
        nodes.append(node)
    used = {name for node in nodes for name in node.input} | {output.name for output in model.graph.output}
    nodes = [node for node in nodes if used.intersection(node.output)]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def _input_channels(node: NodeProto, weights: Sequence[int]) -> int:
    attributes = {attribute.name: attribute.i for attribute in node.attribute}
    if node.op_type == "Gemm":
        return weights[1] if attributes.get("transB", 0) else weights[0]
    return weights[0] if node.op_type == "ConvTranspose" else weights[1] * attributes.get("group", 1)
