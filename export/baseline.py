"""The engine ``utility-baseline``: how sure an ImageNet classifier is of what it sees.

The paper's general definition of utility for a machine, in its no-reference form, is the confidence of the
prediction (Z. A. Khan, G. Valenzise, A. Chetouani, F. Dufaux, "Towards an Image Utility Assessment Framework
for Machine Perception", EUSIPCO 2022, section III.A). Nothing is trained for utility here: a baseline.
"""

from pathlib import Path

import torch
from onnx import ModelProto
from torch import Tensor, nn

from export.manifest import attach_manifest, save_model, weights_digest
from runtime.errors import EngineError
from runtime.manifest import Input, Manifest, Provenance, Resize, UtilityHead
from training.models.efficientnet_lite import MEAN, SIDE_PX, STD, efficientnet_lite0

OPSET = 20
INPUT, OUTPUT = "frames", "utility"
RESIZE = Resize(fit="crop", halve=True, scaled_decode=True)
THRESHOLD = 0.1
METRICS = {
    "auroc_class_right_photos": 0.919,
    "auroc_damaged_photos": 0.779,
    "auroc_damaged_coco": 0.658,
    "auroc_damaged_camvid": 0.675,
    "auroc_damaged_720p": 0.689,
}
"""Measured by ``python -m export measure-baseline``; the card says on what and why these choices."""


class Confidence(nn.Module):  # type: ignore[misc] # torch is untyped where only serving is installed
    """Frames (batch, height, width, 3) uint8 RGB -> the largest class probability (batch,) float32."""

    def __init__(self, classifier: nn.Module) -> None:
        super().__init__()
        self.classifier = classifier

    def forward(self, frames: Tensor) -> Tensor:
        # Cast, then transpose: TensorRT's parser refuses to transpose uint8. Contiguous, for in the memory
        # order of NHWC the exporter writes the pooling as a gather over all of the batch.
        pixels = frames.to(torch.float32).permute(0, 3, 1, 2).contiguous()
        logits = self.classifier((pixels - MEAN) / STD)
        return torch.softmax(logits, dim=1).amax(dim=1)


def export_baseline(path: Path) -> Manifest:
    """Write the engine to ``path``, one ONNX file with its manifest.

    Raises:
        ConfigError: a package of the extra ``export`` is not installed.
    """
    model = to_onnx(Confidence(efficientnet_lite0()))
    manifest = describe(weights_digest(model))
    attach_manifest(model, manifest, str(path))
    save_model(model, path)
    return manifest


def to_onnx(network: nn.Module) -> ModelProto:
    """The network as a graph of opset ``OPSET``, its batch dynamic.

    Raises:
        EngineError: the exporter wrote another opset.
    """
    example = torch.zeros(2, SIDE_PX, SIDE_PX, 3, dtype=torch.uint8)
    program = torch.onnx.export(
        network.eval(),
        (example,),
        dynamo=True,
        opset_version=OPSET,
        input_names=[INPUT],
        output_names=[OUTPUT],
        dynamic_shapes=({0: torch.export.Dim("batch", min=1)},),
        verbose=False,
    )
    model: ModelProto = program.model_proto
    written = {entry.domain: entry.version for entry in model.opset_import}
    if written != {"": OPSET}:  # where it cannot convert to the opset asked for, the exporter keeps its own
        raise EngineError(f"asked for opset {OPSET}, torch {torch.__version__} wrote {written}: use torch 2.9 or newer")
    strip_traces(model)
    return model


def strip_traces(model: ModelProto) -> None:
    """Drop what the exporter notes about each node: stack traces with the paths of the machine it ran on."""
    graph = model.graph
    for part in (model, graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        part.doc_string = ""
        del part.metadata_props[:]


def describe(digest: str) -> Manifest:
    return Manifest(
        name="utility-baseline",
        version="1",
        digest=digest,
        inputs=(Input(name=INPUT, height=SIDE_PX, width=SIDE_PX, resize=RESIZE),),
        heads=(UtilityHead(output=OUTPUT, threshold=THRESHOLD),),
        provenance=Provenance(
            data="ImageNet-1k classification; not trained for utility",
            metrics=METRICS,
            licence="Apache-2.0",
            command="python -m export baseline --output models/utility-baseline.onnx",
        ),
    )
