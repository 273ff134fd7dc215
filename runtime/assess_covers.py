"""``python -m runtime.assess --covers N``: the best covers of pictures and videos."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import simplejpeg
from rich.console import Console
from rich.markup import escape
from rich.progress import track
from rich.table import Column, Table

from runtime.cover_files import cover_path, source_name, write_covers
from runtime.cover_sheet import cover_sheet
from runtime.covers import Candidate, Choice, Source, choose, content_of
from runtime.decision import cover_fields, to_json
from runtime.decode import Decoder
from runtime.errors import ConfigError, FrameError
from runtime.judging import judge_files
from runtime.pictures import Found, is_picture, printable, read_bytes
from runtime.pipeline import Judgement, Pipeline
from runtime.policy import Policy
from runtime.video import Video

EVERY_S = 1.0
SCHEMA = "framegate/cover/1"
SAMPLE_QUALITY = 95
"""A video's frames go into the pipeline as JPEG; the covers are cut from the frames themselves."""
GLANCE = (128, 128)
"""What of a picture is decoded to see what it shows."""


@dataclass(frozen=True)
class Wish:
    """What is asked for.

    Args:
        count: how many covers at most.
        output: the folder of the crops.
        sheet: the contact sheet's file.
        every_s: one frame of a video for so many seconds; None: for ``EVERY_S``.
        max_pixels: the largest picture that is decoded.
        json: print documents instead of a table.
    """

    count: int
    output: Path
    sheet: Path
    every_s: float | None
    max_pixels: int
    json: bool


def assess_covers(pictures: Sequence[Found], pipeline: Pipeline, wish: Wish, terminal: Console) -> None:
    """Judge, choose, write, draw, print.

    Args:
        pictures: and video files.
        pipeline: with heads for clarity and saliency.
        wish: what is asked for.
        terminal: where notices go; documents or the table go to standard output.

    Raises:
        ConfigError: no engine has the heads, a file is not readable or no video, ``every_s`` is given and there is
            none, or nothing is left to choose from.
    """
    _require_heads(pipeline, wish.count)
    sources = [found.path if is_picture(found.path) else Video(found.path) for found in pictures]
    if wish.every_s is not None and not any(isinstance(source, Video) for source in sources):
        raise ConfigError(f"--every-s {wish.every_s:g}: there is no video among the paths, and it is of videos alone")
    candidates = list(_candidates(sources, pipeline, wish, terminal))
    choices = choose(candidates, wish.count)
    _notice(choices, len(candidates), wish.count, terminal)
    cards = write_covers(choices, wish.output, wish.max_pixels)
    subtitle = f"the best {len(choices)} of {len(candidates)}"
    cover_sheet(cards, wish.sheet, subtitle=subtitle, hidden=len(choices) - len(cards))
    if wish.json:
        for rank, choice in enumerate(choices, 1):
            print(to_json(_document(rank, choice, wish.output, pipeline.policy)).decode())
    else:
        Console().print(_table(choices, wish.output))
    say(f"covers: {wish.output}; contact sheet: {wish.sheet}", terminal)


def say(text: str, terminal: Console) -> None:
    """Print a notice as it is: a path may hold what rich takes for markup."""
    terminal.print(text, markup=False, highlight=False, soft_wrap=True)


def _require_heads(pipeline: Pipeline, count: int) -> None:
    kinds = sorted(head.kind for engine in pipeline.engines for head in engine.manifest.heads)
    missing = [kind for kind in ("clarity", "saliency") if kind not in kinds]
    if missing:
        raise ConfigError(
            f"--covers {count}: no engine given has a head {' or '.join(map(repr, missing))}; they have {kinds}: "
            "give one that has it, too (--engine)"
        )


def _count(sources: Sequence[Path | Video], every_s: float) -> int | None:
    """Of the pictures and frames that will be judged, about; None where a video does not tell."""
    counts = [source.samples(every_s) if isinstance(source, Video) else 1 for source in sources]
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None


def _values(sources: Sequence[Path | Video], every_s: float) -> Iterator[tuple[Source, bytes]]:
    for source in sources:
        if isinstance(source, Path):
            yield Source(source), read_bytes(source)
            continue
        for frame in source.sample(every_s):
            pixels = np.ascontiguousarray(frame.pixels)
            value = simplejpeg.encode_jpeg(pixels, SAMPLE_QUALITY, "RGB", "444")
            yield Source(source.path, frame.number, frame.time_s), value


def _candidates(
    sources: Sequence[Path | Video], pipeline: Pipeline, wish: Wish, terminal: Console
) -> Iterator[Candidate]:
    """The pictures that the policy keeps; the others are told of."""
    decoder = Decoder(wish.max_pixels)
    outcomes = dropped = 0
    every_s = wish.every_s or EVERY_S
    judged = track(
        judge_files(_values(sources, every_s), pipeline, wish.max_pixels),
        "assess",
        total=_count(sources, every_s),
        console=terminal,
        disable=not terminal.is_terminal,
        transient=True,
    )
    for source, value, outcome in judged:
        outcomes += 1
        if isinstance(outcome, FrameError):
            say(f"left out: {source_name(source)}: {outcome}", terminal)
        elif outcome.reasons:
            dropped += 1
        else:
            yield _candidate(source, value, outcome, decoder)
    if dropped:
        say(f"left out: {dropped} of {outcomes} are below a threshold", terminal)


def _candidate(source: Source, value: bytes, judgement: Judgement, decoder: Decoder) -> Candidate:
    assert judgement.cover is not None
    content = content_of(decoder.decode(value, GLANCE).pixels, judgement.cover)
    return Candidate(source, judgement.width, judgement.height, judgement.cover, content)


def _notice(choices: Sequence[Choice], candidates: int, count: int, terminal: Console) -> None:
    """Say where the wish cannot be granted as it is."""
    if not choices:
        raise ConfigError(
            f"--covers {count}: nothing to choose from: every picture is undecodable or below a threshold; "
            "look at what was left out, or lower --min-clarity, --min-cover and the others"
        )
    if len(choices) < count:
        say(f"--covers {count}: only {candidates} to choose from: all are covers", terminal)
    alike = [str(rank) for rank, choice in enumerate(choices, 1) if not choice.distinct]
    if alike:
        say(
            f"--covers {count}: only {len(choices) - len(alike)} differ enough in what they show; "
            f"numbers {', '.join(alike)} resemble better ones",
            terminal,
        )


def _document(rank: int, choice: Choice, folder: Path, policy: Policy) -> dict[str, Any]:
    candidate = choice.candidate
    source: dict[str, Any] = {"file": str(candidate.source.path)}
    if candidate.source.frame is not None:
        source |= {"frame": candidate.source.frame, "time_s": round(candidate.source.time_s or 0.0, 3)}
    return {
        "schema": SCHEMA,
        "rank": rank,
        "file": str(cover_path(folder, rank, candidate.source)),
        "source": source,
        "frame": {"width": candidate.width, "height": candidate.height},
        "crop_px": list(candidate.crop),
        "distinct": choice.distinct,
        "cover": cover_fields(candidate.cover, policy),
    }


def _table(choices: Sequence[Choice], folder: Path) -> Table:
    table = Table("rank", Column("cover", overflow="fold"), Column("of", overflow="fold"))
    for name in ("score", "clarity", "object", "pixels"):
        table.add_column(name, justify="right")
    for rank, choice in enumerate(choices, 1):
        candidate, cover = choice.candidate, choice.candidate.cover
        left, top, right, bottom = candidate.crop
        table.add_row(
            str(rank) if choice.distinct else f"[yellow]{rank}[/]",
            escape(printable(cover_path(folder, rank, candidate.source))),
            escape(source_name(candidate.source)),
            f"{candidate.score:.3f}",
            f"{cover.clarity:.2f}",
            f"{cover.object_proportion:.1%}",
            f"{right - left}x{bottom - top}",
        )
    return table
