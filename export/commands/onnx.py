"""``onnx``: a checkpoint as an ONNX file."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from export.commands.arguments import add_gate, gate_samples, size
from export.commands.targets import ONNX, require_suffix, require_targets
from training.commands.arguments import Commands

if TYPE_CHECKING:
    from onnx import ModelProto

    from export.samples import Samples
    from runtime.manifest import Input
    from training.checkpoint import Checkpoint


def add(commands: Commands) -> None:
    parser = commands.add_parser(
        "onnx", help="a trained checkpoint to an ONNX file in float32 (extras `cpu`, `export`)"
    )
    parser.add_argument("checkpoint", type=Path, metavar="STEM", help="of STEM.safetensors and STEM.json")
    parser.add_argument("--output", type=Path, required=True, help="the ONNX file to write")
    sizes = parser.add_mutually_exclusive_group()
    sizes.add_argument("--size", type=size, metavar="HEIGHTxWIDTH", help="of the pictures (the checkpoint's own)")
    sizes.add_argument("--dynamic-size", action="store_true", help="leave height and width open in the graph")
    parser.add_argument(
        "--patches",
        type=size,
        metavar="ROWSxCOLUMNS",
        help="that the engine sees of a picture: fewer cost less (the checkpoint's own)",
    )
    add_gate(parser)
    parser.set_defaults(command=run, remedy="pip install 'framegate[cpu,export]'")


def run(options: argparse.Namespace) -> None:
    from export.manifest import read_model_manifest, save_model
    from export.trace import make_engine, sized_inputs, with_patches
    from training.checkpoint import load_checkpoint

    require_suffix("--output", options.output, ONNX)
    require_targets({"--output": options.output})
    checkpoint = load_checkpoint(options.checkpoint)
    if options.patches:
        checkpoint = with_patches(checkpoint, *options.patches)
    specs = sized_inputs(checkpoint.description, options.size, options.dynamic_size)
    fed = [gate_samples(options, specs)]  # before the long work
    if options.dynamic_size:
        fed.append(gate_samples(options, _another_size(specs)))
    model = make_engine(checkpoint, size=options.size, dynamic_size=options.dynamic_size)
    for samples in fed:
        if samples is not None:
            prove(checkpoint, model, samples, str(options.output))
    save_model(model, options.output)
    digest = read_model_manifest(model, str(options.output)).digest
    print(f"{options.output}: {options.output.stat().st_size / 1e6:.1f} MB, {digest}")


def prove(checkpoint: "Checkpoint", model: "ModelProto", samples: "Samples", what: str) -> None:
    """Hold an engine to the checkpoint it was made of.

    Raises:
        EngineError: it answers otherwise.
    """
    from export.answers import onnx_answers, torch_answers
    from export.manifest import read_model_manifest
    from export.parity import compare, tolerances_of

    manifest = read_model_manifest(model, what)
    parity = compare(torch_answers(checkpoint, samples), onnx_answers(model, samples), manifest)
    shapes = ", ".join(f"{name} {values.shape[1:]}" for name, values in samples.inputs.items())
    parity.require(tolerances_of(manifest), f"{what} with {shapes}")


def _another_size(specs: "tuple[Input, ...]") -> "tuple[Input, ...]":
    """Whole pictures of another height, width and aspect ratio: one size proves nothing of the others."""
    return tuple(
        spec if spec.patches else spec.model_copy(update={"height": spec.height * 3 // 2, "width": spec.width * 5 // 4})
        for spec in specs
    )
