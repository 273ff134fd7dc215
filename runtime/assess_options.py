"""The command line of ``python -m runtime.assess``."""

import argparse
from pathlib import Path

from runtime.aspect import WIDE, Aspect, parse_aspect
from runtime.assess_covers import EVERY_S
from runtime.decode import MAX_PIXELS
from runtime.engine import Provider
from runtime.errors import ConfigError
from runtime.pictures import is_picture, is_video
from runtime.prepare import Decode
from runtime.satisfied import Satisfied, parse_satisfied

COVERS = Path("covers")


def assess_parser() -> argparse.ArgumentParser:
    """The command line of ``python -m runtime.assess``."""
    parser = argparse.ArgumentParser(prog="python -m runtime.assess", description="Judge pictures, without Kafka.")
    add = parser.add_argument
    add(
        "paths",
        nargs="+",
        type=Path,
        metavar="PATH",
        help="a picture, or a folder that is searched for pictures; with --covers videos, too; with --reference a "
        "video: a video",
    )
    add(
        "--engine",
        action="append",
        required=True,
        type=Path,
        metavar="PATH",
        help="engine file; may come again",
    )
    add("--json", action="store_true", help="print one JSON document a picture, nothing else")
    add(
        "--contact-sheet",
        type=Path,
        metavar="PNG",
        help="write one picture of all pictures with their scores (with --covers: of the covers)",
    )
    add("--masks", type=Path, metavar="DIR", help="write each picture's saliency map as a PNG of its size")
    add("--covers", type=_count, metavar="N", help="choose the N best covers, and write their crops")
    add("--output", type=Path, metavar="DIR", help=f"where the crops of --covers go (default: {COVERS})")
    add(
        "--every-s",
        type=_seconds,
        metavar="S",
        help=f"a video's frames for --covers (default: one in {EVERY_S:g} s) and for --reference (default: all)",
    )
    add(
        "--reference",
        type=Path,
        metavar="PATH",
        help="hold each picture against its reference: a folder of references, one for all, or a video for a video",
    )
    add("--plot", type=Path, metavar="PNG", help="where a video's score over time is drawn (with --reference)")
    add("--aspect", type=_aspect, metavar="W:H", help=f"of covers' crops (default: {WIDE})")
    add("--provider", choices=Provider.__args__, default="cpu", help="what ONNX Runtime runs on (default: cpu)")  # type: ignore[attr-defined]
    add("--decode", choices=Decode.__args__, default="cpu", help="where JPEGs are decoded (default: cpu)")  # type: ignore[attr-defined]
    add("--threads", type=_count, metavar="N", help="worker threads (default: the CPUs that the container may use)")
    add("--min-utility", type=float, help="drop below it (default: the engine's threshold)")
    add("--min-mos", type=float, help="drop below it (default: the engine's threshold)")
    add("--min-satisfied", type=_satisfied, metavar="SHARE@SCORE", help="drop where fewer viewers vote that: 0.8@3")
    add("--min-clarity", type=float, help="drop below it (default: the engine's threshold, if it has one)")
    add("--min-cover", type=float, help="drop below it (default: none is)")
    add("--min-full-reference", type=float, help="drop below it (default: the engine's threshold, if it has one)")
    add(
        "--max-pixels",
        type=_count,
        default=MAX_PIXELS,
        metavar="N",
        help="a larger picture is a dead letter (default: %(default)s)",
    )
    return parser


def require_sense(arguments: argparse.Namespace) -> None:
    """Flags that go with others.

    Raises:
        ConfigError: one is given where it means nothing.
    """
    for flag, file in (("--contact-sheet", arguments.contact_sheet), ("--plot", arguments.plot)):
        if file is not None and file.suffix.lower() != ".png":
            raise ConfigError(f"{flag} {file}: a picture is written, so a name that ends in .png is due")
    if arguments.covers is None and arguments.output is not None:
        raise ConfigError(f"--output {arguments.output}: belongs to --covers N, which is not given")
    if arguments.covers is not None and arguments.masks:
        raise ConfigError(f"--masks {arguments.masks}: not with --covers; assess the pictures without it for masks")
    if arguments.reference is not None and not arguments.reference.exists():
        raise ConfigError(f"--reference {arguments.reference}: no such file or folder")
    if arguments.reference is None:
        _require_no_comparison(arguments)
    elif arguments.covers is not None:
        raise ConfigError(f"--reference {arguments.reference}: not with --covers: choose the covers without it")
    elif arguments.decode != "cpu":
        raise ConfigError(f"--decode {arguments.decode}: not with --reference: pairs are decoded on the CPU")
    elif is_picture(arguments.reference) or arguments.reference.is_dir():
        _require_pictures(arguments)
    else:
        _require_video(arguments)


def _require_no_comparison(arguments: argparse.Namespace) -> None:
    for flag, value in (("--plot", arguments.plot), ("--min-full-reference", arguments.min_full_reference)):
        if value is not None:
            raise ConfigError(f"{flag} {value}: belongs to --reference PATH, which is not given")
    if arguments.covers is None and arguments.every_s is not None:
        raise ConfigError(
            f"--every-s {arguments.every_s}: belongs to --covers N or a --reference VIDEO, neither of which is given"
        )


def _require_pictures(arguments: argparse.Namespace) -> None:
    for flag, value in (("--plot", arguments.plot), ("--every-s", arguments.every_s)):
        if value is not None:
            raise ConfigError(f"{flag} {value}: of videos alone, and --reference {arguments.reference} is none")
    videos = [path for path in arguments.paths if is_video(path)]
    if videos:
        raise ConfigError(
            f"{videos[0]}: a video, which is held against a video: --reference {arguments.reference} is none"
        )


def _require_video(arguments: argparse.Namespace) -> None:
    if len(arguments.paths) > 1 or arguments.paths[0].is_dir() or is_picture(arguments.paths[0]):
        given = ", ".join(map(str, arguments.paths))
        raise ConfigError(f"--reference {arguments.reference}: a video's; one video is held against it, not {given}")
    if arguments.paths[0].resolve() == arguments.reference.resolve():
        raise ConfigError(f"--reference {arguments.reference}: it is the video itself, beside which it is perfect")
    if arguments.masks:
        raise ConfigError(f"--masks {arguments.masks}: of pictures, not of a video's frames")


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: a whole number from 1 on is due")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r}: seconds above 0 are due")
    return seconds


def _aspect(text: str) -> Aspect:
    try:
        return parse_aspect(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r}: {error}") from error


def _satisfied(text: str) -> Satisfied:
    try:
        return parse_satisfied(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r}: {error}") from error
