"""Small real ONNX graphs: the mean of a picture as its utility."""

import numpy as np
from onnx import ModelProto, TensorProto, helper, numpy_helper

Shape = list[int | str]


def mean_graph(
    *,
    dtype: int = TensorProto.UINT8,
    shape: Shape | None = None,
    output: int = TensorProto.FLOAT,
    scale: float = 1 / 255,
) -> ModelProto:
    """frames -> Cast -> mean over the picture -> times ``scale`` -> utility (batch,)."""
    shape = ["batch", 32, 48, 3] if shape is None else shape
    weights = {"scale": np.array(scale, np.float32), "axes": np.array([1, 2, 3], np.int64)}
    nodes = [
        helper.make_node("Cast", ["frames"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["pixels", "axes"], ["mean"], keepdims=0),
        helper.make_node("Mul", ["mean", "scale"], ["score"]),
        helper.make_node("Cast", ["score"], ["utility"], to=output),
    ]
    graph = helper.make_graph(
        nodes,
        "mean",
        [helper.make_tensor_value_info("frames", dtype, shape)],
        [helper.make_tensor_value_info("utility", output, shape[:1])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
