"""``baseline``: make the engine that ships."""

import argparse
from pathlib import Path

from export.commands.arguments import BASELINE, Commands


def add(commands: Commands) -> None:
    parser = commands.add_parser("baseline", help="make the engine utility-baseline (needs the extra `export`)")
    parser.add_argument("--output", type=Path, default=BASELINE, help="the ONNX file to write (%(default)s)")
    parser.add_argument("--checkpoint", type=Path, metavar="STEM", help="write STEM.safetensors and STEM.json too")
    parser.set_defaults(command=run, remedy="pip install 'framegate[export]'")


def run(options: argparse.Namespace) -> None:
    from export.baseline import baseline_checkpoint  # torch: only for this command
    from export.manifest import read_model_manifest, save_model
    from export.trace import make_engine
    from training.checkpoint import save_checkpoint

    checkpoint = baseline_checkpoint()
    if options.checkpoint:
        save_checkpoint(options.checkpoint, checkpoint)
        print(f"{options.checkpoint}.safetensors, .json: {checkpoint.description.name}'s checkpoint")
    model = make_engine(checkpoint)
    save_model(model, options.output)
    digest = read_model_manifest(model, str(options.output)).digest
    print(f"{options.output}: {options.output.stat().st_size / 1e6:.1f} MB, {digest}")
