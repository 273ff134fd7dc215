"""``measure-baseline``: the numbers on the baseline's card."""

import argparse
import sys
from pathlib import Path

from export.commands.arguments import BASELINE
from training.commands.arguments import Commands, frame_size, positive


def add(commands: Commands) -> None:
    parser = commands.add_parser(
        "measure-baseline", help="score whole and damaged copies of pictures; prints the tables of the model card"
    )
    parser.add_argument("folders", type=Path, nargs="+", help="folders of pictures; CLASS_name.jpg gives the class")
    parser.add_argument("--engine", type=Path, default=BASELINE, help="%(default)s")
    parser.add_argument(
        "--cover",
        type=_cover,
        metavar="WIDTHxHEIGHT",
        help="first scale each picture down and crop it to a frame of this size; smaller pictures are left out",
    )
    parser.add_argument("--every", type=positive, default=1, help="take every n-th picture (%(default)s: all)")
    parser.add_argument("--threads", type=positive, default=2, help="of the engine (%(default)s)")
    parser.set_defaults(command=run, remedy="pip install 'framegate[cpu,manifest]'")


def run(options: argparse.Namespace) -> None:
    from export.measure import Judge, measure
    from export.report import rules_to_measure, write_report

    judge = Judge(options.engine, options.threads)
    rules = rules_to_measure(judge.manifest)
    measured = [measure(judge, folder, rules, options.every, options.cover) for folder in options.folders]
    write_report(measured, judge.manifest, judge.head.threshold, sys.stdout)


def _cover(text: str) -> tuple[int, int]:
    width, height = frame_size(text)
    return height, width
