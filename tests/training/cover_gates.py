"""A gate of covers that a person can compute, as a real engine and as a real checkpoint; and a small set to hold it to.

Saliency is the red of each pixel; clarity grows with the mean step between neighbours in a row.
"""

from pathlib import Path
from typing import Final, Literal

import cv2
import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from runtime.manifest import METADATA_KEY, ClarityHead, Head, Input, Manifest, Provenance, Resize, SaliencyHead
from training.cover.build import Plan, build
from training.cover.cover_set import CoverSet
from training.cover.levels import Level
from training.models.cover_deeplab import CoverDeepLab

SIDE: Final = 48
SPEC: Final = Input(name="frames", height=SIDE, width=SIDE, resize=Resize(fit="stretch"))
CLARITY: Final = ClarityHead(output="clarity")
SALIENCY: Final = SaliencyHead(output="saliency", height=SIDE, width=SIDE)
LEVELS: Final = (Level(0, 10), Level(0.7, 7.5), Level(1.5, 4), Level(4, 1.5))
HALF_STEP: Final = 20
"""Levels of 255: a mean step that gives a clarity of 5.5."""
BACKGROUND, OBJECT = 60, 220
"""Red at most, and at least."""


def clarity_of(pixels: NDArray[np.uint8]) -> float:
    """What the gate says of pixels of its input's size."""
    step = float(np.abs(np.diff(pixels.astype(np.float64), axis=1)).mean())
    return 1 + 9 * step / (step + HALF_STEP)


class RedAndSteps(nn.Module):  # type: ignore[misc] # torch is untyped where only serving is installed
    """Pixels (batch, 3, height, width) in 0..255, of any size."""

    def __init__(self) -> None:
        super().__init__()
        self.half_step = nn.Parameter(torch.tensor(float(HALF_STEP)))

    def forward(self, pixels: Tensor) -> dict[str, Tensor]:
        step = (pixels[..., 1:] - pixels[..., :-1]).abs().mean(dim=(1, 2, 3))
        return {"clarity": 1 + 9 * step / (step + self.half_step), "saliency": pixels[:, 0] / 255}


class RedCells(nn.Module):  # type: ignore[misc] # torch is untyped where only serving is installed
    """The red of every fourth pixel: a map whose cells lie as those of the paper's networks."""

    enlarge = CoverDeepLab.enlarge

    def __init__(self) -> None:
        super().__init__()
        self.white = nn.Parameter(torch.tensor(255.0))

    def forward(self, pixels: Tensor) -> dict[str, Tensor]:
        return {"saliency": pixels[:, 0, ::4, ::4] / self.white}


def write_engine(
    path: Path, *, heads: tuple[Head, ...] = (CLARITY, SALIENCY), spec: Input = SPEC, gain: float = 1
) -> Path:
    """Write the ONNX file; with a ``gain`` above 1 it answers what no head can mean."""
    constants = {
        "red": np.array(0, np.int64),
        "white": np.array(255 / gain, np.float32),
        "half": np.array(HALF_STEP, np.float32),
        "nine": np.array(9, np.float32),
        "one": np.array(1, np.float32),
        "all": np.array([1, 2, 3], np.int64),
        "second": np.array([1], np.int64),
        "first": np.array([0], np.int64),
        "last": np.array([-1], np.int64),
        "end": np.array([spec.width], np.int64),
        "columns": np.array([2], np.int64),
    }
    nodes = [
        helper.make_node("Cast", [spec.name], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("Gather", ["pixels", "red"], ["reds"], axis=3),
        helper.make_node("Div", ["reds", "white"], ["saliency"]),
        helper.make_node("Slice", ["pixels", "second", "end", "columns"], ["right"]),
        helper.make_node("Slice", ["pixels", "first", "last", "columns"], ["left"]),
        helper.make_node("Sub", ["right", "left"], ["steps"]),
        helper.make_node("Abs", ["steps"], ["lengths"]),
        helper.make_node("ReduceMean", ["lengths", "all"], ["step"], keepdims=0),
        helper.make_node("Add", ["step", "half"], ["more"]),
        helper.make_node("Div", ["step", "more"], ["share"]),
        helper.make_node("Mul", ["share", "nine"], ["above"]),
        helper.make_node("Add", ["above", "one"], ["clarity"]),
    ]
    graph = helper.make_graph(
        nodes,
        "red and steps",
        [helper.make_tensor_value_info(spec.name, TensorProto.UINT8, ["batch", *spec.shape])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("clarity", "saliency")],
        [numpy_helper.from_array(value, key) for key, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    manifest = Manifest(
        name=path.stem,
        version="1",
        digest="sha256:" + "0" * 64,
        inputs=(spec,),
        heads=heads,
        provenance=Provenance(data="none: computed", licence="Apache-2.0", command="tests"),
    )
    model.metadata_props.add(key=METADATA_KEY, value=manifest.model_dump_json())
    onnx.save(model, path)
    return path


def write_anchor(path: Path, side: int = 24) -> Path:
    """A published network's like: float (1, 3, side, side) in, red out, (1, 1, side, side)."""
    nodes = [helper.make_node("Gather", ["picture", "red"], ["map"], axis=1)]
    graph = helper.make_graph(
        nodes,
        "red",
        [helper.make_tensor_value_info("picture", TensorProto.FLOAT, [1, 3, side, side])],
        [helper.make_tensor_value_info("map", TensorProto.FLOAT, [1, 1, side, side])],
        [numpy_helper.from_array(np.array([0], np.int64), "red")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), path)
    return path


def write_cover_set(
    folder: Path,
    *,
    count: int = 6,
    size: tuple[int, int] = (SIDE, SIDE),
    split: Literal["test", "source"] = "test",
    seed: int = 1,
) -> CoverSet:
    """Pictures of noise with a red box each, their masks, four blurs of each; all for the test, or half of them."""
    random = np.random.default_rng(seed)
    height, width = size
    for name in ("images", "ground_truth_mask"):
        (folder / "pictures" / name).mkdir(parents=True)
    for number in range(count):
        pixels = random.integers(0, 256, (height, width, 3)).astype(np.uint8)
        pixels[..., 0] = random.integers(0, BACKGROUND, (height, width))
        mask = np.zeros((height, width), np.uint8)
        top, left = (int(random.integers(2, side // 2)) for side in size)
        mask[top : top + height // 3, left : left + width // 4] = 255
        pixels[mask > 0, 0] = random.integers(OBJECT, 256, int((mask > 0).sum()))
        cv2.imwrite(str(folder / "pictures" / "images" / f"{number}.png"), pixels[..., ::-1])
        cv2.imwrite(str(folder / "pictures" / "ground_truth_mask" / f"{number}.png"), mask)
    plan = Plan(folder / "pictures", "salient", levels=LEVELS, split=split, test_share=0.5)
    return build(folder / "set", plan, _Unwatched())


class _Unwatched:
    def begin(self, phase: str, total: int) -> None: ...

    def advance(self) -> None: ...
