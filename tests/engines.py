"""Makers of tiny real engines: ONNX files with their manifests, whose scores a person can compute.

The utility is the picture's mean brightness in [0, 1]; the quality is a softmax over the opinions 1..5 that moves
up as the picture gets brighter. Warm-up shows an engine grey only, so faults that need black or white come later.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

from runtime.manifest import METADATA_KEY, Input, Manifest, Provenance, QualityHead, Resize, UtilityHead

Kind = Literal["utility", "quality"]
Fault = Literal["", "nan for black", "infinity for black", "nan for grey", "fails on white"]

PLAIN: Final = Resize(fit="stretch")
PIXELS: Final = Input(name="frames", height=24, width=32, resize=PLAIN)
"""uint8 NHWC, as most engines here take it."""
NORMALISED: Final = Input(
    name="frames",
    dtype="float32",
    layout="NCHW",
    height=24,
    width=32,
    resize=PLAIN,
    mean=(123.675, 116.28, 103.53),
    std=(58.395, 57.12, 57.375),
)
"""float32 NCHW with ImageNet's mean and deviation; its engine undoes them."""

SLOPES: Final = np.array([-8, -4, 0, 4, 8], np.float32)
"""Logit of each opinion per unit of brightness above the middle."""
OUTPUTS: Final[dict[Kind, str]] = {"utility": "usefulness", "quality": "opinions"}
_TENSORS = {"uint8": TensorProto.UINT8, "float32": TensorProto.FLOAT, "float16": TensorProto.FLOAT16}


def make_engine(
    path: Path,
    *kinds: Kind,
    spec: Input = PIXELS,
    fault: Fault = "",
    batch: str | int = "batch",
    manifest: Manifest | str | Literal["fitting"] | None = "fitting",
    name: str = "",
    squeeze: bool = True,
) -> Path:
    """Write an engine.

    Args:
        path: where.
        kinds: its heads; utility alone where none is named.
        spec: what its graph takes (and, unless ``manifest`` is given, what its manifest says).
        fault: how it misbehaves.
        batch: the first dimension; a number fixes it.
        manifest: another one, any text, or None to leave it out.
        name: in the manifest; default: the file's.
        squeeze: False leaves the utility at shape (batch, 1).
    """
    kinds = kinds or ("utility",)
    model = helper.make_model(
        helper.make_graph(
            list(_nodes(kinds, spec, fault, squeeze)),
            "brightness",
            [helper.make_tensor_value_info(spec.name, _TENSORS[spec.dtype], [batch, *spec.shape])],
            [helper.make_tensor_value_info(OUTPUTS[kind], TensorProto.FLOAT, None) for kind in kinds],
            [numpy_helper.from_array(value, key) for key, value in _constants(spec).items()],
        ),
        opset_imports=[helper.make_opsetid("", 20)],
        ir_version=10,
    )
    if manifest == "fitting":
        manifest = fitting_manifest(name or path.stem, kinds, spec)
    if manifest is not None:
        text = manifest if isinstance(manifest, str) else manifest.model_dump_json()
        model.metadata_props.add(key=METADATA_KEY, value=text)
    onnx.save(model, path)
    return path


def fitting_manifest(name: str, kinds: Sequence[Kind] = ("utility",), spec: Input = PIXELS, **other: Any) -> Manifest:
    """The manifest of such an engine; ``other`` replaces fields."""
    heads = {
        "utility": UtilityHead(output=OUTPUTS["utility"], threshold=0.5),
        "quality": QualityHead(output=OUTPUTS["quality"], threshold=3),
    }
    fields: dict[str, Any] = {
        "name": name,
        "version": "1",
        "digest": "sha256:" + name.encode().hex().ljust(64, "0")[:64],
        "inputs": (spec,),
        "heads": tuple(heads[kind] for kind in kinds),
        "provenance": Provenance(data="none: computed", licence="Apache-2.0", command="tests.engines.make_engine"),
    }
    return Manifest(**{**fields, **other})


def brightness(pixels: NDArray[np.uint8]) -> float:
    """The utility that these engines give to pixels of their input's size."""
    return float(pixels.mean(dtype=np.float64)) / 255


def opinions(utility: float) -> NDArray[np.float64]:
    """The quality's distribution that these engines give beside that utility."""
    shares: NDArray[np.float64] = np.exp(SLOPES.astype(np.float64) * (utility - 0.5))
    shares /= shares.sum()
    return shares


def _constants(spec: Input) -> dict[str, NDArray[Any]]:
    channels = (1, 3, 1, 1) if spec.layout == "NCHW" else (1, 1, 1, 3)
    return {
        "deviation": np.reshape(spec.std or (1, 1, 1), channels).astype(np.float32),
        "centre": np.reshape(spec.mean or (0, 0, 0), channels).astype(np.float32),
        "all": np.array([1, 2, 3], np.int64),
        "last": np.array([1], np.int64),
        "white": np.array(255, np.float32),
        "almost white": np.array(254, np.float32),
        "grey": np.array(114, np.float32),
        "half": np.array(0.5, np.float32),
        "slopes": SLOPES[None],
    }


def _nodes(kinds: Sequence[Kind], spec: Input, fault: Fault, squeeze: bool) -> Iterator[NodeProto]:
    """input -> pixels 0..255 -> brightness (batch, 1) -> heads."""
    yield helper.make_node("Cast", [spec.name], ["cast"], to=TensorProto.FLOAT)
    yield helper.make_node("Mul", ["cast", "deviation"], ["spread"])
    yield helper.make_node("Add", ["spread", "centre"], ["pixels"])
    yield helper.make_node("ReduceMean", ["pixels", "all"], ["mean of all"], keepdims=0)
    yield helper.make_node("Unsqueeze", ["mean of all", "last"], ["mean"])
    yield from _FAULTS[fault]()
    yield helper.make_node("Div", ["faulty", "white"], ["brightness"])
    if "utility" in kinds:
        shape = ["Squeeze", ["brightness", "last"]] if squeeze else ["Identity", ["brightness"]]
        yield helper.make_node(*shape, [OUTPUTS["utility"]])
    if "quality" in kinds:
        yield helper.make_node("Sub", ["brightness", "half"], ["above the middle"])
        yield helper.make_node("Mul", ["above the middle", "slopes"], ["logits"])
        yield helper.make_node("Softmax", ["logits"], [OUTPUTS["quality"]], axis=1)


def _no_fault() -> Iterator[NodeProto]:
    yield helper.make_node("Identity", ["mean"], ["faulty"])


def _nan_for_black() -> Iterator[NodeProto]:
    """mean * (mean / mean): 0 / 0 is not a number."""
    yield helper.make_node("Div", ["mean", "mean"], ["one"])
    yield helper.make_node("Mul", ["mean", "one"], ["faulty"])


def _infinity_for_black() -> Iterator[NodeProto]:
    """1 / (1 / mean) with a detour: 1 / 0 is infinite, and stays so in the sum."""
    yield helper.make_node("Div", ["white", "mean"], ["inverse"])
    yield helper.make_node("Sub", ["inverse", "inverse"], ["nothing, or nan"])
    yield helper.make_node("IsNaN", ["nothing, or nan"], ["black"])
    yield helper.make_node("Where", ["black", "inverse", "mean"], ["faulty"])


def _nan_for_grey() -> Iterator[NodeProto]:
    """The difference to grey over itself, times grey: only a plain grey frame is 0 / 0."""
    yield helper.make_node("Sub", ["mean", "grey"], ["difference"])
    yield helper.make_node("Div", ["difference", "difference"], ["one"])
    yield helper.make_node("Mul", ["mean", "one"], ["faulty"])


def _fails_on_white() -> Iterator[NodeProto]:
    """A reshape to one element too many, as soon as a mean in the batch is over 254."""
    yield helper.make_node("Greater", ["mean", "almost white"], ["is white"])
    yield helper.make_node("Cast", ["is white"], ["whiteness"], to=TensorProto.INT64)
    yield helper.make_node("ReduceMax", ["whiteness"], ["too many"], keepdims=0)
    yield helper.make_node("Shape", ["mean"], ["shape"])
    yield helper.make_node("Add", ["shape", "too many"], ["wrong shape"])
    yield helper.make_node("Reshape", ["mean", "wrong shape"], ["faulty"])


_FAULTS = {
    "": _no_fault,
    "nan for black": _nan_for_black,
    "infinity for black": _infinity_for_black,
    "nan for grey": _nan_for_grey,
    "fails on white": _fails_on_white,
}
