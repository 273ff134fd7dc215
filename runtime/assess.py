"""``python -m runtime.assess``: judge files and folders, without Kafka."""

import argparse
import os
import sys
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.progress import track

from runtime.assess_covers import Wish, assess_covers, say
from runtime.assess_options import COVERS, assess_parser, require_sense
from runtime.assess_table import AssessTable
from runtime.assess_videos import VideoWish, assess_videos
from runtime.comparison import Comparison, open_comparison
from runtime.contact_sheet import Tile, contact_sheet, thumbnail
from runtime.cover_files import require_own_folder
from runtime.cpus import usable_cpus
from runtime.decision import Decisions, dead_letter, to_json
from runtime.engine import Engine
from runtime.errors import ConfigError, FrameError, FramegateError
from runtime.foreign import readable
from runtime.judging import MAX_BATCH, judge_files
from runtime.masks import Masks, require_distinct_masks
from runtime.pairs import PairReader, outside, pair_up
from runtime.pictures import Found, find_pictures, is_picture, printable, read_bytes
from runtime.pipeline import Judgement, Outcome, Pipeline, open_pipeline
from runtime.policy import Policy

SHEET = "covers.png"
PLOT = "-quality.png"
"""What follows the video's name in that of its plot."""
BROKEN_PIPE = 141
"""As shells say it of a program that SIGPIPE ended."""


def main(argv: Sequence[str] | None = None) -> int:
    """Judge pictures; print a table or JSON lines.

    Returns:
        0, also where pictures could not be judged; 1: the device failed; 2: an argument or an engine is wrong; 130:
        Ctrl-C; 141: nobody reads any more what is printed.
    """
    arguments = assess_parser().parse_args(argv)
    terminal = Console(stderr=True)
    try:
        require_sense(arguments)
        if arguments.covers is not None:
            _choose_covers(arguments, terminal)
        elif arguments.reference is None:
            _assess(arguments, terminal)
        elif is_picture(arguments.reference) or arguments.reference.is_dir():
            _compare(arguments, terminal)
        else:
            _compare_videos(arguments, terminal)
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


class Judged(NamedTuple):
    """A picture, its bytes, and what became of it; ``reference`` is what it was held against."""

    found: Found
    reference: Path | None
    value: bytes
    outcome: Outcome


def _assess(arguments: argparse.Namespace, terminal: Console) -> None:
    pictures = _find(arguments.paths, terminal, arguments.masks)
    _require_masks(arguments, pictures)
    with closing(_open(arguments)) as pipeline:
        values = ((found, read_bytes(found.path)) for found in pictures)
        outcomes = judge_files(values, pipeline, arguments.max_pixels)
        judged = (Judged(found, None, value, outcome) for found, value, outcome in outcomes)
        _report(_tracked(judged, len(pictures), terminal), pipeline.engines, pipeline.policy, arguments, terminal)


def _compare(arguments: argparse.Namespace, terminal: Console) -> None:
    pictures = _find(arguments.paths, terminal, arguments.masks)
    others = outside(pictures, arguments.reference, arguments.paths)
    if len(others) < len(pictures):
        count = "" if arguments.reference.is_file() else f"{len(pictures) - len(others)} in "
        say(f"left out: {count}{arguments.reference}, the reference{'s' if count else ''}", terminal)
    _require_masks(arguments, others)
    pairs = pair_up(others, arguments.reference)
    reader = PairReader(arguments.max_pixels, arguments.reference)
    with closing(_open_comparison(arguments)) as comparison:
        values = ((pair, readable(read_bytes(pair.found.path), arguments.max_pixels).value) for pair in pairs)
        judged = (Judged(*pair, value, outcome) for pair, value, outcome in comparison.judge(values, reader.read))
        _report(_tracked(judged, len(pairs), terminal), comparison.engines, comparison.policy, arguments, terminal)


def _compare_videos(arguments: argparse.Namespace, terminal: Console) -> None:
    [video] = arguments.paths
    sheet = arguments.contact_sheet
    plot = arguments.plot or (Path() if sheet is None else sheet.parent) / f"{video.stem}{PLOT}"
    if sheet is not None and sheet.resolve() == plot.resolve():
        raise ConfigError(f"--contact-sheet {sheet}: the plot would replace it: give another --plot")
    wish = VideoWish(video, arguments.reference, arguments.every_s, plot, sheet, arguments.json)
    with closing(_open_comparison(arguments)) as comparison:
        assess_videos(wish, comparison, terminal)


def _report(
    judged: Iterable[Judged],
    engines: Sequence[Engine],
    policy: Policy,
    arguments: argparse.Namespace,
    terminal: Console,
) -> None:
    """Print documents or the table; write masks and the contact sheet."""
    manifests = [engine.manifest for engine in engines]
    decisions = Decisions(manifests, policy)
    masks = Masks(arguments.masks, manifests) if arguments.masks else None
    table = AssessTable(manifests, policy)
    tiles: list[Tile] = []
    for one in judged:
        if arguments.json:
            print(to_json(_document(one, decisions)).decode(), flush=True)
        else:
            table.add(one.found.path, one.outcome)
        if masks and not isinstance(one.outcome, FrameError):
            masks.write(one.found, one.outcome)
        if arguments.contact_sheet:
            tiles.append(_tile(one.found.path, one.value, one.outcome))
    if not arguments.json:
        Console().print(table.table)
    if arguments.contact_sheet:
        contact_sheet(tiles, arguments.contact_sheet)
        say(f"contact sheet: {arguments.contact_sheet}", terminal)


def _require_masks(arguments: argparse.Namespace, pictures: Sequence[Found]) -> None:
    if arguments.masks:
        require_distinct_masks(arguments.masks, pictures)


def _tracked(judged: Iterable[Judged], count: int, terminal: Console) -> Iterable[Judged]:
    return track(judged, "assess", total=count, console=terminal, disable=not terminal.is_terminal, transient=True)


def _tile(path: Path, value: bytes, outcome: Outcome) -> Tile:
    if isinstance(outcome, FrameError):
        return Tile("dead-lettered", thumbnail(value), printable(Path(path.name)), str(outcome.reason))
    return Tile(
        "dropped" if outcome.reasons else "kept",
        thumbnail(value),
        printable(Path(path.name)),
        ", ".join(outcome.reasons),
        *_bar(outcome),
    )


def _bar(judgement: Judgement) -> tuple[float | None, str]:
    """The score that stands for the picture on the sheet, in [0, 1], and how it is written."""
    results = judgement.results
    if "quality_fr" not in results and "utility" in results:
        return results["utility"].value, ""
    if "quality_fr" not in results and judgement.cover is not None and judgement.cover.score is not None:
        return judgement.cover.score, ""
    opinion = results.get("quality_fr") or results.get("quality")
    return (None, "") if opinion is None else ((opinion.value - 1) / 4, f"{opinion.value:.2f}")


def _document(one: Judged, decisions: Decisions) -> dict[str, Any]:
    path = one.found.path
    source: dict[str, Any] = {"file": str(path)}
    if one.reference is not None:
        source["reference"] = {"file": str(one.reference)}
    if isinstance(one.outcome, FrameError):
        return dead_letter(source, one.outcome)
    beside = () if one.reference is None else ("reference", one.reference)
    id_ = decisions.id("file", path, *beside)
    return decisions.make(one.outcome, id_=id_, stream=None, source=source, frame_id=str(path))


def _asked(arguments: argparse.Namespace) -> Policy:
    return Policy(
        min_utility=arguments.min_utility,
        min_mos=arguments.min_mos,
        min_clarity=arguments.min_clarity,
        min_cover=arguments.min_cover,
        min_satisfied=arguments.min_satisfied,
        min_full_reference=arguments.min_full_reference,
    )


def _open(arguments: argparse.Namespace) -> Pipeline:
    return open_pipeline(
        arguments.engine,
        provider=arguments.provider,
        threads=arguments.threads or usable_cpus(),
        max_batch=MAX_BATCH,
        in_flight=2,
        max_pixels=arguments.max_pixels,
        decode=arguments.decode,
        asked=_asked(arguments),
        aspect=arguments.aspect,
    )


def _open_comparison(arguments: argparse.Namespace) -> Comparison:
    return open_comparison(
        arguments.engine,
        provider=arguments.provider,
        threads=arguments.threads or usable_cpus(),
        max_pixels=arguments.max_pixels,
        asked=_asked(arguments),
        aspect=arguments.aspect,
    )


if __name__ == "__main__":
    sys.exit(main())
