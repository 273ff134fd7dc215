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
        self._founding: frozenset[int] = frozenset()

    def look(self) -> None:
        """Note which partitions the topic has, the first time that the client knows: later ones were added since."""
        if not self._founding:
            self._founding = frozenset(self._consumer._cluster.partitions_for_topic(self._topic) or ())

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
        """Where the group has no offset: at the beginning, or at the end.

        Where another start would begin elsewhere, the place is committed before anything behind it is read.
        """
        self.look()
        old = [one for one in partitions if self._at_end and one.partition in self._founding]
        new = [one for one in partitions if one not in old]
        places = self._consumer.end_offsets(old) if old else {}
        places |= self._consumer.beginning_offsets(new) if new else {}
        if self._at_end and not self._commit(_own(places)):
            return  # the group moved on: the partitions come anew, to us or to another
        for partition, offset in places.items():
            log.info("group %s begins at offset %d of %s/%d", self._group, offset, *partition)
            self._consumer.seek(partition, offset)

    def _skip_what_is_gone(self, places: Mapping[Any, int]) -> None:
        begins = self._consumer.beginning_offsets(list(places))
        if not self._commit(_own(begins)):  # told and counted once, not at each start
            return
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
                    "%s/%d ends before offset %d, where group %s stands: a broker lost records, or the topic was made "
                    "anew; it is read from offset %d, its first",
                    *partition,
                    place,
                    self._group,
                    begin,
                )
            self._consumer.seek(partition, begin)

    def _go_back(self, places: Mapping[Any, Any]) -> None:
        known = {partition: place.offset for partition, place in places.items() if place is not None}
        if known and not self._commit(_own(known)):
            return
        for partition in places:
            log.warning("%s/%d: a broker lost records that were read already; it goes on where they end", *partition)
        for partition, offset in known.items():  # of others the next fetch says that our place is beyond the end
            self._consumer.seek(partition, offset)


def _own(places: Mapping[Any, int]) -> dict[Partition, int]:
    return {Partition(*partition): offset for partition, offset in places.items()}
