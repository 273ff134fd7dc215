"""From a network in PyTorch to a graph in ONNX."""

import warnings
from typing import Any

import torch
from onnx import ModelProto
from torch import Tensor, nn

from export.manifest import attach_manifest, weights_digest
from runtime.errors import ConfigError, EngineError
from runtime.manifest import Input, Manifest
from training.checkpoint import Checkpoint, Description

OPSET = 20
EXAMPLES = 2
"""Pictures in the batch that is traced: 1 would be taken for a constant."""


class ServedNetwork(nn.Module):  # type: ignore[misc] # torch is untyped where only serving is installed
    """A network that takes frames as cameras give them: uint8 (batch, height, width, 3) RGB."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, frames: Tensor) -> dict[str, Tensor]:
        # Cast, then transpose: TensorRT's parser refuses to transpose uint8. Contiguous, for in the memory
        # order of NHWC the exporter writes the pooling as a gather over all of the batch.
        outputs: dict[str, Tensor] = self.network(frames.to(torch.float32).permute(0, 3, 1, 2).contiguous())
        return outputs


def make_engine(
    checkpoint: Checkpoint, *, size: tuple[int, int] | None = None, dynamic_size: bool = False
) -> ModelProto:
    """The checkpoint as an ONNX model of precision fp32, its manifest inside.

    Args:
        checkpoint: the network.
        size: (height, width) of the pictures; None: the checkpoint's own.
        dynamic_size: leave both open in the graph. The manifest still names ``size``, which serving feeds.

    Raises:
        ConfigError: the network does not take pictures of another size.
        EngineError: the exporter cannot write the graph, or the graph does not fit the checkpoint's heads.
    """
    description = checkpoint.description
    spec = sized_input(description, size, dynamic_size)
    model = _trace(ServedNetwork(checkpoint.network).eval(), spec, dynamic_size, description.name)
    manifest = Manifest(
        name=description.name,
        version=description.version,
        digest=weights_digest(model),
        inputs=(spec,),
        heads=description.heads,
        provenance=description.provenance,
    )
    attach_manifest(model, manifest, description.name)
    return model


def sized_input(description: Description, size: tuple[int, int] | None, dynamic_size: bool) -> Input:
    """What ``make_engine``'s engine takes.

    Raises:
        ConfigError: the network does not take pictures of another size.
    """
    own = description.input
    height, width = size or (own.height, own.width)
    if (dynamic_size or (height, width) != (own.height, own.width)) and not description.dynamic_size:
        wanted = "--dynamic-size" if dynamic_size else f"--size {height}x{width}"
        raise ConfigError(
            f"{wanted}: {description.name} takes pictures of {own.height}x{own.width} alone "
            f"(its checkpoint says dynamic_size: false); leave the option out, or train it for other sizes"
        )
    return own.model_copy(update={"height": height, "width": width})


def _trace(served: ServedNetwork, spec: Input, dynamic_size: bool, what: str) -> ModelProto:
    frames = torch.zeros(EXAMPLES, *spec.shape, dtype=torch.uint8)
    with torch.inference_mode():
        names = list(served(frames))
    batch = torch.export.Dim("batch", min=1)
    open_dimensions: dict[int, Any] = {0: batch}
    if dynamic_size:
        open_dimensions |= {1: torch.export.Dim("height"), 2: torch.export.Dim("width")}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of torch's own calls
            program = torch.onnx.export(
                served,
                (frames,),
                dynamo=True,
                opset_version=OPSET,
                input_names=[spec.name],
                output_names=names,
                dynamic_shapes=(open_dimensions,),
                verbose=False,
            )
    except Exception as error:  # the exporter's errors have no common base
        raise EngineError(f"{what}: torch {torch.__version__} cannot write it as ONNX: {error}") from error
    model: ModelProto = program.model_proto
    written = {entry.domain: entry.version for entry in model.opset_import}
    if written.get("") != OPSET:  # where it cannot convert to the opset asked for, the exporter keeps its own
        raise EngineError(f"asked for opset {OPSET}, torch {torch.__version__} wrote {written}: use torch 2.9 or newer")
    _strip_traces(model)
    _strip_prefix(model, "network.")
    return model


def _strip_traces(model: ModelProto) -> None:
    """Drop what the exporter notes about each node: stack traces with the paths of the machine it ran on."""
    graph = model.graph
    for part in (model, graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        part.doc_string = ""
        del part.metadata_props[:]


def _strip_prefix(model: ModelProto, prefix: str) -> None:
    """Call the weights what the checkpoint calls them, where nothing else in the graph is called so."""
    graph = model.graph
    taken = {name for node in graph.node for name in node.output} | {value.name for value in graph.input}
    names = {tensor.name: tensor.name.removeprefix(prefix) for tensor in graph.initializer}
    names = {name: bare for name, bare in names.items() if bare not in taken}
    for tensor in graph.initializer:
        tensor.name = names.get(tensor.name, tensor.name)
    for node in graph.node:
        for i, name in enumerate(node.input):
            node.input[i] = names.get(name, name)
