"""Where a group reads on where it has no offset, or one that is not in the log."""

import logging
from collections.abc import Callable, Collection, Mapping
from typing import Any

from kafka.errors import KafkaError, LogTruncationError, NoOffsetForPartitionError, OffsetOutOfRangeError

from stream.record import Partition

log = logging.getLogger("framegate.stream")

PLACELESS = (NoOffsetForPartitionError, OffsetOutOfRangeError, LogTruncationError)
"""What a poll raises in these cases."""


class Places:
    """Seeks in the partitions of one topic. The client itself would reset without a word, and at every start anew.

    Args:
        consumer: kafka-python's, with ``auto_offset_reset="none"``.
        topic: what it reads.
        group: of consumers.
        at_end: where the group has no offset, begin at the end, not at the beginning.
        commit: writes offsets down; False where the group moved on.
        on_gone: called with how many offsets retention took away before they were read.
    """

    def __init__(
        self,
        consumer: Any,
        topic: str,
        group: str,
        *,
        at_end: bool,
        commit: Callable[[Mapping[Partition, int]], bool],
        on_gone: Callable[[int], object],
    ) -> None:
        self._consumer = consumer
        self._topic = topic
        self._group = group
        self._at_end = at_end
        self._commit = commit
        self._on_gone = on_gone
        self._founding: frozenset[int] | None = None

    def founding_partitions(self) -> frozenset[int]:
        """The topic's partitions when this was first asked: all that is in a later one came after the group began."""
        if self._founding is None:
            self._founding = frozenset(self._consumer.partitions_for_topic(self._topic) or ())
        return self._founding

    def find(self, error: KafkaError) -> None:
        """Seek in the partitions that a poll could not read.

        Args:
            error: one of ``PLACELESS``.

        Raises:
            KafkaError: the broker does not answer.
        """
        if isinstance(error, NoOffsetForPartitionError):
            self._begin(error.args[0])
        elif isinstance(error, OffsetOutOfRangeError):
            self._skip_what_is_gone(error.args[0])
        else:
            self._go_back(error.divergent_offsets)

    def _begin(self, partitions: Collection[Any]) -> None:
        """Where the group has no offset: at the beginning, or at an end that is committed first."""
        founding = self.founding_partitions() if self._at_end else frozenset()
        old = [partition for partition in partitions if partition.partition in founding]
        places = self._consumer.end_offsets(old) if old else {}
        if places and not self._commit({Partition(*partition): end for partition, end in places.items()}):
            return  # the group moved on: the partitions come anew, to us or to another
        if new := [partition for partition in partitions if partition not in places]:
            places = {**places, **self._consumer.beginning_offsets(new)}
        for partition, offset in places.items():
            log.info("group %s begins at offset %d of %s/%d", self._group, offset, *partition)
            self._consumer.seek(partition, offset)

    def _skip_what_is_gone(self, places: Mapping[Any, int]) -> None:
        begins = self._consumer.beginning_offsets(list(places))
        for partition, begin in begins.items():
            place = places[partition]
            if place < begin:
                log.warning(
                    "%s/%d: offsets %d to %d were deleted by the topic's retention before they were read",
                    *partition,
                    place,
                    begin - 1,
                )
                self._on_gone(begin - place)
            else:
                log.warning(
                    "%s/%d ends before offset %d, where group %s stands: the topic was made anew, or a broker lost "
                    "records; it is read from offset %d, its first",
                    *partition,
                    place,
                    self._group,
                    begin,
                )
            self._consumer.seek(partition, begin)

    def _go_back(self, places: Mapping[Any, Any]) -> None:
        for partition, place in places.items():
            log.warning("%s/%d: a broker lost records that were read already; it goes on where they end", *partition)
            if place is not None:  # None: unknown; if our place is beyond the end, the next fetch says so
                self._consumer.seek(partition, place.offset)
