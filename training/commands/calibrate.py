"""``calibrate``: the head of a trained network, fitted to pictures as the gateway shows them."""

import argparse
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from runtime.errors import ConfigError
from training.commands.arguments import Commands, natural, positive
from training.commands.progress import progress_bar
from training.commands.quality_sets import add_reading, read_divided, reading_words, told_of

if TYPE_CHECKING:
    from training.quality.rated import RatedSet


def add(commands: Commands) -> None:
    tasks = commands.add_parser("calibrate", help="fit a network's head (extra `train`)").add_subparsers(
        required=True, metavar="TASK"
    )
    parser = tasks.add_parser("quality", help="a checkpoint of `train quality`")
    parser.add_argument("stem", type=Path, metavar="STEM", help="of the checkpoint")
    parser.add_argument("--data", type=Path, required=True, metavar="FOLDER", help="a set that it learned from")
    add_reading(parser)
    parser.add_argument("--count", type=positive, help="pictures of its training side, at most (all)")
    parser.add_argument("--seed", type=natural, default=0, help="of all that is random (%(default)s)")
    parser.add_argument("--output", type=Path, required=True, metavar="STEM", help="of the new checkpoint")
    parser.set_defaults(command=run, remedy="pip install 'framegate[train]'")


def run(options: argparse.Namespace) -> None:
    from training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
    from training.quality.calibrating import calibrate
    from training.quality.held_out import drawn, learned
    from training.quality.readers import require_pictures
    from training.quality.splits import SPLIT

    checkpoint = load_checkpoint(options.stem)
    what = checkpoint.description
    if what.architecture != "quality-light":
        raise ConfigError(f"{options.stem}: a checkpoint of {what.architecture}; quality-light can be calibrated")
    if options.output.resolve() == options.stem.resolve():
        raise ConfigError(f"--output {options.output} is the checkpoint itself: give another stem")
    [data] = read_divided(options, [options.data])
    _require_side_of(options, data, what.provenance.data)
    rated = learned(data)
    if options.count is not None:
        rated = drawn(rated, options.count, options.seed)
    require_pictures(rated)
    with progress_bar(Console(stderr=True)) as progress:
        bar = progress.add_task("judging", total=len(rated))
        before, after = calibrate(
            checkpoint.network, what.inputs, rated, seed=options.seed, watch=lambda: progress.advance(bar)
        )
    words = ["python", "-m", "training", "calibrate", "quality", options.stem.name, "--data", options.data.name]
    words += reading_words(options)
    words += [] if options.count is None else ["--count", str(options.count)]
    words += ["--seed", str(options.seed), "--output", options.output.name]
    provenance = what.provenance.model_copy(
        update={
            "data": f"{what.provenance.data}; head calibrated on {len(rated)} pictures of {told_of([data])}",
            "metrics": {},  # of the network before
            "command": f"{what.provenance.command} && {shlex.join(words)}",
        }
    )
    save_checkpoint(options.output, Checkpoint(what.model_copy(update={"provenance": provenance}), checkpoint.network))
    if data.digest.partition(SPLIT)[0] not in what.provenance.data:
        print(f"note: {options.stem} had not learned from {data.name}")
    print(f"distance of the shares on {len(rated)} pictures: {before:.4f}, now {after:.4f}")
    print(f"{options.output}.safetensors, .json: the calibrated network")


def _require_side_of(options: argparse.Namespace, data: "RatedSet", told: str) -> None:
    """A set that the network learned from in part has a side that it is to be tested on."""
    from training.quality.splits import as_learned

    if options.split_seed is None and as_learned(data, told) is not None:
        raise ConfigError(
            f"{options.stem} learned from a part of {data.name}, and the whole of it is given: repeat the --split-seed "
            f"and --split-of that it was trained with ({told})"
        )
