"""A tiny real engine that compares, whose scores a person can compute.

A tile's score is 5 minus 4 times its mean absolute difference from the reference's tile, in luminance of [0, 1]:
5 for equal tiles, 1 for black beside white.
"""

from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from runtime.manifest import METADATA_KEY, Input, Manifest, QualityFrHead
from tests.engines import fitting_manifest

TILE: Final = 16
DISTORTED: Final = Input(name="distorted", height=TILE, width=TILE, tiles=True)
PRISTINE: Final = Input(name="reference", height=TILE, width=TILE, tiles=True, of="reference")
WEIGHTS: Final = np.array([0.299, 0.587, 0.114], np.float32)


def comparing(name: str = "fr", threshold: float | None = None, **other: Any) -> Manifest:
    """The manifest of such an engine; ``other`` replaces fields."""
    head = QualityFrHead(output="quality_fr", threshold=threshold)
    return fitting_manifest(name, **{"inputs": (DISTORTED, PRISTINE), "heads": (head,), **other})


def make_comparing_engine(
    path: Path, *, threshold: float | None = None, nan_for_black: bool = False, manifest: Manifest | None = None
) -> Path:
    """Write the engine, of tiles of ``TILE`` pixels.

    Args:
        path: where.
        threshold: the head's.
        nan_for_black: it answers NaN where the reference's tile is black.
        manifest: another one.
    """
    nodes = []
    for spec in (DISTORTED, PRISTINE):
        nodes += [
            helper.make_node("Cast", [spec.name], [f"{spec.name} levels"], to=TensorProto.FLOAT),
            helper.make_node("MatMul", [f"{spec.name} levels", "weights"], [f"{spec.name} luminance"]),
        ]
    nodes += [
        helper.make_node("Sub", ["distorted luminance", "reference luminance"], ["residual"]),
        helper.make_node("Abs", ["residual"], ["difference"]),
        helper.make_node("ReduceMean", ["difference", "all"], ["mean"], keepdims=0),
        helper.make_node("Mul", ["mean", "slope"], ["loss"]),
        helper.make_node("Sub", ["five", "loss"], ["score"]),
    ]
    if nan_for_black:
        nodes += [
            helper.make_node("ReduceMean", ["reference luminance", "all"], ["light"], keepdims=0),
            helper.make_node("Div", ["light", "light"], ["one, or nan"]),
            helper.make_node("Mul", ["score", "one, or nan"], ["quality_fr"]),
        ]
    else:
        nodes.append(helper.make_node("Identity", ["score"], ["quality_fr"]))
    constants: dict[str, NDArray[Any]] = {
        "weights": WEIGHTS[:, None],
        "all": np.array([1, 2, 3], np.int64),
        "slope": np.array(4 / 255, np.float32),
        "five": np.array(5, np.float32),
    }
    graph = helper.make_graph(
        nodes,
        "difference",
        [
            helper.make_tensor_value_info(spec.name, TensorProto.UINT8, ["batch", *spec.shape])
            for spec in (DISTORTED, PRISTINE)
        ],
        [helper.make_tensor_value_info("quality_fr", TensorProto.FLOAT, ["batch"])],
        [numpy_helper.from_array(value, key) for key, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    text = (manifest or comparing(path.stem, threshold)).model_dump_json()
    model.metadata_props.add(key=METADATA_KEY, value=text)
    onnx.save(model, path)
    return path


def tile_score(distorted: NDArray[np.uint8], reference: NDArray[np.uint8]) -> float:
    """What it gives to one tile, RGB."""
    residual = (distorted.astype(np.float64) - reference.astype(np.float64)) @ WEIGHTS.astype(np.float64)
    return 5 - 4 * float(np.abs(residual).mean()) / 255
