"""``python -m runtime.assess``: judge files and folders, without Kafka."""

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import track
from rich.table import Column, Table

from runtime.contact_sheet import Tile, contact_sheet, thumbnail
from runtime.cpus import usable_cpus
from runtime.decision import Decisions, dead_letter, to_json
from runtime.decode import MAX_PIXELS
from runtime.engine import Provider
from runtime.errors import ConfigError, FrameError, FramegateError
from runtime.pipeline import Outcome, Pipeline, open_pipeline
from runtime.prepare import Decode

MAX_BATCH = 16
PICTURES = {
    ".jpg",
    ".jpeg",
    ".png",
    ".gif",
    ".webp",
    ".bmp",
    ".tif",
    ".tiff",
    ".avif",
    ".heic",
    ".jp2",
    ".jxl",
}
"""What a folder is searched for. Some of these become dead letters: better told than left out in silence."""


def main(argv: Sequence[str] | None = None) -> int:
    """Judge pictures; print a table or JSON lines.

    Returns:
        0, also where pictures could not be judged; 1: the device failed; 2: an argument or an engine is wrong.
    """
    arguments = _parser().parse_args(argv)
    try:
        files = list(find_pictures(arguments.paths))
        pipeline = _open(arguments)
        try:
            _assess(files, pipeline, arguments)
        finally:
            pipeline.close()
    except FramegateError as error:
        print(f"framegate: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    return 0


def find_pictures(paths: Iterable[Path]) -> Iterator[Path]:
    """Every file given, and the pictures below every folder given, sorted by name.

    Raises:
        ConfigError: a path does not exist, or a folder holds no picture.
    """
    for path in paths:
        if path.is_file():
            yield path
        elif path.is_dir():
            found = sorted(file for file in path.rglob("*") if file.is_file() and file.suffix.lower() in PICTURES)
            if not found:
                raise ConfigError(f"{path}: no picture in this folder (looked for {', '.join(sorted(PICTURES))})")
            yield from found
        else:
            raise ConfigError(f"{path}: no such file or folder")


def judge_files(files: Sequence[Path], pipeline: Pipeline) -> Iterator[tuple[Path, bytes, Outcome]]:
    """Each file with its bytes and its outcome, in order, while the next batch is judged already.

    Raises:
        ConfigError: a file cannot be read.
    """
    waiting = None
    for start in range(0, len(files), MAX_BATCH):
        batch = files[start : start + MAX_BATCH]
        values = [_read(path) for path in batch]
        submitted = (batch, values, pipeline.submit(values))
        if waiting:
            yield from zip(waiting[0], waiting[1], waiting[2].result(), strict=True)
        waiting = submitted
    if waiting:
        yield from zip(waiting[0], waiting[1], waiting[2].result(), strict=True)


def _assess(files: Sequence[Path], pipeline: Pipeline, arguments: argparse.Namespace) -> None:
    decisions = Decisions([engine.manifest for engine in pipeline.engines], pipeline.policy)
    table = _table(pipeline)
    tiles: list[Tile] = []
    terminal = Console(stderr=True)
    judged = track(
        judge_files(files, pipeline),
        "assess",
        total=len(files),
        console=terminal,
        disable=not terminal.is_terminal,
        transient=True,
    )
    for path, value, outcome in judged:
        if arguments.json:
            print(to_json(_document(path, outcome, decisions)).decode(), flush=True)
        else:
            table.add_row(escape(_name(path)), *_cells(outcome, pipeline))
        if arguments.contact_sheet:
            tiles.append(_tile(path, value, outcome))
    if not arguments.json:
        Console().print(table)
    if arguments.contact_sheet:
        contact_sheet(tiles, arguments.contact_sheet)
        terminal.print(f"contact sheet: {arguments.contact_sheet}", highlight=False)


def _name(path: Path) -> str:
    """The path as it can be printed: a name on disk need not be UTF-8."""
    return str(path).encode(errors="replace").decode()


def _tile(path: Path, value: bytes, outcome: Outcome) -> Tile:
    if isinstance(outcome, FrameError):
        return Tile("dead-lettered", thumbnail(value), _name(Path(path.name)), str(outcome.reason))
    utility = outcome.results.get("utility")
    return Tile(
        "dropped" if outcome.reasons else "kept",
        thumbnail(value),
        _name(Path(path.name)),
        ", ".join(outcome.reasons),
        None if utility is None else utility.value,
    )


def _document(path: Path, outcome: Outcome, decisions: Decisions) -> dict[str, Any]:
    source = {"file": str(path)}
    if isinstance(outcome, FrameError):
        return dead_letter(source, outcome)
    return decisions.make(outcome, id_=decisions.id("file", path), stream=None, source=source, frame_id=str(path))


def _table(pipeline: Pipeline) -> Table:
    table = Table(Column("picture", overflow="fold"), "size", "verdict")
    for kind in _kinds(pipeline):
        table.add_column(kind, justify="right")
    table.add_column("reasons")
    return table


def _cells(outcome: Outcome, pipeline: Pipeline) -> list[str]:
    if isinstance(outcome, FrameError):
        blanks = [""] * len(_kinds(pipeline))
        return ["", "[red]dead letter[/]", *blanks, escape(f"{outcome.reason}: {outcome.detail}")]
    verdict = "[green]keep[/]" if outcome.verdict == "keep" else "[yellow]drop[/]"
    scores = [f"{outcome.results[kind].value:.3f}" for kind in _kinds(pipeline)]
    return [f"{outcome.width}x{outcome.height}", verdict, *scores, ", ".join(outcome.reasons)]


def _kinds(pipeline: Pipeline) -> list[str]:
    return [head.kind for engine in pipeline.engines for head in engine.manifest.heads]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: cannot read it: {error.strerror}") from error


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
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m runtime.assess", description="Judge pictures, without Kafka.")
    add = parser.add_argument
    add(
        "paths",
        nargs="+",
        type=Path,
        metavar="PATH",
        help="a picture, or a folder that is searched for pictures",
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
        help="write one picture of all pictures with their scores",
    )
    add("--provider", choices=Provider.__args__, default="cpu", help="what ONNX Runtime runs on")  # type: ignore[attr-defined]
    add("--decode", choices=Decode.__args__, default="cpu", help="where JPEGs are decoded")  # type: ignore[attr-defined]
    add("--threads", type=int, help="worker threads (default: the CPUs that the container may use)")
    add("--min-utility", type=float, help="drop below it (default: the engine's threshold)")
    add("--min-mos", type=float, help="drop below it (default: the engine's threshold)")
    add("--max-pixels", type=int, default=MAX_PIXELS, help="a larger picture is a dead letter")
    return parser


if __name__ == "__main__":
    sys.exit(main())
