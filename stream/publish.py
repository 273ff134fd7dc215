"""``python -m stream.publish``: a video file, a camera or pictures to Kafka, as a camera would send them."""

import argparse
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from types import FrameType
from typing import Any

from kafka import KafkaProducer
from kafka.errors import KafkaError, MessageSizeTooLargeError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from stream.arguments import add_cluster_arguments, open_cluster
from stream.client import close_producer
from stream.errors import StreamError, TopicError
from stream.footage import QUALITY, Footage, Shot, open_footage
from stream.topics import require_topics

MAX_WAITING_BYTES = 32 << 20
"""Sent and not acknowledged yet: kafka-python itself would take any amount into memory."""


class Publisher:
    """Sends one stream's frames, and sees every one of them acknowledged.

    Args:
        producer: what to send with.
        topic: where to.
        stream: the key of every record, so that the stream's frames stay in order.
        timeout_s: how long an acknowledgement may take.
    """

    def __init__(self, producer: KafkaProducer, topic: str, stream: str, timeout_s: float) -> None:
        self._producer = producer
        self._topic = topic
        self._stream = stream
        self._timeout_s = timeout_s
        self._waiting: deque[tuple[int, Any]] = deque()
        self._waiting_bytes = 0
        self.acknowledged = 0
        self.acknowledged_bytes = 0

    def send(self, shot: Shot, frame_id: str) -> None:
        """Send a frame; waits for older ones where too much is under way.

        Raises:
            TopicError: the topic takes no frame so large.
            StreamError: the broker does not acknowledge.
        """
        headers = [("frame-id", frame_id.encode()), ("captured-at-ms", b"%d" % (time.time() * 1000))]
        try:
            future = self._producer.send(self._topic, key=self._stream.encode(), value=shot.value, headers=headers)
        except KafkaError as error:
            raise StreamError(f"cannot send to {self._topic}: {type(error).__name__}: {error}") from error
        self._waiting.append((len(shot.value), future))
        self._waiting_bytes += len(shot.value)
        while self._waiting and (self._waiting[0][1].is_done or self._waiting_bytes > MAX_WAITING_BYTES):
            self._settle_oldest()

    def settle(self) -> None:
        """Wait until every frame sent is acknowledged; raises as ``send``."""
        while self._waiting:
            self._settle_oldest()

    def _settle_oldest(self) -> None:
        size, future = self._waiting.popleft()
        self._waiting_bytes -= size
        try:
            future.get(timeout=self._timeout_s)
        except MessageSizeTooLargeError as error:
            raise TopicError(
                f"topic {self._topic} takes no frame of {size} bytes: raise its max.message.bytes, "
                "or make frames smaller with --jpeg-quality"
            ) from error
        except KafkaError as error:
            raise StreamError(f"a frame was not acknowledged: {type(error).__name__}: {error}") from error
        self.acknowledged += 1
        self.acknowledged_bytes += size


def main(argv: Sequence[str] | None = None) -> int:
    """Publish until the source ends or a signal comes.

    Returns:
        0: every frame sent was acknowledged; 1: the broker or the camera failed; 2: an argument is wrong.
    """
    arguments = _parser().parse_args(argv)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stopper(stop))
    try:
        _publish(arguments, stop)
    except StreamError as error:
        print(f"stream.publish: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def _publish(arguments: argparse.Namespace, stop: threading.Event) -> None:
    footage = open_footage(arguments.source, arguments.jpeg_quality)
    cluster = open_cluster(arguments)
    require_topics(cluster, [arguments.topic], create=arguments.create_topics)
    stream = arguments.stream or footage.name
    producer = cluster.producer()
    publisher = Publisher(producer, arguments.topic, stream, cluster.budget_s)
    began_s = time.monotonic()
    try:
        _send_all(_runs(footage, stream, arguments, stop), footage, arguments.repeat, publisher)
    finally:
        close_producer(producer, 5)
        print(_summary(publisher, stream, arguments.topic, cluster.brokers, time.monotonic() - began_s))


def _runs(
    footage: Footage, stream: str, arguments: argparse.Namespace, stop: threading.Event
) -> Iterator[tuple[str, Shot]]:
    """Every frame of every run with its id, when it is due, until ``stop``."""
    fps = footage.fps if arguments.fps is None else arguments.fps
    named = (
        (f"{stream}/{shot.name}" + (f"/{run}" if run else ""), shot)
        for run in range(arguments.repeat)
        for shot in footage.shots()
    )
    due = _thinned(named, fps) if footage.live else _paced(named, fps, stop)
    for each in due:
        if stop.is_set():
            return
        yield each


def _paced(frames: Iterable[tuple[str, Shot]], fps: float | None, stop: threading.Event) -> Iterator[tuple[str, Shot]]:
    """Each frame at its place in the schedule, so that small delays do not add up; it begins with the first frame."""
    began_s = None
    for index, frame in enumerate(frames):
        if began_s is None:  # not before: a video takes its time to open
            began_s = time.monotonic()
        if fps:
            stop.wait(max(0.0, began_s + index / fps - time.monotonic()))
        yield frame


def _thinned(frames: Iterable[tuple[str, Shot]], fps: float | None) -> Iterator[tuple[str, Shot]]:
    """At most ``fps`` of a camera's frames a second: to wait would only make them older."""
    due_s = time.monotonic()
    for frame in frames:
        if not fps:
            yield frame
        elif time.monotonic() >= due_s:
            due_s = max(due_s + 1 / fps, time.monotonic())
            yield frame


def _send_all(frames: Iterable[tuple[str, Shot]], footage: Footage, repeat: int, publisher: Publisher) -> None:
    """Send all frames, with a progress bar on a terminal; wait for what was sent, however the source ends."""
    terminal = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[acknowledged]}"),
    )
    with Progress(*columns, console=terminal, disable=not terminal.is_terminal, transient=True) as progress:
        total = None if footage.count is None else footage.count * repeat
        task = progress.add_task(footage.name, total=total, acknowledged="")
        try:
            for frame_id, shot in frames:
                publisher.send(shot, frame_id)
                progress.update(task, advance=1, acknowledged=f"{publisher.acknowledged} acknowledged")
        finally:
            publisher.settle()


def _summary(publisher: Publisher, stream: str, topic: str, brokers: str, seconds: float) -> str:
    count, megabytes = publisher.acknowledged, publisher.acknowledged_bytes / 1e6
    return (
        f"{stream}: {count} frames ({megabytes:.1f} MB) acknowledged by {topic} at {brokers} "
        f"in {seconds:.1f} s ({count / max(seconds, 1e-3):.1f} frames/s)"
    )


def _stopper(stop: threading.Event) -> Any:
    def on_signal(number: int, _frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)  # a second one ends the process at once
        stop.set()

    return on_signal


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m stream.publish", description=__doc__.partition(": ")[2])
    add = parser.add_argument
    add("source", metavar="SOURCE", help="video file, picture, folder of pictures, camera URL or device number")
    add("--stream", metavar="ID", help="the camera's id: key of its records (default: from the source's name)")
    add("--topic", default="frames", help="where to send (default: frames)")
    add("--fps", type=_rate, metavar="F", help="frames per second; 0: as fast as it goes (default: the video's own)")
    add("--repeat", type=_count, default=1, metavar="N", help="how often to send it all (default: 1)")
    add(
        "--jpeg-quality",
        type=_quality,
        metavar="Q",
        help=f"encode every frame, 1 to 100 (default: JPEG and PNG files as they are, all else {QUALITY})",
    )
    add("--create-topics", action="store_true", help="create the topic if it is missing")
    add_cluster_arguments(parser)
    return parser


def _rate(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 10_000:
        raise argparse.ArgumentTypeError(f"{text}: frames per second are 0 to 10000")
    return value


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text}: at least 1")
    return value


def _quality(text: str) -> int:
    value = int(text)
    if not 1 <= value <= 100:
        raise argparse.ArgumentTypeError(f"{text}: JPEG quality is 1 to 100")
    return value


if __name__ == "__main__":
    sys.exit(main())
