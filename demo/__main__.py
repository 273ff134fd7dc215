"""``python -m demo``: three cameras, a gateway and its decisions, on a machine that has nothing but pip."""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, Final

from rich.console import Console
from rich.live import Live
from rich.markup import escape

from demo.cameras import CAMERAS, Frame, film
from demo.embedded_broker import EmbeddedBroker
from runtime.contact_sheet import Section, Tile, contact_sheet, thumbnail
from stream.board import Board, Row, read_row
from stream.client import Cluster, close_producer
from stream.errors import StreamError
from stream.footage import Shot
from stream.publish import Publisher
from stream.record import Record
from stream.tail import Follower
from stream.topics import require_topics

ROOT: Final = Path(__file__).parents[1]
ENGINE: Final = Path(os.path.relpath(ROOT / "models" / "utility.onnx"))
TOPICS: Final = ["frames", "decisions", "frames.dead-letter"]
SECTIONS: Final[dict[str, Section]] = {"keep": "kept", "drop": "dropped", "dead letter": "dead-lettered"}
LIMIT_S: Final = 120.0
SETTINGS: Final = """\
# The embedded broker waits about half a session before it lets a group begin: short sessions, quick start.
[kafka]
session_timeout_ms = 6000
heartbeat_interval_ms = 1500
"""

terminal = Console()


def main(argv: Sequence[str] | None = None) -> int:
    """Film, publish, serve, show, draw.

    Returns:
        0: every frame is accounted for, exactly once; 1: one is not, or something failed; 2: there is no such engine;
        130: interrupted.
    """
    arguments = _parser().parse_args(argv)
    if not arguments.engine.is_file():
        terminal.print("[red]demo:[/]", escape(f"--engine {arguments.engine}: no such file"), soft_wrap=True)
        return 2
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        return _run(arguments.engine, arguments.output)
    except (RuntimeError, StreamError, OSError) as error:
        terminal.print("[red]demo:[/]", escape(str(error)), soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        terminal.print("interrupted; broker and gateway are stopped")
        return 130


def _run(engine: Path, output: Path) -> int:
    output.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        broker = stack.enter_context(EmbeddedBroker(output / "broker.log"))
        cluster = Cluster(broker.bootstrap, budget_s=30)
        require_topics(cluster, TOPICS, create=True)
        with terminal.status("three cameras film, well and badly"):
            frames = film()
            _publish(frames, cluster)
        terminal.print(f"published {len(frames)} frames of {len(CAMERAS)} cameras to an embedded broker")
        gateway = stack.enter_context(_gateway(engine, broker.bootstrap, output))
        outcomes = _watch(cluster, gateway)
        _require_success(gateway, output / "serve.log")
    sheet = output / "contact-sheet.png"
    contact_sheet(_tiles(frames, outcomes), sheet, subtitle=_subtitle(frames, engine))
    terminal.print(f"contact sheet: [bold]{sheet}[/]", highlight=False, soft_wrap=True)
    return _account(frames, outcomes)


def _publish(frames: Sequence[Frame], cluster: Cluster) -> None:
    producer = cluster.producer()
    publishers = {camera: Publisher(producer, TOPICS[0], camera, cluster.budget_s) for camera in CAMERAS}
    try:
        for frame in frames:
            publishers[frame.camera].send(Shot(frame.id, frame.value), frame.id)
        for publisher in publishers.values():
            publisher.settle()
    finally:
        close_producer(producer, 5)


@contextmanager
def _gateway(engine: Path, brokers: str, output: Path) -> "Iterator[subprocess.Popen[bytes]]":
    """The gateway as anybody would start it, in a process of its own."""
    settings = output / "framegate.toml"
    settings.write_text(SETTINGS)
    flags = ["--engine", str(engine), "--brokers", brokers, "--config", str(settings)]
    command = ["-m", "runtime.serve", *flags, "--metrics-port", "off", "--exit-when-drained"]
    terminal.print(f"[dim]$ python {' '.join(command)}[/]", highlight=False, soft_wrap=True)
    with (output / "serve.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, *command], stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _watch(cluster: Cluster, gateway: "subprocess.Popen[bytes]") -> dict[str, list[Row]]:
    """Every frame's outcomes as they come, by frame id: one each, if all is well."""
    outcomes: dict[str, list[Row]] = {}
    board = Board(rows=max(8, terminal.height - 14))
    follower = Follower(cluster, TOPICS[1:], from_beginning=True)
    deadline_s = time.monotonic() + LIMIT_S
    try:
        with Live(board, console=terminal, refresh_per_second=8):
            while time.monotonic() < deadline_s:
                ended = gateway.poll() is not None  # before the poll: what it published last is still to be read
                records = follower.poll()
                for record in records:
                    row = read_row(record)
                    board.add(row)
                    outcomes.setdefault(_frame_id(record), []).append(row)
                if ended and not records:
                    break
    finally:
        follower.close()
        terminal.print()
    return outcomes


def _frame_id(record: Record) -> str:
    own = record.header("frame-id")  # dead letters keep the frame's headers
    if own is not None:
        return own.decode()
    decision: dict[str, Any] = json.loads(record.value or b"{}")
    return str(decision.get("frame", {}).get("id"))


def _tiles(frames: Sequence[Frame], outcomes: dict[str, list[Row]]) -> Iterator[Tile]:
    for frame in frames:
        for row in outcomes.get(frame.id, []):
            note = f"{row.reasons}: {frame.shows}" if row.verdict == "dead letter" else frame.shows
            yield Tile(SECTIONS[row.verdict], thumbnail(frame.value), frame.camera, note, row.utility)


def _subtitle(frames: Sequence[Frame], engine: Path) -> str:
    return f"{len(frames)} frames of {len(CAMERAS)} cameras, judged by {engine.stem}; bars and numbers: utility, 0 to 1"


def _require_success(gateway: "subprocess.Popen[bytes]", log: Path) -> None:
    try:
        status = gateway.wait(30)
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"the gateway is not done within {LIMIT_S:.0f} s; it logs to {log}") from None
    if status:
        end = "\n".join(log.read_text(errors="replace").splitlines()[-20:])
        raise RuntimeError(f"the gateway ended with status {status}; the end of {log}:\n{end}")


def _account(frames: Sequence[Frame], outcomes: dict[str, list[Row]]) -> int:
    wrong = [frame.id for frame in frames if len(outcomes.get(frame.id, [])) != 1]
    unknown = sorted(outcomes.keys() - {frame.id for frame in frames})
    if wrong or unknown:
        terminal.print(f"[red]not accounted for exactly once:[/] {', '.join(wrong + unknown)}")
        return 1
    terminal.print(f"all {len(frames)} frames are accounted for: one decision or one dead letter each")
    return 0


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m demo", description=__doc__.partition(": ")[2])
    parser.add_argument("--engine", type=Path, default=ENGINE, help="what judges the frames (default: %(default)s)")
    parser.add_argument("--output", type=Path, default=Path("demo-output"), help="folder for sheet and logs")
    return parser


if __name__ == "__main__":
    sys.exit(main())
