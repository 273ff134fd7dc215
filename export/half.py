"""From a graph in float32 to one in half precision, as much of it as the tolerances allow."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper
from onnxruntime.transformers.float16 import DEFAULT_OP_BLOCK_LIST, convert_float_to_float16
from rich.console import Console
from rich.progress import track

from export.answers import Answers, onnx_answers, session_answers
from export.graph import name_nodes
from export.manifest import derived_manifest, weights_digest
from export.parity import Parity, compare
from export.rounding import float_values, insert_rounding, sort_nodes
from export.samples import Samples, draw_samples
from runtime.errors import EngineError
from runtime.manifest import Manifest, Tolerances

RANKING_SAMPLES = 16
"""That many tell which nodes suffer; the gate takes all of them."""
MARGIN = 0.5
"""Of what is allowed, on the pictures at hand: of the difference, and of what masks may lose."""
LEAST_SHARE = 0.5
"""Of the weights' elements that must be halves: below, the engine gains nothing."""


@dataclass(frozen=True)
class Half:
    """A model in half precision, which of its nodes stayed in float32, and how it compares."""

    model: ModelProto
    kept: tuple[str, ...]
    parity: Parity


def to_half(model: ModelProto, kept: tuple[str, ...] = ()) -> ModelProto:
    """The model in half precision: weights and every tensor between nodes; inputs and outputs keep their types.

    Args:
        model: float32; it is left as it is.
        kept: names of nodes that go on computing in float32, with their weights.
    """
    half = ModelProto()
    half.CopyFrom(model)
    _give_each_kept_node_its_own_weights(half, set(kept))
    half = convert_float_to_float16(
        half, keep_io_types=True, node_block_list=list(kept), op_block_list=DEFAULT_OP_BLOCK_LIST
    )
    _repair(half)
    return half


def fit_half(model: ModelProto, manifest: Manifest, samples: Samples, tolerances: Tolerances) -> Half:
    """In half precision, with as few nodes in float32 as keep the answers well within the tolerances.

    Nodes are kept in the order of how much the answers change when each of them alone computes in half; first
    none, then one by one, later a quarter more at a time. Other pictures differ more than those that the nodes were
    chosen on, so ``MARGIN`` of what is allowed is aimed at; where that takes too many nodes, the tolerances do.

    Args:
        model: float32; nodes without a name of their own get one.
        manifest: its.
        samples: of its inputs.
        tolerances: what the answers are held to.

    Raises:
        EngineError: staying within the tolerances takes more than half of the weights, or is never possible.
    """
    name_nodes(model)
    reference = onnx_answers(model, samples)
    aim = _with_margin(tolerances)
    enough: Half | None = None
    order: list[str] = []
    for count in _counts():
        half = _try_half(model, tuple(order[:count]), manifest, samples, reference)
        if half_share(half.model) < LEAST_SHARE:
            break
        if not half.parity.faults(aim):
            return half
        if enough is None and not half.parity.faults(tolerances):
            enough = half
        order = order or rank_nodes(model, manifest, samples)
        if count >= len(order):
            break
    if enough is not None:
        return enough
    faults = "; ".join(half.parity.faults(tolerances)) or "then it passes"
    raise EngineError(
        f"{manifest.name} does not bear half precision: with {len(half.kept)} of {len(order)} nodes in float32, "
        f"{100 * half_share(half.model):.0f} % of its weights are halves: {faults}. Serve it in float32, or allow "
        "more with --difference" + " or --mask-iou" * (tolerances.mask_iou is not None)
    )


def _with_margin(tolerances: Tolerances) -> Tolerances:
    aim: dict[str, float] = {}
    if tolerances.difference is not None:
        aim["difference"] = MARGIN * tolerances.difference
    if tolerances.mask_iou is not None:
        aim["mask_iou"] = 1 - MARGIN * (1 - tolerances.mask_iou)
    return tolerances.model_copy(update=aim)


def half_manifest(manifest: Manifest, half: ModelProto, tolerances: Tolerances, command: str) -> Manifest:
    """The manifest of ``half``, made by ``command`` of an engine with ``manifest``."""
    return derived_manifest(manifest, command, precision="fp16", digest=weights_digest(half), tolerances=tolerances)


def half_share(model: ModelProto) -> float:
    """Which share of the weights' elements, of those that are floating, are halves."""
    sizes = {TensorProto.FLOAT: 0, TensorProto.FLOAT16: 0}
    for tensor in model.graph.initializer:
        if tensor.data_type in sizes:
            sizes[tensor.data_type] += math.prod(tensor.dims)
    return sizes[TensorProto.FLOAT16] / max(1, sum(sizes.values()))


def describe_nodes(model: ModelProto, names: Sequence[str]) -> list[str]:
    """What the nodes do, and with which weights: their names alone say little."""
    weights = {tensor.name for tensor in model.graph.initializer if tensor.dims}
    nodes = {node.name: node for node in model.graph.node}
    return [f"{nodes[name].op_type} {next((w for w in nodes[name].input if w in weights), name)}" for name in names]


def _try_half(
    model: ModelProto, kept: tuple[str, ...], manifest: Manifest, samples: Samples, reference: Answers
) -> Half:
    half = to_half(model, kept)
    return Half(half, kept, compare(reference, onnx_answers(half, samples), manifest))


def _counts() -> Iterator[int]:
    """0, 1, 2, ..., 8, 10, 12, 15, and so on."""
    count = 0
    while True:
        yield count
        count += max(1, count // 4)


def rank_nodes(model: ModelProto, manifest: Manifest, samples: Samples) -> list[str]:
    """Names of the nodes that compute in float32, those whose rounding changes the answers most first."""
    some = draw_samples(samples, RANKING_SAMPLES)
    reference = onnx_answers(model, some)
    variants = track(
        _each_node_rounded(model),
        "half, node by node",
        len(model.graph.node),
        console=Console(stderr=True),
        transient=True,
    )
    effects = {name: _effect(variant, manifest, some, reference) for name, variant in variants}
    return sorted(effects, key=lambda name: -effects[name])


def _effect(variant: ModelProto, manifest: Manifest, samples: Samples, reference: Answers) -> float:
    return compare(reference, session_answers(variant, samples), manifest).change


def _each_node_rounded(model: ModelProto) -> Iterator[tuple[str, ModelProto]]:
    """For every node that computes in float32, the model with that node's weights and results rounded to half."""
    values = float_values(model)
    for i, node in enumerate(model.graph.node):
        if node.op_type in DEFAULT_OP_BLOCK_LIST or not values.intersection(node.output):
            continue
        variant = ModelProto()
        variant.CopyFrom(model)
        for tensor in variant.graph.initializer:
            if tensor.name in node.input and tensor.data_type == TensorProto.FLOAT:
                with np.errstate(over="ignore"):  # an infinite weight ranks its node first
                    rounded = numpy_helper.to_array(tensor).astype(np.float16).astype(np.float32)
                tensor.CopyFrom(numpy_helper.from_array(rounded, tensor.name))
        insert_rounding(variant, {name for name in variant.graph.node[i].output if name in values})
        yield node.name, variant


def _give_each_kept_node_its_own_weights(model: ModelProto, kept: set[str]) -> None:
    """The converter rounds an initialiser that is shared with a node it converts."""
    weights = {tensor.name: tensor for tensor in model.graph.initializer if tensor.data_type == TensorProto.FLOAT}
    for node in model.graph.node:
        for i, name in enumerate(node.input):
            if node.name in kept and name in weights:
                own = model.graph.initializer.add()
                own.CopyFrom(weights[name])
                own.name = node.input[i] = f"{name}/{node.name}"
    used = {name for node in model.graph.node for name in node.input}
    unused = [tensor for tensor in model.graph.initializer if tensor.name not in used]
    for tensor in unused:
        model.graph.initializer.remove(tensor)


def _repair(model: ModelProto) -> None:
    """Mend what the converter leaves around kept nodes.

    It writes the same Cast once for each kept node that reads a value, appends Casts at the graph's end, rounds
    between two kept nodes, and notes the types from before.
    """
    del model.graph.value_info[:]
    nodes = list({tuple(node.output): node for node in model.graph.node}.values())
    _join_kept(nodes)
    wanted = {name for node in nodes for name in node.input} | {value.name for value in model.graph.output}
    nodes = [node for node in nodes if wanted.intersection(node.output)]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    sort_nodes(model)


def _join_kept(nodes: list[NodeProto]) -> None:
    """float32 -> half -> float32 is left out: the reader of the end reads the beginning."""
    source = {node.output[0]: node for node in nodes if _casts_to(node, TensorProto.FLOAT16)}
    same = {
        node.output[0]: source[node.input[0]].input[0]
        for node in nodes
        if _casts_to(node, TensorProto.FLOAT) and node.input[0] in source and _was_kept(source[node.input[0]])
    }
    for node in nodes:
        for i, name in enumerate(node.input):
            node.input[i] = same.get(name, name)


def _casts_to(node: NodeProto, kind: int) -> bool:
    return bool(node.op_type == "Cast" and helper.get_node_attr_value(node, "to") == kind)


def _was_kept(cast: NodeProto) -> bool:
    """Whether the converter put this Cast behind a kept node."""
    return bool(cast.input[0] == f"{cast.output[0]}_cast_to_fp16")
