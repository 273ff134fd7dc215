"""Small real ONNX graphs that stand for trained networks: their answers are known."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from training.networks.description import Description

Array = NDArray[Any]


def classifier(path: Path, weights: Array, *, batch: int | str = "N", side: int = 8, layout: str = "NCHW") -> None:
    """Logits (batch, k) = mean of the input over the picture (batch, 3) @ ``weights`` (3, k)."""
    shape = [batch, 3, side, side] if layout == "NCHW" else [batch, side, side, 3]
    axes = [2, 3] if layout == "NCHW" else [1, 2]
    nodes = [
        helper.make_node("ReduceMean", ["pixels", "axes"], ["mean"], keepdims=0),
        helper.make_node("MatMul", ["mean", "weights"], ["logits"]),
    ]
    values: dict[str, Array] = {"axes": np.array(axes, np.int64), "weights": weights.astype(np.float32)}
    _save(path, nodes, values, shape, {"logits": [batch, weights.shape[1]]})


def constant(path: Path, outputs: dict[str, Array], *, side: int) -> None:
    """Gives ``outputs`` whatever it is shown: a picture (1, 3, side, side)."""
    nodes, values = [], {}
    for name, output in outputs.items():
        values[f"{name}_value"] = output
        nodes.append(helper.make_node("Identity", [f"{name}_value"], [name]))
    _save(path, nodes, values, [1, 3, side, side], {name: list(output.shape) for name, output in outputs.items()})


def _save(
    path: Path, nodes: list[Any], values: dict[str, Array], shape: list[Any], outputs: dict[str, list[Any]]
) -> None:
    kinds = {name: TensorProto.INT64 if name == "labels" else TensorProto.FLOAT for name in outputs}
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(name, kinds[name], sizes) for name, sizes in outputs.items()],
        [numpy_helper.from_array(value, name) for name, value in values.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    path.write_bytes(model.SerializeToString())


def describe(**fields: Any) -> Description:
    """A description of NET.onnx, 8 x 8 RGB, stretched, logits, but for what ``fields`` say."""
    spec = {
        "height": 8,
        "width": 8,
        "mean": (0.0, 0.0, 0.0),
        "std": (255.0, 255.0, 255.0),
        "resize": {"kind": "stretch"},
        **fields.pop("input", {}),
    }
    known = {
        "name": "net",
        "family": "means",
        "task": "classification",
        "model": "net.onnx",
        "licence": "Apache-2.0",
        "source": "the net's own page",
        "input": spec,
        "decode": {"kind": "logits"},
    }
    return Description.model_validate({**known, **fields})
