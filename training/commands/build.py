"""``build``: data sets made of others.

``cover``: pictures under a ladder of blurs; ``compose``: frames of cut-outs; ``quality``: pictures under TID2013's
kinds of distortion.
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from training.commands import build_quality
from training.commands.arguments import Commands, frame_size, natural, positive, share
from training.commands.progress import BuildBar, progress_bar
from training.data.layout_names import LAYOUTS

if TYPE_CHECKING:
    from training.cover.cover_set import CoverSet

AUTO = "auto"


def add(commands: Commands) -> None:
    tasks = commands.add_parser("build", help="make data sets of pictures").add_subparsers(
        required=True, dest="task", metavar="TASK"
    )
    _add_cover(tasks)
    _add_compose(tasks)
    build_quality.add(tasks)


def _add_cover(tasks: Commands) -> None:
    parser = tasks.add_parser("cover", help="pictures under ten blurs, with scores and masks (extra `train`)")
    parser.add_argument("--pictures", type=Path, required=True, metavar="FOLDER", help="a data set, or a plain folder")
    parser.add_argument("--output", type=Path, required=True, metavar="FOLDER", help="of the set; it must hold none")
    parser.add_argument(
        "--layout",
        choices=(AUTO, *LAYOUTS),
        default=AUTO,
        help="salient: pictures and grey masks (DUTS, ECSSD); voc: PASCAL VOC segmentation; alpha: cut-outs; pictures: "
        "without masks; composed: what `build compose` wrote (%(default)s: by the names of the folders, and says so)",
    )
    parser.add_argument("--subset", metavar="LIST", help="voc: train, val or trainval (default: trainval)")
    _add_levels(parser)
    _add_split(parser)
    _add_choice(parser)
    parser.add_argument(
        "--halve",
        action="store_true",
        help="halve pictures while their shorter side stays at least 720 px, above 3 megapixels at least once",
    )
    parser.add_argument(
        "--write-pictures",
        action="store_true",
        help="write every blurred picture as PNG (default: blur when the set is read)",
    )
    parser.add_argument("--workers", type=positive, default=2, help="threads (%(default)s)")
    parser.set_defaults(command=build_cover, remedy="pip install 'framegate[train]'")


def _add_compose(tasks: Commands) -> None:
    parser = tasks.add_parser("compose", help="frames of cut-outs over scenery, with exact masks (extra `train`)")
    for name, what in (
        ("cutouts", "pictures with alpha: the subjects"),
        ("scenery", "sharp pictures, larger than a frame"),
        ("props", "pictures with alpha that belong to the background"),
    ):
        parser.add_argument(
            f"--{name}", type=Path, nargs="+", action="extend", required=name != "props", metavar="FOLDER", help=what
        )
    parser.add_argument("--output", type=Path, required=True, metavar="FOLDER", help="it must hold no frames")
    parser.add_argument("--count", type=positive, default=1000, help="of frames (%(default)s)")
    parser.add_argument("--size", type=frame_size, default=(1280, 720), metavar="WxH", help="of a frame (1280x720)")
    parser.add_argument("--seed", type=natural, default=0, help="of all that is drawn (%(default)s)")
    parser.add_argument("--test-share", type=share, default=0.2, help="of frames and of material (%(default)s)")
    parser.add_argument("--encoding", choices=("jpeg", "png"), default="jpeg", help="jpeg: quality 95 (%(default)s)")
    parser.add_argument("--workers", type=positive, default=2, help="threads (%(default)s)")
    parser.set_defaults(command=build_composed, remedy="pip install 'framegate[train]'")


def _add_levels(parser: argparse.ArgumentParser) -> None:
    levels = parser.add_mutually_exclusive_group()
    levels.add_argument(
        "--levels",
        metavar="SIGMA:SCORE,...",
        help="blurs in pixels and their scores (default: none and nine from 0.6 to 8 px, 10 down to 1)",
    )
    levels.add_argument("--unscored", action="store_true", help="each picture once, as it is: masks only")


def _add_split(parser: argparse.ArgumentParser) -> None:
    sides = parser.add_mutually_exclusive_group()
    sides.add_argument(
        "--split",
        choices=("source", "image"),
        default="source",
        help="source: all blurs of a picture on one side; image: each on its own, as the paper (%(default)s)",
    )
    sides.add_argument("--train", action="store_true", help="all for training")
    sides.add_argument("--test", action="store_true", help="all for the test")
    parser.add_argument("--test-share", type=share, default=0.2, help="of sources or images (%(default)s)")
    parser.add_argument("--seed", type=natural, default=0, help="of the split and the choice (%(default)s)")


def _add_choice(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--every", type=positive, default=1, metavar="N", help="take each N-th picture (%(default)s)")
    parser.add_argument("--limit", type=positive, metavar="COUNT", help="take so many pictures, chosen by --seed")
    parser.add_argument(
        "--without",
        type=Path,
        nargs="+",
        action="extend",
        default=[],
        metavar="FOLDER",
        help="leave out the pictures of these cover sets, by their SHA-256",
    )


def build_cover(options: argparse.Namespace) -> None:
    from training.cover.build import Plan, build
    from training.cover.levels import LEVELS, parse_levels

    levels = LEVELS if options.levels is None else parse_levels(options.levels)
    plan = Plan(
        options.pictures,
        layout=None if options.layout == AUTO else options.layout,
        subset=options.subset,
        levels=() if options.unscored else levels,
        split="train" if options.train else "test" if options.test else options.split,
        test_share=options.test_share,
        seed=options.seed,
        every=options.every,
        limit=options.limit,
        halve=options.halve,
        written=options.write_pictures,
        without=tuple(options.without),
    )
    with progress_bar(Console(stderr=True)) as progress:
        made = build(options.output, plan, BuildBar(progress), workers=options.workers)
    _tell(options.output, made)


def build_composed(options: argparse.Namespace) -> None:
    from training.cover.composing import Composition, compose_set

    asked = Composition(
        tuple(options.cutouts),
        tuple(options.scenery),
        tuple(options.props or ()),
        count=options.count,
        size=options.size[::-1],
        seed=options.seed,
        test_share=options.test_share,
        encoding=options.encoding,
    )
    with progress_bar(Console(stderr=True)) as progress:
        shares = compose_set(options.output, asked, BuildBar(progress), workers=options.workers)
    print(
        f"{options.output}: {len(shares)} frames, {asked.sides().count('test')} of them for the test; subjects cover "
        f"{100 * min(shares):.1f} to {100 * max(shares):.1f} %, {100 * sum(shares) / len(shares):.1f} % in the mean"
    )


def _tell(folder: Path, made: "CoverSet") -> None:
    header = made.header
    sources = len({one.source for one in made.samples})
    sides = f"{len(made.of_split('train'))} to train, {len(made.of_split('test'))} to test"
    print(f"{folder}: {sources} pictures read as {header.layout}, {len(made)} samples: {sides} (split: {header.split})")
    if header.split == "image":
        print("copies of one picture lie on both sides: what a test finds on this set says little of new pictures")
    for name, why in header.left_out.items():
        print(f"left out: {name}: {why}")
    print(f"digest {made.digest}")
