"""The account of a test: what became of every record of the input topic, as a consumer downstream sees it."""

import json
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaTimeoutError

READ_LIMIT_S = 40.0
"""How long an open transaction may keep a read_committed reader waiting: its time-out and the broker's check."""


class Source(NamedTuple):
    """A place in the input topic."""

    partition: int
    offset: int


@dataclass(frozen=True)
class Delivery:
    """A reply: a decision's id, or a dead letter's reason; ``record`` is what was read."""

    kind: str
    id: str
    record: Any


@dataclass(frozen=True)
class Audit:
    """Every reply by the frame that it answers.

    ``sources`` are the records of the input topic; ``replies`` are in the order of their topics' partitions.
    """

    sources: Mapping[Source, Any]
    replies: Mapping[Source, Sequence[Delivery]]
    in_order: Sequence[Sequence[Source]]
    """Per partition of an output topic and per camera, the frames in the order of their replies."""

    @property
    def repeats(self) -> int:
        """Replies beyond the first of their frame."""
        return sum(len(replies) - 1 for replies in self.replies.values())

    @property
    def decisions(self) -> dict[Source, dict[str, Any]]:
        """The decision of each frame that has one."""
        return {
            source: json.loads(replies[0].record.value)
            for source, replies in self.replies.items()
            if replies[0].kind == "decision"
        }

    @property
    def dead_letters(self) -> dict[Source, Any]:
        """The dead letter's record, of each frame that has one."""
        return {
            source: replies[0].record for source, replies in self.replies.items() if replies[0].kind == "dead-letter"
        }

    def require_complete(self) -> None:
        """Every input offset ends as exactly one distinct decision id or dead letter, and nothing else is there."""
        missing = sorted(self.sources.keys() - self.replies.keys())
        invented = sorted(self.replies.keys() - self.sources.keys())
        assert not missing, f"{len(missing)} of {len(self.sources)} frames have no reply: {missing[:10]}"
        assert not invented, f"replies to frames that do not exist: {invented[:10]}"
        ids = {source: {(reply.kind, reply.id) for reply in replies} for source, replies in self.replies.items()}
        contradictory = {source: given for source, given in ids.items() if len(given) != 1}
        assert not contradictory, f"replies that differ: {list(contradictory.items())[:5]}"
        decisions = [next(iter(given)) for given in ids.values() if next(iter(given))[0] == "decision"]
        assert len(set(decisions)) == len(decisions), "two frames have the same decision id"

    def require_no_repeat(self) -> None:
        repeated = {source: len(replies) for source, replies in self.replies.items() if len(replies) > 1}
        assert not repeated, f"{len(repeated)} frames were answered again: {list(repeated.items())[:10]}"

    def require_order(self) -> None:
        """The first replies to a camera's frames come in the order of its frames."""
        for sources in self.in_order:
            first = list(dict.fromkeys(sources))
            assert first == sorted(first), f"out of order: {_first_disorder(first)}"


def audit(bootstrap: str, *, frames: str, decisions: str, dead_letters: str, committed: bool = True) -> Audit:
    """Read the three topics from their beginning to their end.

    Args:
        bootstrap: the brokers.
        frames: the input topic; replies to other topics' frames are an error.
        decisions: the output topic.
        dead_letters: where frames went that cannot be judged.
        committed: whether to read as a consumer does that sees no aborted transaction.
    """
    sources = {Source(record.partition, record.offset): record for record in read_topic(bootstrap, frames)}
    replies: dict[Source, list[Delivery]] = defaultdict(list)
    in_order: dict[tuple[str, int, bytes | None], list[Source]] = defaultdict(list)
    for topic, read in ((decisions, _decision), (dead_letters, _dead_letter)):
        for record in read_topic(bootstrap, topic, committed=committed):
            source, delivery = read(record, frames)
            replies[source].append(delivery)
            in_order[topic, record.partition, record.key].append(source)
    return Audit(sources, dict(replies), list(in_order.values()))


def read_topic(bootstrap: str, topic: str, *, committed: bool = True, limit_s: float = READ_LIMIT_S) -> list[Any]:
    """Every record of a topic, partition by partition, up to the end that it has now.

    A reader of committed records waits for open transactions to end.
    """
    ends = end_offsets(bootstrap, topic)
    isolation = "read_committed" if committed else "read_uncommitted"
    with KafkaConsumer(
        bootstrap_servers=bootstrap.split(","), auto_offset_reset="earliest", isolation_level=isolation
    ) as reader:
        reader.assign(list(ends))
        deadline_s = time.monotonic() + limit_s
        records: dict[Any, list[Any]] = {partition: [] for partition in ends}
        places: dict[Any, int] = {}
        while any(places.get(partition, 0) < end for partition, end in ends.items()):
            for partition, polled in reader.poll(timeout_ms=100).items():
                records[partition] += polled
            places = {partition: _place(reader, partition) for partition in ends}
            assert time.monotonic() < deadline_s, f"{topic}: at {places} of {ends} after {limit_s:g} s"
        return [record for partition in sorted(records) for record in records[partition]]


def end_offsets(bootstrap: str, topic: str) -> dict[Any, int]:
    """The end of each partition, open transactions included."""
    with KafkaConsumer(bootstrap_servers=bootstrap.split(",")) as reader:
        numbers = reader.partitions_for_topic(topic)
        assert numbers, f"no topic {topic} at {bootstrap}"
        partitions = [TopicPartition(topic, number) for number in numbers]
        ends: dict[Any, int] = reader.end_offsets(partitions, timeout_ms=10_000)
        return ends


def committed_offsets(bootstrap: str, group: str, topic: str) -> dict[int, int]:
    """What a group has committed, by partition; 0 where nothing is."""
    ends = end_offsets(bootstrap, topic)
    with KafkaConsumer(bootstrap_servers=bootstrap.split(","), group_id=group, enable_auto_commit=False) as reader:
        return {partition.partition: reader.committed(partition, timeout_ms=10_000) or 0 for partition in ends}


def _place(reader: KafkaConsumer, partition: Any) -> int:
    """The next offset to be read; 0 while it is not known. Without a time limit the client may wait for ever."""
    with suppress(KafkaTimeoutError):
        return reader.position(partition, timeout_ms=1000) or 0
    return 0


def _decision(record: Any, frames: str) -> tuple[Source, Delivery]:
    document = json.loads(record.value)
    source = document["source"]
    assert source["topic"] == frames
    return Source(source["partition"], source["offset"]), Delivery("decision", document["id"], record)


def _dead_letter(record: Any, frames: str) -> tuple[Source, Delivery]:
    headers = dict(record.headers)
    assert headers["framegate-source-topic"] == frames.encode()
    source = Source(int(headers["framegate-source-partition"]), int(headers["framegate-source-offset"]))
    return source, Delivery("dead-letter", headers["framegate-reason"].decode(), record)


def _first_disorder(sources: Sequence[Source]) -> str:
    place = next(index for index, (one, other) in enumerate(pairwise(sources)) if one > other)
    return f"{sources[place]} before {sources[place + 1]} (reply {place} of {len(sources)})"
