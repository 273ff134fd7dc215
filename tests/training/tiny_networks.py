"""Networks of a few weights, as real ONNX files with their descriptions; what they say depends on the picture."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from training.networks.description import Boxes, Description, Input, Logits, Stretch

SIDE = 32


def write_classifier(folder: Path, name: str, *, family: str = "linear", seed: int = 0) -> Path:
    """A linear classifier of the picture in 4 x 4 cells; returns its description's file, the weights lie beside it."""
    weights = np.random.default_rng(seed).normal(0, 1.2, (48, 1000)).astype(np.float32)
    nodes = [
        helper.make_node("AveragePool", ["pictures"], ["cells"], kernel_shape=[8, 8], strides=[8, 8]),
        helper.make_node("Flatten", ["cells"], ["flat"]),
        helper.make_node("Gemm", ["flat", "weights"], ["logits"]),
    ]
    _save(folder / f"{name}.onnx", nodes, {"weights": weights}, [("logits", TensorProto.FLOAT, ["batch", 1000])])
    return _describe(folder, name, family, "classification", Logits())


def write_detector(folder: Path, name: str, *, family: str = "bright") -> Path:
    """Sees a thing of COCO's class 0 in the left half, as surely as the picture is bright (score: its mean)."""
    constants: dict[str, NDArray[Any]] = {
        "left half": np.array([[0, 0, SIDE / 2, SIDE]], np.float32),
        "person": np.array([1], np.int64),
        "all": np.array([1, 2, 3], np.int64),
    }
    nodes = [
        helper.make_node("ReduceMean", ["pictures", "all"], ["scores"], keepdims=0),
        helper.make_node("Identity", ["left half"], ["boxes"]),
        helper.make_node("Identity", ["person"], ["labels"]),
    ]
    outputs: list[tuple[str, int, list[str | int]]] = [
        ("boxes", TensorProto.FLOAT, [1, 4]),
        ("labels", TensorProto.INT64, [1]),
        ("scores", TensorProto.FLOAT, ["batch"]),
    ]
    _save(folder / f"{name}.onnx", nodes, constants, outputs)
    return _describe(folder, name, family, "detection", Boxes())


def _save(
    path: Path,
    nodes: list[onnx.NodeProto],
    constants: dict[str, NDArray[Any]],
    outputs: Sequence[tuple[str, int, Sequence[str | int]]],
) -> None:
    graph = helper.make_graph(
        nodes,
        path.stem,
        [helper.make_tensor_value_info("pictures", TensorProto.FLOAT, ["batch", 3, SIDE, SIDE])],
        [helper.make_tensor_value_info(*output) for output in outputs],
        [numpy_helper.from_array(values, name) for name, values in constants.items()],
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)


def _describe(folder: Path, name: str, family: str, task: str, decode: Logits | Boxes) -> Path:
    centred = task == "classification"
    description = Description.model_validate(
        {
            "name": name,
            "family": family,
            "task": task,
            "model": f"{name}.onnx",
            "licence": "none",
            "source": "made by the tests",
            "input": Input(
                height=SIDE,
                width=SIDE,
                mean=(127.5,) * 3 if centred else (0,) * 3,
                std=(63.75,) * 3 if centred else (255,) * 3,
                resize=Stretch(),
            ).model_dump(),
            "decode": decode.model_dump(),
        }
    )
    path = folder / f"{name}.json"
    path.write_text(description.model_dump_json())
    return path
