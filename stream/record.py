"""What comes from a topic and what goes to one."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

Headers = tuple[tuple[str, bytes], ...]


class Partition(NamedTuple):
    """One partition of a topic."""

    topic: str
    partition: int


@dataclass(frozen=True, slots=True)
class Record:
    """A record as the broker keeps it. ``value`` is None for a tombstone."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()

    def header(self, name: str) -> bytes | None:
        """The last header of this name: a producer that adds one means it to win."""
        for key, value in reversed(self.headers):
            if key == name:
                return value
        return None


@dataclass(frozen=True, slots=True)
class Reply:
    """A record to be produced. ``slim`` is what is sent where the topic does not take it whole."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers = ()
    slim: "Reply | None" = None


@dataclass(frozen=True, slots=True)
class Batch:
    """Records polled together, in the order of each partition, and the membership they were polled under."""

    records: tuple[Record, ...]
    membership: Any = None
    polled_at_s: float = 0.0
    offsets: Mapping[Partition, int] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "offsets", next_offsets(self.records))


def next_offsets(records: Iterable[Record]) -> dict[Partition, int]:
    """Per partition, the offset to commit once all of ``records`` are done: that of the last one, plus 1."""
    offsets: dict[Partition, int] = {}
    for record in records:
        partition = Partition(record.topic, record.partition)
        offsets[partition] = max(record.offset + 1, offsets.get(partition, 0))
    return offsets
