"""A tiny real engine for covers, whose answers a person can compute.

Clarity is 1 + 9 times the picture's mean brightness; the saliency of a place is its red in [0, 1], so that an object
is what is painted red on blue or black.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

from runtime.manifest import METADATA_KEY, ClarityHead, Input, Manifest, Provenance, Resize, SaliencyHead

Kind = Literal["clarity", "saliency"]
BOTH: Final[tuple[Kind, Kind]] = ("clarity", "saliency")
WIDE: Final = Input(name="frames", height=90, width=160, resize=Resize(fit="stretch"))


def cover_manifest(
    name: str = "cover", kinds: Sequence[Kind] = BOTH, spec: Input = WIDE, threshold: float | None = None
) -> Manifest:
    """The manifest of such an engine; ``threshold`` is the clarity's."""
    heads = {
        "clarity": ClarityHead(output="clarity", threshold=threshold),
        "saliency": SaliencyHead(output="saliency", height=spec.height, width=spec.width),
    }
    return Manifest(
        name=name,
        version="1",
        digest="sha256:" + name.encode().hex().ljust(64, "0")[:64],
        inputs=(spec,),
        heads=tuple(heads[kind] for kind in kinds),
        provenance=Provenance(data="none: computed", licence="Apache-2.0", command="tests.cover_engine"),
    )


def make_cover_engine(
    path: Path, *kinds: Kind, spec: Input = WIDE, threshold: float | None = None, name: str = "cover"
) -> Path:
    """Write an engine with these heads, both where none is named; ``spec`` is a uint8 NHWC RGB input."""
    kinds = kinds or BOTH
    outputs = {"clarity": ["batch"], "saliency": ["batch", spec.height, spec.width]}
    graph = helper.make_graph(
        _nodes(kinds, spec),
        "cover",
        [helper.make_tensor_value_info(spec.name, TensorProto.UINT8, ["batch", *spec.shape])],
        [helper.make_tensor_value_info(kind, TensorProto.FLOAT, outputs[kind]) for kind in kinds],
        [numpy_helper.from_array(value, key) for key, value in _CONSTANTS.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    text = cover_manifest(name, kinds, spec, threshold).model_dump_json()
    model.metadata_props.add(key=METADATA_KEY, value=text)
    onnx.save(model, path)
    return path


def painted(
    width: int, height: int, box: tuple[int, int, int, int] | None, around: tuple[int, int, int] = (0, 120, 255)
) -> NDArray[np.uint8]:
    """A picture, RGB, with a red rectangle: left, top, right, bottom in pixels."""
    pixels = np.full((height, width, 3), around, np.uint8)
    if box:
        left, top, right, bottom = box
        pixels[top:bottom, left:right] = (255, *around[1:])
    return pixels


def _nodes(kinds: Sequence[Kind], spec: Input) -> list[NodeProto]:
    nodes = [
        helper.make_node("Cast", [spec.name], ["levels"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["levels", "white"], ["pixels"]),
    ]
    if "clarity" in kinds:
        nodes += [
            helper.make_node("ReduceMean", ["pixels", "all"], ["brightness"], keepdims=0),
            helper.make_node("Mul", ["brightness", "nine"], ["above one"]),
            helper.make_node("Add", ["above one", "one"], ["clarity"]),
        ]
    if "saliency" in kinds:
        nodes.append(helper.make_node("Gather", ["pixels", "red"], ["saliency"], axis=3))
    return nodes


_CONSTANTS: Final[dict[str, NDArray[Any]]] = {
    "white": np.array(255, np.float32),
    "nine": np.array(9, np.float32),
    "one": np.array(1, np.float32),
    "all": np.array([1, 2, 3], np.int64),
    "red": np.array(0, np.int64),
}
