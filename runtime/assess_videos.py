"""``python -m runtime.assess --reference VIDEO``: a video held against its reference, frame by frame."""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.progress import track
from rich.table import Column, Table

from runtime.assess_covers import say
from runtime.comparison import Comparison
from runtime.contact_sheet import TILE_HEIGHT, TILE_WIDTH, Tile, contact_sheet
from runtime.decision import Decisions, dead_letter, to_json
from runtime.errors import ConfigError, FrameError
from runtime.foreign import encode_png
from runtime.full_reference import PixelPair, Pixels
from runtime.opencv import cv2
from runtime.pictures import printable
from runtime.pipeline import Judgement, Outcome
from runtime.quality_plot import quality_plot
from runtime.sheet import fitted
from runtime.video import Video
from runtime.video_pair import FramePair, VideoPair

WORST = 0.05
"""The share of the frames whose mean the summary tells apart."""
SHOWN = 24
"""Frames on the contact sheet: the worst."""


@dataclass(frozen=True)
class VideoWish:
    """What is asked for.

    Args:
        video: what is judged.
        reference: what it is held against.
        every_s: one frame of so many seconds; None: each.
        plot: the PNG of the score over time.
        sheet: the contact sheet's file; None: there is none.
        json: print documents instead of a table.
    """

    video: Path
    reference: Path
    every_s: float | None
    plot: Path
    sheet: Path | None
    json: bool


class _Frame(NamedTuple):
    """A frame on its way. ``pair`` is None where both frames wait encoded: raw ones would take much memory."""

    number: int
    time_s: float
    pair: PixelPair | None
    reference: bytes
    thumbnail: Pixels | None


@dataclass
class _Summary:
    """What is kept of the frames that were compared."""

    points: list[tuple[float, float]] = field(default_factory=list)
    dropped: int = 0
    unjudged: int = 0
    worst: list[tuple[float, int, Tile]] = field(default_factory=list)
    """A heap of the ``SHOWN`` worst: minus the score, the frame's number, its tile."""

    def add(self, frame: _Frame, outcome: Outcome) -> None:
        if isinstance(outcome, FrameError):
            self.unjudged += 1
            return
        score = outcome.results["quality_fr"].value
        self.points.append((frame.time_s, score))
        self.dropped += bool(outcome.reasons)
        if frame.thumbnail is not None:
            heapq.heappush(self.worst, (-score, -frame.number, _tile(frame, outcome, score)))
            if len(self.worst) > SHOWN:
                heapq.heappop(self.worst)


def assess_videos(wish: VideoWish, comparison: Comparison, terminal: Console) -> None:
    """Judge, print, draw.

    Args:
        wish: what is asked for.
        comparison: the engines.
        terminal: where notices go; documents or the table go to standard output.

    Raises:
        ConfigError: a file is no video, the two are of different sizes, or not one frame could be judged.
    """
    videos = Video(wish.video), Video(wish.reference)
    pair = VideoPair(*videos, comparison.tile)
    decisions = Decisions([engine.manifest for engine in comparison.engines], comparison.policy)
    summary = _Summary()
    judged = track(
        comparison.judge(_values(pair, wish, comparison.needs_values), _pixels),
        "assess",
        total=(videos[0].count or None) if wish.every_s is None else videos[0].samples(wish.every_s),
        console=terminal,
        disable=not terminal.is_terminal,
        transient=True,
    )
    for frame, _, outcome in judged:
        summary.add(frame, outcome)
        if wish.json:
            print(to_json(_document(frame, outcome, wish, decisions)).decode(), flush=True)
    _notice(videos, pair, terminal)
    if not summary.points:
        raise ConfigError(f"{wish.video}: not one of its {summary.unjudged} frames could be judged")
    if not wish.json:
        Console().print(_table(wish, summary))
    _draw(wish, summary, terminal)


def worst_mean(scores: list[float]) -> float:
    """The mean of the worst ``WORST`` of the scores, of one at least."""
    count = max(1, round(WORST * len(scores)))
    return float(np.mean(sorted(scores)[:count]))


def _values(pair: VideoPair, wish: VideoWish, encoded: bool) -> Iterator[tuple[_Frame, bytes]]:
    for each in pair.sample(wish.every_s):
        shown = None if wish.sheet is None else fitted(each.pixels.frame, TILE_WIDTH, TILE_HEIGHT)
        yield _frame(each, shown, encoded), encode_png(each.pixels.frame) if encoded else b""


def _frame(each: FramePair, thumbnail: Pixels | None, encoded: bool) -> _Frame:
    if encoded:
        return _Frame(each.number, each.time_s, None, encode_png(each.pixels.reference), thumbnail)
    return _Frame(each.number, each.time_s, each.pixels, b"", thumbnail)


def _pixels(frame: _Frame, value: bytes) -> PixelPair:
    return frame.pair or PixelPair(_decoded(value), _decoded(frame.reference))


def _decoded(value: bytes) -> Pixels:
    return np.asarray(cv2.imdecode(np.frombuffer(value, np.uint8), cv2.IMREAD_COLOR_RGB), np.uint8)


def _document(frame: _Frame, outcome: Outcome, wish: VideoWish, decisions: Decisions) -> dict[str, Any]:
    source = {
        "file": str(wish.video),
        "frame": frame.number,
        "time_s": round(frame.time_s, 3),
        "reference": {"file": str(wish.reference)},
    }
    if isinstance(outcome, FrameError):
        return dead_letter(source, outcome)
    id_ = decisions.id("file", wish.video, frame.number, "reference", wish.reference)
    name = f"{wish.video}#{frame.number}"
    return decisions.make(outcome, id_=id_, stream=None, source=source, frame_id=name)


def _tile(frame: _Frame, judgement: Judgement, score: float) -> Tile:
    return Tile(
        "dropped" if judgement.reasons else "kept",
        frame.thumbnail,
        f"{frame.time_s:.2f} s, frame {frame.number}",
        ", ".join(judgement.reasons),
        (score - 1) / 4,
        f"{score:.2f}",
    )


def _notice(videos: tuple[Video, Video], pair: VideoPair, terminal: Console) -> None:
    """Say where the two do not fit together."""
    (video, reference), (count, others) = videos, pair.counts
    if count != others:
        say(
            f"{printable(video.path)} has {count} frames and {printable(reference.path)} {others}: the first "
            f"{min(count, others)} were held against each other",
            terminal,
        )
    if abs(video.fps - reference.fps) > 0.01 * reference.fps:
        say(
            f"{printable(video.path)} has {video.fps:g} frames a second and {printable(reference.path)} "
            f"{reference.fps:g}: frames of one number were held against each other, whatever their times",
            terminal,
        )


def _table(wish: VideoWish, summary: _Summary) -> Table:
    scores = [score for _, score in summary.points]
    time_s, least = min(summary.points, key=lambda point: point[1])
    table = Table("", Column(justify="right"), title=escape(printable(Path(wish.video.name))), show_header=False)
    table.add_row("frames", f"{len(scores)}")
    table.add_row("mean", f"{np.mean(scores):.3f}")
    table.add_row(f"mean of the worst {WORST:.0%}", f"{worst_mean(scores):.3f}")
    table.add_row("worst moment", f"{least:.3f} at {time_s:.2f} s")
    table.add_row("dropped", f"{summary.dropped}")
    table.add_row("not judged", f"{summary.unjudged}")
    return table


def _draw(wish: VideoWish, summary: _Summary, terminal: Console) -> None:
    title = f"{printable(Path(wish.video.name))} beside {printable(Path(wish.reference.name))}"
    quality_plot(summary.points, wish.plot, title=title)
    say(f"plot: {wish.plot}", terminal)
    if wish.sheet is not None:
        tiles = [tile for *_, tile in sorted(summary.worst, key=lambda each: (-each[0], -each[1]))]
        contact_sheet(tiles, wish.sheet, subtitle=f"the worst {len(tiles)} of {len(summary.points)} frames")
        say(f"contact sheet: {wish.sheet}", terminal)
