"""``build quality``: a proxy set of distorted pictures, scored by metrics that compare them with their references."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from runtime.errors import ConfigError
from training.commands.arguments import Commands, frame_size, natural, positive, share
from training.commands.progress import BuildBar, progress_bar

if TYPE_CHECKING:
    from training.quality.rated import RatedSet


def add(tasks: Commands) -> None:
    parser = tasks.add_parser(
        "quality", help="photographs under TID2013's kinds of distortion, scored by metrics: a proxy (extra `train`)"
    )
    parser.add_argument(
        "--pictures", type=Path, nargs="+", action="extend", default=[], metavar="FOLDER", help="sharp photographs"
    )
    parser.add_argument("--output", type=Path, required=True, metavar="FOLDER", help="of the set; it must hold none")
    parser.add_argument(
        "--rescore", action="store_true", help="give the set in --output other scores; its pictures stay as they are"
    )
    parser.add_argument(
        "--size", type=frame_size, default=(512, 384), metavar="WxH", help="of a reference, at most (512x384)"
    )
    parser.add_argument("--cuts", type=positive, default=4, help="references of a photograph, at most (%(default)s)")
    parser.add_argument(
        "--draws",
        type=positive,
        default=20,
        help="distorted pictures of a reference to train on, two of a kind: an even number (%(default)s)",
    )
    parser.add_argument("--limit", type=positive, metavar="COUNT", help="photographs of a folder, at most")
    parser.add_argument(
        "--test-share",
        type=share,
        default=0.1,
        help="of photographs; each gets every kind at all its levels (%(default)s)",
    )
    parser.add_argument("--votes", type=positive, default=107, help="drawn for each picture (%(default)s)")
    parser.add_argument("--seed", type=natural, default=0, help="of all that is drawn (%(default)s)")
    _add_scores(parser)
    parser.add_argument("--workers", type=positive, default=2, help="threads (%(default)s)")
    parser.set_defaults(command=run, remedy="pip install 'framegate[train]'")


def _add_scores(parser: argparse.ArgumentParser) -> None:
    scores = parser.add_mutually_exclusive_group()
    scores.add_argument(
        "--opinions",
        type=Path,
        metavar="FILE",
        help="TID2013's mos_with_names.txt: the metrics are fitted to people's mean scores of each kind and level "
        "(default: the mean of the metrics' ranks in the set)",
    )
    scores.add_argument(
        "--calibration", type=Path, metavar="FILE", help="calibration.json of a set whose scores were fitted so"
    )
    parser.add_argument(
        "--without-contents",
        nargs="+",
        action="extend",
        default=[],
        metavar="CONTENT",
        help="of --opinions, contents whose scores are not looked at, such as i01: they can be tested on",
    )


def run(options: argparse.Namespace) -> None:
    import torch

    from training.quality.build import Plan, build, rescore
    from training.quality.calibration import Calibration
    from training.quality.opinions import Opinions, read_opinions

    if options.rescore == bool(options.pictures):
        raise ConfigError("give --pictures to build a set, or --rescore for the one in --output: one of both")
    if options.without_contents and not options.opinions:
        raise ConfigError("--without-contents is for --opinions")
    plan = Plan(
        tuple(options.pictures),
        size=options.size[::-1],
        cuts=options.cuts,
        limit=options.limit,
        draws=options.draws,
        test_share=options.test_share,
        votes=options.votes,
        seed=options.seed,
    )
    if options.rescore and plan != Plan(()):
        raise ConfigError(
            "--rescore keeps a set's pictures and votes: --size, --cuts, --draws, --limit, --test-share, --votes and "
            "--seed are for building one"
        )
    if options.draws % 2:
        raise ConfigError(f"--draws {options.draws}: two strengths are drawn of each kind, so an even number is due")
    scores: Opinions | Calibration | None = None
    if options.opinions:
        scores = read_opinions(options.opinions, options.without_contents)
    elif options.calibration:
        scores = Calibration.load(options.calibration)
    if options.rescore:
        _tell(options.output, rescore(options.output, scores))
        print("its scores are " + ("fitted to people's" if scores else "mean ranks of the metrics, of no calibration"))
        return
    torch.set_num_threads(1)  # each worker compares a picture of its own
    with progress_bar(Console(stderr=True)) as progress:
        made = build(options.output, plan, BuildBar(progress), scores=scores, workers=options.workers)
    _tell(options.output, made)


def _tell(folder: Path, made: "RatedSet") -> None:
    test, train = made.where(lambda one: one.split == "test"), made.where(lambda one: one.split == "train")
    told = f"{len(train)} to train of {_contents(train)} photographs, {len(test)} to test of {_contents(test)}"
    print(f"{folder}: {len(made)} pictures: {told}; the scores are a proxy: no person gave them")
    print(f"digest {made.digest}")


def _contents(rated: "RatedSet") -> int:
    return len({one.content for one in rated.pictures})
