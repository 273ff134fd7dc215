"""Rounding weights to 8 bits so that a layer's outputs change least on real pictures.

Rounding each weight to the nearest step errs in sums: a filter whose weights nearly cancel answers to the brightness
that it should not see. Here a weight's rounding error is made good by the weights that are rounded after it, as the
second moments of the layer's inputs tell (E. Frantar, S. P. Singh, D. Alistarh, "Optimal Brain Compression",
NeurIPS 2022; E. Frantar et al., "GPTQ", ICLR 2023), and the mean of what is left goes into the bias (M. Nagel et al.,
"Data-Free Quantization Through Weight Equalization and Bias Correction", ICCV 2019).
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, helper, numpy_helper

from export.samples import Samples

Floats = NDArray[np.float64]

POSITIONS = 64
"""Places in each sample from which a convolution's inputs are taken."""
MOST_INPUTS = 2400
"""Weights of one filter: from more of them the moments would not fit in memory, and plain rounding has to do."""
DAMPING = 0.01
"""Of the moments' mean diagonal, added to it: inputs that hardly vary shall not bear the others' errors."""
DAMPINGS = 6
"""Each ten times the one before, until the moments of inputs that do not vary can be inverted."""


@dataclass(frozen=True)
class Layer:
    """A convolution or a fully connected layer: each of its filters sees one group of inputs."""

    node: NodeProto
    weights: NDArray[np.float32]
    groups: int

    @property
    def filters(self) -> NDArray[np.float32]:
        """(groups, filters in a group, inputs of a filter)."""
        return self.weights.reshape(self.groups, len(self.weights) // self.groups, -1)


@dataclass
class Moments:
    """First and second moments of a layer's inputs, by group: (groups, inputs), (groups, inputs, inputs)."""

    count: int
    first: Floats
    second: Floats

    def centred(self) -> tuple[Floats, Floats]:
        """Mean and covariance."""
        mean = self.first / self.count
        return mean, self.second / self.count - mean[:, :, None] * mean[:, None, :]


def find_layers(model: ModelProto) -> list[Layer]:
    """The layers whose weights can be rounded so: theirs alone, first axis the filters."""
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    users = Counter(name for node in model.graph.node for name in node.input)
    layers = []
    for node in model.graph.node:
        if node.op_type not in ("Conv", "Gemm") or users[node.input[1]] != 1 or node.input[1] not in weights:
            continue
        attributes = _attributes(node)
        values = numpy_helper.to_array(weights[node.input[1]])
        known = (
            values.ndim == 4 and attributes.get("auto_pad", b"NOTSET") == b"NOTSET"
            if node.op_type == "Conv"
            else attributes.get("transB", 0) and not attributes.get("transA", 0) and attributes.get("alpha", 1.0) == 1
        )
        bias = node.input[2] if len(node.input) > 2 else ""
        own_bias = not bias or (bias in weights and users[bias] == 1 and attributes.get("beta", 1.0) == 1)
        if known and own_bias and values[0].size <= MOST_INPUTS:
            layers.append(Layer(node, values, attributes.get("group", 1)))
    return layers


def collect_moments(model: ModelProto, samples: Samples) -> dict[str, Moments]:
    """Moments of each layer's inputs over the samples, by the node's name."""
    layers = find_layers(model)
    augmented = ModelProto()
    augmented.CopyFrom(model)
    names = sorted({layer.node.input[0] for layer in layers})
    given = {output.name for output in model.graph.output}
    augmented.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in names if name not in given)
    options = ort.SessionOptions()
    options.intra_op_num_threads = 2
    options.log_severity_level = 3
    session = ort.InferenceSession(augmented.SerializeToString(), options, providers=["CPUExecutionProvider"])
    random = np.random.default_rng(0)
    moments: dict[str, Moments] = {}
    for one in samples.batches(1):
        values = dict(zip(names, session.run(names, one.inputs), strict=True))
        for layer in layers:
            seen = _seen(layer, values[layer.node.input[0]], random).astype(np.float64)  # sums of squares need it
            first = seen.sum(axis=1)
            second = np.matmul(seen.transpose(0, 2, 1), seen)
            sums = moments.setdefault(layer.node.name, Moments(0, np.zeros_like(first), np.zeros(second.shape)))
            sums.count += seen.shape[1]
            sums.first += first
            sums.second += second
    return moments


@dataclass(frozen=True)
class Rounded:
    """A layer's weights on the grid of 8 bits, in float32 still, and what its bias gains by that."""

    weights: NDArray[np.float32]
    shift: NDArray[np.float32]


def round_layers(model: ModelProto, moments: dict[str, Moments], levels: int) -> dict[str, Rounded]:
    """Round the weights of the layers whose moments are known, ``levels`` steps a side, by the node's name.

    Each filter's largest weight stays where it is, so that a quantizer finds the same grid again.
    """
    rounded = {}
    for layer in find_layers(model):
        mean, covariance = moments[layer.node.name].centred()
        filters = layer.filters.astype(np.float64)
        grid = np.stack([_round_filters(*group, levels) for group in zip(filters, covariance, strict=True)])
        shift = ((filters - grid) @ mean[:, :, None]).ravel()
        weights = grid.reshape(layer.weights.shape)
        rounded[layer.node.name] = Rounded(weights.astype(np.float32), shift.astype(np.float32))
    return rounded


def put_rounded(model: ModelProto, rounded: Mapping[str, Rounded]) -> None:
    """Give the named layers their rounded weights, in place."""
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.name in rounded:
            layer = rounded[node.name]
            tensors[node.input[1]].CopyFrom(numpy_helper.from_array(layer.weights, node.input[1]))
            _add_to_bias(model, node, tensors, layer.shift)


def _round_filters(filters: Floats, covariance: Floats, levels: int) -> Floats:
    """(filters, inputs), rounded one input after the other, the most varying first."""
    count = filters.shape[1]
    largest = np.abs(filters).max(axis=1)
    steps = np.where(largest > 0, largest / levels, 1)[:, None]
    order = np.argsort(-np.diag(covariance), kind="stable")
    spread = _error_spread(covariance[np.ix_(order, order)])
    wanted = (filters / steps)[:, order]
    codes = np.empty_like(wanted)
    for i in range(count):
        codes[:, i] = np.clip(np.rint(wanted[:, i]), -levels, levels)
        error = (wanted[:, i] - codes[:, i]) / spread[i, i]
        wanted[:, i + 1 :] -= error[:, None] * spread[i, i + 1 :]
    rounded = np.empty_like(codes)
    rounded[:, order] = codes
    rows, columns = np.arange(len(filters)), np.abs(filters).argmax(axis=1)
    rounded[rows, columns] = np.sign(filters[rows, columns]) * levels
    return np.asarray(rounded * steps)


def _error_spread(covariance: Floats) -> Floats:
    """The upper Cholesky factor of the damped covariance's inverse: how an input's error goes to those behind it.

    The identity, which spreads nothing and so rounds to the nearest step, where no damping makes it positive definite.
    """
    count = len(covariance)
    if not np.isfinite(covariance).all():
        return np.eye(count)
    damping = DAMPING * max(0.0, float(np.trace(covariance))) / count + 1e-9
    for _ in range(DAMPINGS):
        try:
            damped = covariance + np.eye(count) * damping
            np.linalg.cholesky(damped)  # a matrix that is not positive definite can have an inverse that seems to be
            return np.asarray(np.linalg.cholesky(np.linalg.inv(damped)).T)
        except np.linalg.LinAlgError:
            damping *= 10
    return np.eye(count)


def _add_to_bias(model: ModelProto, node: NodeProto, tensors: dict[str, Any], shift: NDArray[np.float32]) -> None:
    if len(node.input) > 2 and node.input[2]:
        bias = tensors[node.input[2]]
        bias.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(bias) + shift, bias.name))
        return
    name = f"{node.name}_bias"
    model.graph.initializer.append(numpy_helper.from_array(shift, name))
    del node.input[2:]
    node.input.append(name)


def _seen(layer: Layer, values: NDArray[Any], random: np.random.Generator) -> NDArray[np.float32]:
    """What the filters see at some places of one sample: (groups, places, inputs).

    Where the layer sees patches of the sample, ``values`` has a row for each, and places are drawn from all of them.
    """
    if layer.node.op_type == "Gemm":
        return np.asarray(values[None], np.float32)
    attributes = _attributes(layer.node)
    strides, dilations = attributes.get("strides", [1, 1]), attributes.get("dilations", [1, 1])
    top, left, bottom, right = attributes.get("pads", [0, 0, 0, 0])
    padded = np.pad(values, ((0, 0), (0, 0), (top, bottom), (left, right)))
    reach = [(size - 1) * step + 1 for size, step in zip(layer.weights.shape[2:], dilations, strict=True)]
    windows = np.lib.stride_tricks.sliding_window_view(padded, reach, axis=(2, 3))
    windows = windows[:, :, :: strides[0], :: strides[1], :: dilations[0], :: dilations[1]]
    rows, _, height, width = windows.shape[:4]
    row, top, left = np.unravel_index(random.permutation(rows * height * width)[:POSITIONS], (rows, height, width))
    picked = windows[row, :, top, left]  # (places, channels, kernel height, kernel width)
    grouped = picked.reshape(len(picked), layer.groups, -1).swapaxes(0, 1)
    return np.ascontiguousarray(grouped, np.float32)


def _attributes(node: NodeProto) -> dict[str, Any]:
    return {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
