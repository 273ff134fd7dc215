"""From an outcome to the records that are published: exactly one decision or dead letter a frame."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime

from runtime.decision import Decisions, to_json
from runtime.errors import FrameError
from runtime.pipeline import Judgement, Outcome
from stream.record import Headers, Record, Reply

CE_TYPE = "framegate.decision.v1"
EPOCH_DIGITS = 15
"""Milliseconds to the year 33658: a longer number is no time."""


@dataclass(frozen=True)
class Topics:
    """Where replies go; ``kept`` also receives the kept frames' original bytes."""

    output: str
    dead_letter: str
    kept: str | None = None


class Replies:
    """Makes the replies to a frame."""

    def __init__(self, decisions: Decisions, topics: Topics) -> None:
        self._decisions = decisions
        self._topics = topics

    def to(self, record: Record, outcome: Outcome, polled_at_s: float) -> list[Reply]:
        """The frame's decision (and, kept, its bytes), or its dead letter.

        Args:
            record: the frame.
            outcome: what became of it.
            polled_at_s: when it was polled, on ``time.monotonic``'s clock.
        """
        if isinstance(outcome, FrameError):
            return [self._dead_letter(record, outcome)]
        replies = [self._decision(record, outcome, polled_at_s)]
        if self._topics.kept and outcome.verdict == "keep":
            replies.append(Reply(self._topics.kept, record.key, record.value, record.headers))
        return replies

    def _decision(self, record: Record, judgement: Judgement, polled_at_s: float) -> Reply:
        id_ = self._decisions.id(record.topic, record.partition, record.offset)
        decision = self._decisions.make(
            judgement,
            id_=id_,
            stream=None if record.key is None else record.key.decode(errors="replace"),
            source={
                "topic": record.topic,
                "partition": record.partition,
                "offset": record.offset,
                "timestamp_ms": record.timestamp_ms,
            },
            frame_id=frame_id(record),
        )
        decision["age_ms"] = round(time.time() * 1000 - captured_at_ms(record))
        decision["latency_ms"] = round((time.monotonic() - polled_at_s) * 1000, 1)
        return Reply(self._topics.output, record.key, to_json(decision), _cloud_event(record, id_))

    def _dead_letter(self, record: Record, error: FrameError) -> Reply:
        ours: Headers = (
            ("framegate-source-topic", record.topic.encode()),
            ("framegate-source-partition", b"%d" % record.partition),
            ("framegate-source-offset", b"%d" % record.offset),
            ("framegate-reason", error.reason.encode()),
            ("framegate-detail", error.detail.encode(errors="replace")),
        )
        without_value = (*ours, ("framegate-value-omitted", b"%d bytes" % len(record.value or b"")))
        without_headers = (*without_value, ("framegate-headers-omitted", b"%d" % len(record.headers)))
        without_key = (*without_headers, ("framegate-key-omitted", b"%d bytes" % len(record.key or b"")))
        topic = self._topics.dead_letter
        slimmest = Reply(topic, None, b"", without_key)
        slimmer = Reply(topic, record.key, b"", without_headers, slimmest)
        slim = Reply(topic, record.key, b"", (*record.headers, *without_value), slimmer)
        return Reply(topic, record.key, record.value, (*record.headers, *ours), slim)


def frame_id(record: Record) -> str:
    """The producer's own id of the frame (header ``frame-id``), else its place in the topic."""
    given = record.header("frame-id")
    return given.decode(errors="replace") if given else f"{record.topic}/{record.partition}/{record.offset}"


def captured_at_ms(record: Record) -> int:
    """When the frame was captured (header ``captured-at-ms``), else the record's own time; epoch, ms."""
    given = record.header("captured-at-ms") or b""
    return int(given) if given.isdigit() and len(given) <= EPOCH_DIGITS else record.timestamp_ms


def _cloud_event(record: Record, id_: str) -> Headers:
    """CloudEvents' Kafka binding, binary mode; the trace goes on where the frame's producer began one."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    headers = [
        ("ce_specversion", b"1.0"),
        ("ce_type", CE_TYPE.encode()),
        ("ce_source", f"/framegate/{record.topic}/{record.partition}".encode()),
        ("ce_id", id_.encode()),
        ("ce_time", now.encode()),
        ("content-type", b"application/json"),
    ]
    if record.key:
        headers.append(("ce_subject", record.key))
    trace = record.header("traceparent")
    if trace:
        headers.append(("traceparent", trace))
    return tuple(headers)
