"""A tiny real engine of two inputs, the whole picture and patches of it, whose scores a person can compute.

The utility is the whole picture's mean brightness in [0, 1]; the clarity, on [1, 10], is that of the brightest patch;
the saliency is each pixel's brightness.
"""

from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from runtime.manifest import (
    METADATA_KEY,
    ClarityHead,
    Head,
    Input,
    Manifest,
    Patches,
    Resize,
    SaliencyHead,
    UtilityHead,
)
from tests.engines import PIXELS, fitting_manifest

FRAMES: Final = PIXELS
PATCHES: Final = Input(name="patches", height=16, width=8, patches=Patches(rows=2, columns=3, least_side=40))
UTILITY: Final = UtilityHead(output="usefulness", threshold=0.5)
CLARITY: Final = ClarityHead(output="sharpness")
SALIENCY: Final = SaliencyHead(output="map", height=FRAMES.height, width=FRAMES.width)
HEADS: Final[tuple[Head, ...]] = (UTILITY, CLARITY, SALIENCY)


def two_views(name: str, *, scaled_decode: bool = False, heads: tuple[Head, ...] = HEADS, **other: Any) -> Manifest:
    """The manifest of such an engine; ``other`` replaces fields."""
    resize = Resize(scaled_decode=scaled_decode)
    inputs = tuple(spec.model_copy(update={"resize": resize}) for spec in (FRAMES, PATCHES))
    return fitting_manifest(name, **{"inputs": inputs, "heads": heads, **other})


def make_two_views(path: Path, manifest: Manifest | None = None) -> Path:
    """Write the engine, which takes ``FRAMES`` and ``PATCHES``, whatever its manifest says."""
    constants = {
        "white": np.array(255, np.float32),
        "nine": np.array(9, np.float32),
        "one": np.array(1, np.float32),
        "of a frame": np.array([1, 2, 3], np.int64),
        "of a patch": np.array([2, 3, 4], np.int64),
        "of a pixel": np.array([3], np.int64),
        "of all patches": np.array([1], np.int64),
    }
    nodes = [
        helper.make_node("Cast", ["frames"], ["whole"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["whole", "of a frame"], ["mean"], keepdims=0),
        helper.make_node("Div", ["mean", "white"], [UTILITY.output]),
        helper.make_node("ReduceMean", ["whole", "of a pixel"], ["grey"], keepdims=0),
        helper.make_node("Div", ["grey", "white"], [SALIENCY.output]),
        helper.make_node("Cast", ["patches"], ["parts"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["parts", "of a patch"], ["means"], keepdims=0),
        helper.make_node("ReduceMax", ["means", "of all patches"], ["brightest"], keepdims=0),
        helper.make_node("Div", ["brightest", "white"], ["share"]),
        helper.make_node("Mul", ["share", "nine"], ["on nine"]),
        helper.make_node("Add", ["on nine", "one"], [CLARITY.output]),
    ]
    graph = helper.make_graph(
        nodes,
        "two views",
        [
            helper.make_tensor_value_info(spec.name, TensorProto.UINT8, ["batch", *spec.shape])
            for spec in (FRAMES, PATCHES)
        ],
        [helper.make_tensor_value_info(head.output, TensorProto.FLOAT, None) for head in HEADS],
        [numpy_helper.from_array(value, key) for key, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    model.metadata_props.add(key=METADATA_KEY, value=(manifest or two_views(path.stem)).model_dump_json())
    onnx.save(model, path)
    return path


def scores(frame: NDArray[np.uint8], patches: NDArray[np.uint8]) -> tuple[float, float]:
    """Utility and clarity of one frame's two views."""
    means = patches.mean(axis=(1, 2, 3), dtype=np.float64)
    return float(frame.mean(dtype=np.float64)) / 255, 1 + 9 * float(means.max()) / 255
