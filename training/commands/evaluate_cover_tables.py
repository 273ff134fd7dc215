"""``evaluate cover-tables``: the paper's Tables 1 to 3 from several evaluations."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.errors import ConfigError
from training.commands.arguments import Commands

if TYPE_CHECKING:
    from training.cover.tables import Trained


def add(systems: Commands) -> None:
    parser = systems.add_parser("cover-tables", help="the paper's tables of covers, over seeds, from several reports")
    parser.add_argument(
        "--runs", type=Path, nargs="+", required=True, metavar="REPORT", help="what `evaluate cover` wrote, one set"
    )
    parser.add_argument("--output", type=Path, metavar="FILE", help="Markdown (printed where it is left out)")
    parser.set_defaults(command=run, remedy="pip install 'framegate[cpu,train]'")


def run(options: argparse.Namespace) -> None:
    from training.cover.tables import tables
    from training.files import write_whole

    text = "\n".join(tables(_trained(options.runs))).strip() + "\n"
    if options.output:
        write_whole(options.output, text.encode())
    else:
        print(text, end="")


def _trained(paths: list[Path]) -> "list[Trained]":
    """All runs of all reports, which must be on the same samples."""
    from training.cover.report import read_trained

    found = [read_trained(path) for path in paths]
    for path, (digest, _) in zip(paths, found, strict=True):
        if digest != found[0][0]:
            raise ConfigError(
                f"--runs: {path} is on other samples than {paths[0]} (set, split, --every or --levels): numbers of "
                "different samples are no table; evaluate them alike"
            )
    runs = [run for _, own in found for run in own]
    if not runs:
        raise ConfigError(f"--runs {paths[0]}: no gate in it is a checkpoint beside its run.json; evaluate such ones")
    return runs
