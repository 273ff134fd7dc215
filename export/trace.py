"""From a network in PyTorch to a graph in ONNX."""

import warnings
from collections.abc import Sequence
from typing import Any

import torch
from onnx import ModelProto
from pydantic import ValidationError
from torch import Tensor, nn

from export.graph import outputs
from export.manifest import attach_manifest, weights_digest
from export.weight_views import fold_views
from runtime.errors import ConfigError, EngineError
from runtime.faults import faults_of
from runtime.manifest import Head, Input, Manifest, SaliencyHead, whole_picture
from training.checkpoint import Checkpoint, Description

OPSET = 20
EXAMPLES = 2
"""Pictures in the batch that is traced: 1 would be taken for a constant."""


class ServedNetwork(nn.Module):  # type: ignore[misc] # torch is untyped where only serving is installed
    """A network that takes pictures as cameras give them: RGB, uint8, channels last.

    Each of its inputs is (batch, height, width, 3), or (batch, patches, height, width, 3).
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, *inputs: Tensor) -> dict[str, Tensor]:
        # Cast, then transpose: TensorRT's parser refuses to transpose uint8. Contiguous, for in the memory
        # order of NHWC the exporter writes the pooling as a gather over all of the batch.
        outputs: dict[str, Tensor] = self.network(
            *(pixels.to(torch.float32).movedim(-1, -3).contiguous() for pixels in inputs)
        )
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
    specs = sized_inputs(description, size, dynamic_size)
    model = _trace(ServedNetwork(checkpoint.network).eval(), specs, dynamic_size, description.name)
    manifest = Manifest(
        name=description.name,
        version=description.version,
        digest=weights_digest(model),
        inputs=specs,
        heads=description.heads if specs == description.inputs else _sized_heads(description.heads, model),
        provenance=description.provenance,
    )
    attach_manifest(model, manifest, description.name)
    return model


def with_patches(checkpoint: Checkpoint, rows: int, columns: int) -> Checkpoint:
    """The checkpoint, shown so many patches of a picture.

    Raises:
        ConfigError: it sees none, or not so many can be had.
    """
    description = checkpoint.description
    if not any(spec.patches for spec in description.inputs):
        raise ConfigError(f"--patches {rows}x{columns}: {description.name} sees no patches: leave the option out")
    fields = description.model_dump()
    for spec in fields["inputs"]:
        if spec["patches"]:
            spec["patches"] |= {"rows": rows, "columns": columns}
    try:
        return Checkpoint(Description.model_validate(fields), checkpoint.network)
    except ValidationError as error:
        raise ConfigError(f"--patches {rows}x{columns}: {faults_of(error, 'inputs')}") from error


def sized_inputs(description: Description, size: tuple[int, int] | None, dynamic_size: bool) -> tuple[Input, ...]:
    """What ``make_engine``'s engine takes: the whole picture at that size, patches as they are.

    Raises:
        ConfigError: the network does not take pictures of another size, or its map's size would be open.
    """
    own = whole_picture(description.inputs)
    if own is None and (size or dynamic_size):
        raise ConfigError(
            f"{_option(size, dynamic_size)}: {description.name} sees patches or tiles alone: leave the option out"
        )
    if own is None:
        return description.inputs
    height, width = size or (own.height, own.width)
    if (dynamic_size or (height, width) != (own.height, own.width)) and not description.dynamic_size:
        raise ConfigError(
            f"{_option(size, dynamic_size)}: {description.name} takes pictures of {own.height}x{own.width} alone "
            f"(its checkpoint says dynamic_size: false); leave the option out, or train it for other sizes"
        )
    if dynamic_size and any(head.kind == "saliency" for head in description.heads):
        raise ConfigError(
            f"--dynamic-size: the map of {description.name} would change its size with the picture's, and a manifest "
            "states one; leave the option out and give --size HEIGHTxWIDTH"
        )
    sized = own.model_copy(update={"height": height, "width": width})
    return tuple(sized if spec is own else spec for spec in description.inputs)


def _option(size: tuple[int, int] | None, dynamic_size: bool) -> str:
    return "--dynamic-size" if dynamic_size or size is None else f"--size {size[0]}x{size[1]}"


def _sized_heads(heads: Sequence[Head], model: ModelProto) -> tuple[Head, ...]:
    """A map's height and width as the graph has them, since they follow the picture's."""
    shapes = {output.name: output.shape for output in outputs(model)}

    def sized(head: Head) -> Head:
        match head, shapes.get(head.output):
            case SaliencyHead(), (_, int(height), int(width)):
                return head.model_copy(update={"height": height, "width": width})
        return head  # of a score; or the check against the graph says what is wrong

    return tuple(sized(head) for head in heads)


def _trace(served: ServedNetwork, specs: Sequence[Input], dynamic_size: bool, what: str) -> ModelProto:
    examples = tuple(torch.zeros(EXAMPLES, *spec.shape, dtype=torch.uint8) for spec in specs)
    with torch.inference_mode():
        names = list(served(*examples))
    batch = torch.export.Dim("batch", min=1)
    sides = {1: torch.export.Dim("height"), 2: torch.export.Dim("width")} if dynamic_size else {}
    open_dimensions: list[dict[int, Any]] = [{0: batch} | ({} if spec.patches else sides) for spec in specs]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of torch's own calls
            warnings.filterwarnings("ignore", "# The axis name: .* will not be used", UserWarning)  # one batch for all
            program = torch.onnx.export(
                served,
                examples,
                dynamo=True,
                opset_version=OPSET,
                input_names=[spec.name for spec in specs],
                output_names=names,
                dynamic_shapes=(tuple(open_dimensions),),  # of *inputs
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
    fold_views(model)
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
