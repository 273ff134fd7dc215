"""``fp16``: an ONNX file in float32 as one in half precision."""

import argparse
from pathlib import Path

from export.commands.arguments import add_gate, add_mask_iou, gate_samples, given_tolerances, open_float32
from export.commands.recipe import recipe
from export.commands.targets import ONNX, require_suffix, require_targets
from training.commands.arguments import Commands


def add(commands: Commands) -> None:
    parser = commands.add_parser("fp16", help="an ONNX file in float32 to one in half precision, for GPUs")
    parser.add_argument("engine", type=Path, metavar="ONNX", help="in float32, with its manifest")
    parser.add_argument("--output", type=Path, required=True, help="the ONNX file to write")
    parser.add_argument(
        "--difference",
        type=float,
        metavar="D",
        help="how far a score may be from the float32 engine's, on [0, 1]; kept in the manifest (0.005)",
    )
    add_mask_iou(parser, 0.99)
    add_gate(parser)
    parser.set_defaults(command=run, remedy="pip install 'framegate[cpu,manifest]'")


def run(options: argparse.Namespace) -> None:
    from export.half import describe_nodes, fit_half, half_manifest, to_half
    from export.manifest import attach_manifest, save_model

    require_suffix("--output", options.output, ONNX)
    require_targets({"--output": options.output}, [options.engine])
    model, manifest = open_float32(options.engine)
    tolerances = given_tolerances(manifest, "fp16", difference=options.difference, mask_iou=options.mask_iou)
    samples = gate_samples(options, manifest.inputs)
    if samples is None:
        half = to_half(model)
        told = "not compared with anything"
    else:
        fitted = fit_half(model, manifest, samples, tolerances)
        half = fitted.model
        told = f"differs by {max(one.difference for one in fitted.parity.outputs):.2g} at most ({len(samples)} samples)"
        for kept in describe_nodes(model, fitted.kept):
            print(f"kept in float32: {kept}")
    attach_manifest(half, half_manifest(manifest, half, tolerances, _recipe(options)), str(options.output))
    save_model(half, options.output)
    print(f"{options.output}: {options.output.stat().st_size / 1e6:.1f} MB, {told}")


def _recipe(options: argparse.Namespace) -> str:
    flags = {
        "--output": options.output,
        "--difference": options.difference,
        "--mask-iou": options.mask_iou,
        "--pictures": options.pictures,
        "--damaged": options.damaged,
        "--unverified": options.unverified,
    }
    return recipe("fp16", options.engine, flags)
