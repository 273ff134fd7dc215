"""Weights that a network reshapes before it uses them: in an engine they lie as they are used."""

from collections.abc import Mapping

from onnx import ModelProto, NodeProto, numpy_helper
from onnx.reference import ReferenceEvaluator

VIEWS = ("Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose")
"""Nodes that move values, and compute none."""


def fold_views(model: ModelProto) -> None:
    """Put the reshaped weights in the place of weights and nodes, in place.

    The exporter folds small constants alone. What is left runs with every batch, and a layer whose weights another node
    gives has none that 8 bits could be chosen for. A weight that nothing else uses keeps its name.
    """
    graph = model.graph
    weights = {tensor.name: tensor for tensor in graph.initializer}
    kept: list[NodeProto] = []
    folded: dict[str, str] = {}
    touched: set[str] = set()
    for node in graph.node:  # in topological order
        if node.op_type not in VIEWS or not all(name in weights for name in node.input):
            kept.append(node)
            continue
        values = {name: numpy_helper.to_array(weights[name]) for name in node.input}
        [seen] = ReferenceEvaluator(node).run(None, values)
        touched.update(node.input)
        folded[node.output[0]] = node.input[0]
        weights[node.output[0]] = numpy_helper.from_array(seen, node.output[0])
    outputs = {output.name for output in graph.output}
    used = {name for node in kept for name in node.input} | outputs
    names = _own_names({view: of for view, of in folded.items() if view not in outputs}, used)
    for node in kept:
        for i, name in enumerate(node.input):
            node.input[i] = names.get(name, name)
    tensors = [tensor for name, tensor in weights.items() if name in used or name not in touched]
    for tensor in tensors:
        tensor.name = names.get(tensor.name, tensor.name)
    del graph.node[:], graph.initializer[:]
    graph.node.extend(kept)
    graph.initializer.extend(tensors)


def _own_names(folded: Mapping[str, str], used: set[str]) -> dict[str, str]:
    """By a view's output that is used: its weight's name, where nothing else uses that.

    Args:
        folded: by a view's output, what it is of; but for the graph's outputs, whose names are promised.
        used: by the nodes that are left.
    """
    origins = {}
    for output in folded.keys() & used:
        origin = output
        while origin in folded:
            origin = folded[origin]
        origins[output] = origin
    seen = [*origins.values(), *used]
    return {output: origin for output, origin in origins.items() if seen.count(origin) == 1}
