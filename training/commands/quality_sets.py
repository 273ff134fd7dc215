"""What the evaluations of quality share on the command line: sets of judged pictures, gates, where the report goes."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from training.commands.arguments import natural, positive

if TYPE_CHECKING:
    from training.quality.rated import RatedSet

RESAMPLES = 1000
DIVISIONS = ("content", "paper")


def add_sets(parser: argparse.ArgumentParser, *, required: bool) -> None:
    """Sets, which of their pictures, over which splits, and gates."""
    parser.add_argument(
        "--set",
        type=Path,
        nargs="+",
        action="extend",
        default=[],
        required=required,
        metavar="FOLDER",
        help="published ones, or of `build quality`",
    )
    parser.add_argument(
        "--split",
        choices=("test", "validation", "train", "all"),
        default="test",
        help="the set's own side; of a set without sides all pictures (%(default)s)",
    )
    add_reading(parser)
    parser.add_argument("--every", type=positive, default=1, metavar="N", help="one content of N (%(default)s)")
    over = parser.add_mutually_exclusive_group()
    over.add_argument(
        "--own-splits",
        action="store_true",
        help="median over gates of one fit, each held to the test side that its `train --split-seed` left out",
    )
    over.add_argument(
        "--over-seeds",
        type=natural,
        default=0,
        metavar="N",
        help="median over N splits by content, 20 %% tested, for gates that learned nothing of the set (%(default)s)",
    )
    parser.add_argument(
        "--gates",
        type=Path,
        nargs="+",
        required=True,
        metavar="GATE",
        help="engines (.onnx, .plan, .engine), and checkpoints by their STEM",
    )


def add_reading(parser: argparse.ArgumentParser) -> None:
    """``--layout``, ``--split-seed`` and ``--split-of``: how sets are read."""
    parser.add_argument("--layout", metavar="NAME", help="of all sets (it is recognised by the files there)")
    parser.add_argument(
        "--split-seed",
        type=natural,
        metavar="N",
        help="of sets without sides: every fifth content by this seed is for the test (all is learned from); of others "
        "their own sides hold",
    )
    parser.add_argument(
        "--split-of",
        choices=DIVISIONS,
        default=DIVISIONS[0],
        help="contents, or pictures as DeepRN's paper divides KonIQ-10k (%(default)s)",
    )


def divided(options: argparse.Namespace, sets: "list[RatedSet]") -> "list[RatedSet]":
    """The sets with the sides that the options ask for; beside one without sides, those that have some keep them.

    The paper's way replaces the sides of a published set, never a proxy's: its test side alone has whole ladders.

    Raises:
        ConfigError: see ``training.quality.splits.with_sides``; or a way of dividing is named without a seed.
    """
    from runtime.errors import ConfigError
    from training.quality.splits import has_sides, with_sides

    if options.split_seed is None:
        if options.split_of != DIVISIONS[0]:
            raise ConfigError(f"--split-of {options.split_of} goes with --split-seed, which draws the sides")
        return sets
    keep = options.split_of != DIVISIONS[0] or not all(map(has_sides, sets))
    return [
        one if keep and keeps_sides(options, one) else with_sides(one, options.split_seed, options.split_of)
        for one in sets
    ]


def keeps_sides(options: argparse.Namespace, rated: "RatedSet") -> bool:
    """Whether a set has sides of its own that the options' way of dividing leaves as they are."""
    from training.quality.splits import has_sides

    return has_sides(rated) and (rated.proxy or options.split_of == DIVISIONS[0])


def read_divided(options: argparse.Namespace, folders: Sequence[Path]) -> "list[RatedSet]":
    """The sets of some folders, with the sides that the options ask for.

    Raises:
        ConfigError: one cannot be read, or divided so.
    """
    from training.quality.readers import read_rated

    return divided(options, [read_rated(folder, options.layout) for folder in folders])


def reading_words(options: argparse.Namespace) -> list[str]:
    """How the sets were read, in words of the command line."""
    words = [] if options.layout is None else ["--layout", options.layout]
    if options.split_seed is None:
        return words
    words += ["--split-seed", str(options.split_seed)]
    return [*words, *(["--split-of", options.split_of] if options.split_of != DIVISIONS[0] else [])]


def told_of(sets: "list[RatedSet]", more: "list[str] | None" = None) -> str:
    """What a checkpoint says of the sets that it learned from, with a word more of each.

    A report finds the digests again, and warns where a gate is held to what it learned from.
    """
    words = [f" ({word})" for word in more] if more else [""] * len(sets)
    return ", ".join(
        f"{one.name}{' (proxy)' if one.proxy else ''} {one.digest}{_fitted_to(one)}{word}"
        for one, word in zip(sets, words, strict=True)
    )


def _fitted_to(rated: "RatedSet") -> str:
    from training.quality.splits import FITTED

    return f" ({FITTED}{rated.fitted_to})" if rated.fitted_to else ""


def add_output(parser: argparse.ArgumentParser) -> None:
    """What runs the gates, and ``--output``."""
    parser.add_argument(
        "--resamples",
        type=natural,
        default=RESAMPLES,
        help="draws of contents, to tell differences of gates from chance; 0: none (%(default)s)",
    )
    parser.add_argument("--seed", type=natural, default=0, help="of these draws (%(default)s)")
    parser.add_argument("--provider", choices=("cpu", "cuda", "tensorrt"), default="cpu", help="of .onnx (%(default)s)")
    parser.add_argument("--device", default="cpu", help="PyTorch's name of it, for checkpoints (%(default)s)")
    parser.add_argument("--threads", type=positive, default=2, help="of each gate on the CPU (%(default)s)")
    parser.add_argument("--output", type=Path, required=True, metavar="FOLDER", help="for report, plots and scores")


def read_sets(options: argparse.Namespace) -> "list[RatedSet]":
    """The sets, none of their pictures looked at yet.

    Raises:
        ConfigError: a set cannot be read, or two sets are called alike.
    """
    from runtime.errors import ConfigError

    sets = read_divided(options, options.set)
    names = [one.name for one in sets]
    if len(set(names)) < len(names):
        raise ConfigError(f"--set: two sets are called alike ({', '.join(names)}): the report tells by name")
    return sets
