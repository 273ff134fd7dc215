"""``python -m stream.tail``: watch decisions, and dead letters, as they are made."""

import argparse
import json
import os
import signal
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from types import FrameType
from typing import Any

from kafka import TopicPartition
from kafka.errors import KafkaError
from rich.console import Console
from rich.live import Live

from stream.arguments import add_cluster_arguments, open_cluster
from stream.board import Board, Row, read_row
from stream.client import Cluster
from stream.errors import StreamError
from stream.record import Record
from stream.topics import require_topics


def main(argv: Sequence[str] | None = None) -> int:
    """Show records until ``--count`` of them, or a signal.

    Returns:
        0, also after a signal; 1: the broker failed; 2: an argument is wrong or a topic missing.
    """
    arguments = _parser().parse_args(argv)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        _tail(arguments)
    except StreamError as error:
        print(f"stream.tail: {error}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:  # `| head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


class Follower:
    """Reads all partitions of some topics, from now on or from their beginning; commits nothing.

    Args:
        cluster: where they are.
        topics: their names.
        from_beginning: begin with the oldest record.

    Raises:
        StreamError: the broker does not answer or refuses; so does ``poll``.
    """

    def __init__(self, cluster: Cluster, topics: Sequence[str], *, from_beginning: bool) -> None:
        self._topics = topics
        self._consumer = cluster.consumer()
        with self._translated():
            partitions = [
                TopicPartition(topic, number)
                for topic in topics
                for number in self._consumer.partitions_for_topic(topic) or ()
            ]
            self._consumer.assign(partitions)
            (self._consumer.seek_to_beginning if from_beginning else self._consumer.seek_to_end)(*partitions)

    def poll(self, timeout_ms: int = 200) -> list[Record]:
        """What has come since the last call; waits for something up to ``timeout_ms``."""
        with self._translated():
            polled = self._consumer.poll(timeout_ms=timeout_ms)
        return [_record(raw) for records in polled.values() for raw in records]

    def __iter__(self) -> Iterator[Record]:
        while True:
            yield from self.poll()

    def close(self) -> None:
        """Let go of the broker."""
        self._consumer.close(autocommit=False, timeout_ms=5000)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except KafkaError as error:
            raise StreamError(f"cannot read {', '.join(self._topics)}: {type(error).__name__}: {error}") from error


def _tail(arguments: argparse.Namespace) -> None:
    topics = [topic for topic in (arguments.topic, arguments.dead_letter_topic) if topic]
    cluster = open_cluster(arguments)
    with suppress(KeyboardInterrupt):
        require_topics(cluster, topics, create=False)
        with closing(Follower(cluster, topics, from_beginning=arguments.from_beginning)) as follower:
            _show(_first(follower, arguments.count), as_json=arguments.json)


def _show(records: Iterator[Record], *, as_json: bool) -> None:
    terminal = Console()
    if as_json:
        for record in records:
            _print_json(record)
    elif terminal.is_terminal:
        _show_live(records, terminal)
    else:
        for record in records:
            print(read_row(record), flush=True)


def _show_live(records: Iterator[Record], terminal: Console) -> None:
    board = Board(max(5, terminal.height - 12))
    with Live(board, console=terminal, refresh_per_second=5):
        for record in records:
            board.add(read_row(record))


def _print_json(record: Record) -> None:
    row = read_row(record)
    if row.verdict == "not a decision":
        print(f"stream.tail: {record.topic} {row.source}: not a decision", file=sys.stderr)
        return
    document = _dead_letter(record, row) if row.verdict == "dead letter" else json.loads(record.value or b"")
    print(json.dumps(document, separators=(",", ":")), flush=True)


def _dead_letter(record: Record, row: Row) -> dict[str, Any]:
    source: dict[str, Any] = {"topic": (record.header("framegate-source-topic") or b"").decode(errors="replace")}
    partition, _, offset = row.source.partition("/")
    for name, text in (("partition", partition), ("offset", offset)):
        source[name] = int(text) if text.isdecimal() else text
    return {"schema": "framegate/dead-letter/1", "stream": row.stream, "source": source, "reason": row.reasons}


def _first(records: Iterable[Record], count: int | None) -> Iterator[Record]:
    for index, record in enumerate(records, 1):
        yield record
        if index == count:
            return


def _record(raw: Any) -> Record:
    headers = tuple(raw.headers or ())
    return Record(raw.topic, raw.partition, raw.offset, raw.timestamp, raw.key, raw.value, headers)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m stream.tail", description=__doc__.partition(": ")[2])
    add = parser.add_argument
    add("--topic", default="decisions", help="where decisions are (default: decisions)")
    add("--dead-letter-topic", metavar="TOPIC", help="also show this one, such as frames.dead-letter")
    add("--from-beginning", action="store_true", help="begin with the oldest record, not with the next one")
    add("--count", type=_count, metavar="N", help="leave after N records (default: at Ctrl-C)")
    add("--json", action="store_true", help="print the decisions as they are, one a line")
    add_cluster_arguments(parser)
    return parser


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text}: at least 1")
    return value


if __name__ == "__main__":
    sys.exit(main())
