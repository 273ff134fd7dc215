"""``onnx``: a checkpoint as an ONNX file."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from export.commands.arguments import add_gate, gate_samples, size
from export.commands.targets import ONNX, require_suffix, require_targets
from training.commands.arguments import Commands

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from onnx import ModelProto

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
    add_gate(parser)
    parser.set_defaults(command=run, remedy="pip install 'framegate[cpu,export]'")


def run(options: argparse.Namespace) -> None:
    from export.manifest import read_model_manifest, save_model
    from export.trace import make_engine, sized_input
    from training.checkpoint import load_checkpoint

    require_suffix("--output", options.output, ONNX)
    require_targets({"--output": options.output})
    checkpoint = load_checkpoint(options.checkpoint)
    spec = sized_input(checkpoint.description, options.size, options.dynamic_size)
    specs = [spec, _another_size(spec)] if options.dynamic_size else [spec]
    fed = [gate_samples(options, each) for each in specs]  # before the long work
    model = make_engine(checkpoint, size=options.size, dynamic_size=options.dynamic_size)
    for samples in fed:
        if samples is not None:
            prove(checkpoint, model, samples, str(options.output))
    save_model(model, options.output)
    digest = read_model_manifest(model, str(options.output)).digest
    print(f"{options.output}: {options.output.stat().st_size / 1e6:.1f} MB, {digest}")


def prove(checkpoint: "Checkpoint", model: "ModelProto", samples: "NDArray[Any]", what: str) -> None:
    """Hold an engine to the checkpoint it was made of.

    Raises:
        EngineError: it answers otherwise.
    """
    from export.answers import onnx_answers, torch_answers
    from export.manifest import read_model_manifest
    from export.parity import compare, tolerances_of

    manifest = read_model_manifest(model, what)
    height, width = samples.shape[1:3]
    parity = compare(torch_answers(checkpoint, samples), onnx_answers(model, samples), manifest)
    parity.require(tolerances_of(manifest), f"{what} at {height}x{width}")


def _another_size(spec: "Input") -> "Input":
    """Of another height, width and aspect ratio: one size proves nothing of the others."""
    return spec.model_copy(update={"height": spec.height * 3 // 2, "width": spec.width * 5 // 4})
