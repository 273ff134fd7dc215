"""``python -m runtime.assess``: judge files and folders, without Kafka."""

import argparse
import os
import sys
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import track
from rich.table import Column, Table

from runtime.aspect import WIDE, Aspect, parse_aspect
from runtime.assess_covers import EVERY_S, Wish, assess_covers, say
from runtime.contact_sheet import Tile, contact_sheet, thumbnail
from runtime.cover_files import require_own_folder
from runtime.cpus import usable_cpus
from runtime.decision import Decisions, dead_letter, to_json
from runtime.decode import MAX_PIXELS
from runtime.engine import Provider
from runtime.errors import ConfigError, FrameError, FramegateError
from runtime.judging import MAX_BATCH, judge_all
from runtime.masks import Masks, require_distinct_masks
from runtime.pictures import Found, find_pictures, printable, read_bytes
from runtime.pipeline import Outcome, Pipeline, open_pipeline
from runtime.prepare import Decode

COVERS = Path("covers")
SHEET = "covers.png"
BROKEN_PIPE = 141
"""As shells say it of a program that SIGPIPE ended."""


def main(argv: Sequence[str] | None = None) -> int:
    """Judge pictures; print a table or JSON lines.

    Returns:
        0, also where pictures could not be judged; 1: the device failed; 2: an argument or an engine is wrong; 130:
        Ctrl-C; 141: nobody reads any more what is printed.
    """
    arguments = _parser().parse_args(argv)
    terminal = Console(stderr=True)
    try:
        _require_sense(arguments)
        if arguments.covers is None:
            _assess(arguments, terminal)
        else:
            _choose_covers(arguments, terminal)
    except FramegateError as error:
        print(f"framegate: {error}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:  # who read standard output has gone: head has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python complains when it flushes
        return BROKEN_PIPE
    except KeyboardInterrupt:
        return 130
    return 0


def _choose_covers(arguments: argparse.Namespace, terminal: Console) -> None:
    output = arguments.output or COVERS
    pictures = _find(arguments.paths, terminal, output, videos=True)
    require_own_folder(output, arguments.paths, pictures)
    wish = Wish(
        arguments.covers,
        output,
        arguments.contact_sheet or output / SHEET,
        arguments.every_s,
        arguments.max_pixels,
        arguments.json,
    )
    with closing(_open(arguments)) as pipeline:
        assess_covers(pictures, pipeline, wish, terminal)


def _find(paths: Sequence[Path], terminal: Console, own: Path | None, *, videos: bool = False) -> list[Found]:
    """The files to judge; what is left out is told of."""
    found, again, left_out = find_pictures(paths, videos=videos, own=own)
    if left_out:
        say(f"left out: {left_out} in {own}, where the results go", terminal)
    if again:
        say(f"left out: {again} given or found twice: each file is judged once", terminal)
    return found


def _assess(arguments: argparse.Namespace, terminal: Console) -> None:
    pictures = _find(arguments.paths, terminal, arguments.masks)
    if arguments.masks:
        require_distinct_masks(arguments.masks, pictures)
    with closing(_open(arguments)) as pipeline:
        manifests = [engine.manifest for engine in pipeline.engines]
        decisions = Decisions(manifests, pipeline.policy)
        masks = Masks(arguments.masks, manifests) if arguments.masks else None
        table = _table(pipeline)
        tiles: list[Tile] = []
        for found, value, outcome in _judged(pictures, pipeline, terminal):
            if arguments.json:
                print(to_json(_document(found.path, outcome, decisions)).decode(), flush=True)
            else:
                table.add_row(escape(printable(found.path)), *_cells(outcome, pipeline))
            if masks and not isinstance(outcome, FrameError):
                masks.write(found, outcome)
            if arguments.contact_sheet:
                tiles.append(_tile(found.path, value, outcome))
    if not arguments.json:
        Console().print(table)
    if arguments.contact_sheet:
        contact_sheet(tiles, arguments.contact_sheet)
        say(f"contact sheet: {arguments.contact_sheet}", terminal)


def _judged(pictures: Sequence[Found], pipeline: Pipeline, terminal: Console) -> Iterable[tuple[Found, bytes, Outcome]]:
    return track(
        judge_all(((found, read_bytes(found.path)) for found in pictures), pipeline),
        "assess",
        total=len(pictures),
        console=terminal,
        disable=not terminal.is_terminal,
        transient=True,
    )


def _tile(path: Path, value: bytes, outcome: Outcome) -> Tile:
    if isinstance(outcome, FrameError):
        return Tile("dead-lettered", thumbnail(value), printable(Path(path.name)), str(outcome.reason))
    utility, cover = outcome.results.get("utility"), outcome.cover
    return Tile(
        "dropped" if outcome.reasons else "kept",
        thumbnail(value),
        printable(Path(path.name)),
        ", ".join(outcome.reasons),
        utility.value if utility else cover.score if cover else None,
    )


def _document(path: Path, outcome: Outcome, decisions: Decisions) -> dict[str, Any]:
    source = {"file": str(path)}
    if isinstance(outcome, FrameError):
        return dead_letter(source, outcome)
    return decisions.make(outcome, id_=decisions.id("file", path), stream=None, source=source, frame_id=str(path))


def _table(pipeline: Pipeline) -> Table:
    table = Table(Column("picture", overflow="fold"), "size", "verdict")
    for column in _columns(pipeline):
        table.add_column(column, justify="right")
    table.add_column("reasons")
    return table


def _cells(outcome: Outcome, pipeline: Pipeline) -> list[str]:
    if isinstance(outcome, FrameError):
        blanks = [""] * len(_columns(pipeline))
        return ["", "[red]dead letter[/]", *blanks, escape(f"{outcome.reason}: {outcome.detail}")]
    verdict = "[green]keep[/]" if outcome.verdict == "keep" else "[yellow]drop[/]"
    scores = {kind: result.value for kind, result in outcome.results.items()}
    if outcome.cover and outcome.cover.object_proportion is not None:
        scores["saliency"] = outcome.cover.object_proportion  # of the picture, not of the map with its padding
    if outcome.cover and outcome.cover.score is not None:
        scores["cover"] = outcome.cover.score
    texts = [f"{score:.3f}" for score in scores.values()]
    return [f"{outcome.width}x{outcome.height}", verdict, *texts, ", ".join(outcome.reasons)]


def _columns(pipeline: Pipeline) -> list[str]:
    """The heads in the order of their results, and the cover's score where two of them make one."""
    kinds = [head.kind for engine in pipeline.engines for head in engine.manifest.heads]
    names = ["object" if kind == "saliency" else kind for kind in kinds]
    return [*names, "cover"] if {"clarity", "saliency"} <= set(kinds) else names


def _require_sense(arguments: argparse.Namespace) -> None:
    """Flags that go with others.

    Raises:
        ConfigError: one is given where it means nothing.
    """
    if arguments.covers is None:
        for flag, value in (("--output", arguments.output), ("--every-s", arguments.every_s)):
            if value is not None:
                raise ConfigError(f"{flag} {value}: belongs to --covers N, which is not given")
    elif arguments.masks:
        raise ConfigError(f"--masks {arguments.masks}: not with --covers; assess the pictures without it for masks")


def _open(arguments: argparse.Namespace) -> Pipeline:
    return open_pipeline(
        arguments.engine,
        provider=arguments.provider,
        threads=arguments.threads or usable_cpus(),
        max_batch=MAX_BATCH,
        in_flight=2,
        max_pixels=arguments.max_pixels,
        decode=arguments.decode,
        min_utility=arguments.min_utility,
        min_mos=arguments.min_mos,
        min_clarity=arguments.min_clarity,
        min_cover=arguments.min_cover,
        aspect=arguments.aspect,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m runtime.assess", description="Judge pictures, without Kafka.")
    add = parser.add_argument
    add(
        "paths",
        nargs="+",
        type=Path,
        metavar="PATH",
        help="a picture, or a folder that is searched for pictures; with --covers videos, too",
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
    add("--every-s", type=_seconds, metavar="S", help=f"a video's frames for --covers (default: one in {EVERY_S:g} s)")
    add("--aspect", type=_aspect, metavar="W:H", help=f"of covers' crops (default: {WIDE})")
    add("--provider", choices=Provider.__args__, default="cpu", help="what ONNX Runtime runs on")  # type: ignore[attr-defined]
    add("--decode", choices=Decode.__args__, default="cpu", help="where JPEGs are decoded")  # type: ignore[attr-defined]
    add("--threads", type=int, help="worker threads (default: the CPUs that the container may use)")
    add("--min-utility", type=float, help="drop below it (default: the engine's threshold)")
    add("--min-mos", type=float, help="drop below it (default: the engine's threshold)")
    add("--min-clarity", type=float, help="drop below it (default: the engine's threshold, if it has one)")
    add("--min-cover", type=float, help="drop below it (default: none is)")
    add("--max-pixels", type=int, default=MAX_PIXELS, help="a larger picture is a dead letter")
    return parser


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


if __name__ == "__main__":
    sys.exit(main())
