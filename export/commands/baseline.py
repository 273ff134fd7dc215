"""``baseline``: make the engine that ships."""

import argparse
from pathlib import Path

from export.commands.arguments import BASELINE, add_gate, gate_samples
from export.commands.targets import ONNX, require_replaceable, require_suffix, require_targets
from training.commands.arguments import Commands

PICTURES = Path("demo/photos")


def add(commands: Commands) -> None:
    parser = commands.add_parser("baseline", help="make the engine utility-baseline (extras `cpu`, `export`)")
    parser.add_argument("--output", type=Path, default=BASELINE, help="the ONNX file to write (%(default)s)")
    parser.add_argument("--checkpoint", type=Path, metavar="STEM", help="write STEM.safetensors and STEM.json too")
    add_gate(parser, default=f"{PICTURES}, where it is there")
    parser.set_defaults(command=run, remedy="pip install 'framegate[cpu,export]'")


def run(options: argparse.Namespace) -> None:
    from export.baseline import baseline_checkpoint  # torch: only for this command
    from export.commands.onnx import prove
    from export.manifest import read_model_manifest, save_model
    from export.trace import make_engine
    from training.checkpoint import DESCRIPTION, WEIGHTS, checkpoint_file, is_description, save_checkpoint

    require_suffix("--output", options.output, ONNX)
    stem: Path | None = options.checkpoint
    files = (
        {}
        if stem is None
        else {f"--checkpoint {suffix}": checkpoint_file(stem, suffix) for suffix in (WEIGHTS, DESCRIPTION)}
    )
    require_targets({"--output": options.output, **files})
    if stem is not None:
        require_replaceable("--checkpoint", checkpoint_file(stem, DESCRIPTION), "a checkpoint's", is_description)
    if not options.pictures and not options.unverified and PICTURES.is_dir():
        options.pictures = [PICTURES]
    checkpoint = baseline_checkpoint()
    samples = gate_samples(options, checkpoint.description.inputs)
    model = make_engine(checkpoint)
    if samples is not None:
        prove(checkpoint, model, samples, str(options.output))
    if stem is not None:
        save_checkpoint(stem, checkpoint)
        print(f"{stem}.safetensors, .json: {checkpoint.description.name}'s checkpoint")
    save_model(model, options.output)
    digest = read_model_manifest(model, str(options.output)).digest
    print(f"{options.output}: {options.output.stat().st_size / 1e6:.1f} MB, {digest}")
