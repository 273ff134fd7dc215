"""The input topic as a member of a consumer group: micro-batches in, offsets out."""

import logging
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from typing import Any

from kafka.consumer.subscription_state import AsyncConsumerRebalanceListener
from kafka.coordinator.assignors.range import RangePartitionAssignor
from kafka.errors import (
    CommitFailedError,
    CorruptRecordError,
    KafkaError,
    RebalanceInProgressError,
    RetriableError,
    UnsupportedCodecError,
)
from kafka.future import Future
from kafka.structs import OffsetAndMetadata, TopicPartition

from stream.client import Cluster
from stream.errors import StreamError, TopicError
from stream.places import PLACELESS, Places
from stream.record import Batch, Partition, Record

log = logging.getLogger("framegate.stream")

Revoked = Callable[[], object]
RETRY_S = 0.1
PROBE_S = 5.0
"""How long nothing may come before the broker is asked whether it is there, and how often offsets are looked for."""


class Source:
    """A consumer of one topic, polled by one thread; ``commit`` may be called by another.

    Partitions are assigned by range and eagerly: every rebalance takes all of them away first, so that what a
    member holds always belongs to one membership. (kafka-python's cooperative assignor left three members
    with 3, 2 and 1 of six partitions.)

    Args:
        cluster: where the topic is.
        topic: what to read.
        group: the consumer group.
        offset_reset: ``earliest`` or ``latest``: where the group begins in a partition that it has no offset in. An
            end is committed before anything behind it is read: a group begins there once, not at every start. A
            partition that is added while we are a member is read from its beginning either way.
        on_revoked: called in a thread of its own before partitions go; may commit, and should be quick. The
            client keeps sending heartbeats meanwhile.
        on_hidden: called every few seconds while an open transaction hides where the group stands in a partition.
        on_gone: called with how many offsets retention took away before they were read.
    """

    def __init__(
        self,
        cluster: Cluster,
        topic: str,
        group: str,
        *,
        offset_reset: str,
        on_revoked: Revoked,
        on_hidden: Callable[[], object] = lambda: None,
        on_gone: Callable[[int], object] = lambda _: None,
    ) -> None:
        self.topic = topic
        self._group = group
        self._budget_s = cluster.budget_s
        self._rebalances = 0
        self._heard_s = time.monotonic()
        self._on_revoked = on_revoked
        self._on_hidden = on_hidden
        self._looked_s = self._stood_s = self._member_s = time.monotonic()
        self.assigned: frozenset[Partition] = frozenset()
        self.joined = False
        self._consumer = cluster.consumer(
            group_id=group,
            auto_offset_reset="none",  # the client would reset without a word, and to an end again and again
            partition_assignment_strategy=[RangePartitionAssignor],
        )
        self._places = Places(
            self._consumer, topic, group, at_end=offset_reset == "latest", commit=self.commit, on_gone=on_gone
        )
        self._consumer.subscribe([topic], listener=_Listener(self._revoked, self._assigned, self._consumer))

    def next_batch(self, max_records: int, max_wait_ms: float, idle_ms: float = 200) -> Batch | None:
        """Gather up to ``max_records``, or what comes within ``max_wait_ms`` of the first.

        Waits at most ``idle_ms`` for that first one; None if nothing came.

        Raises:
            StreamError: the broker refuses us, has not answered for longer than the budget, or has not said for as
                long where the group stands, or which partitions are ours.
        """
        self._require_positions()
        records = self._poll(max_records, idle_ms)
        if not records:
            self._require_answer()
            self._require_membership()
            return None
        self._heard_s = time.monotonic()
        began_s = time.monotonic()
        deadline_s = began_s + max_wait_ms / 1000
        rebalances = self._rebalances
        while len(records) < max_records and (left_s := deadline_s - time.monotonic()) > 0:
            more = self._poll(max_records - len(records), left_s * 1000)
            if rebalances != self._rebalances:
                # What was gathered before belongs to a membership that is over: it will be polled again.
                records, rebalances = [], self._rebalances
            records += more
        return Batch(tuple(records), self.membership(), began_s) if records else None

    def membership(self) -> Any:
        """Who we are in the group now, as transactions hand it to the broker (KIP-447)."""
        return self._consumer.group_metadata()

    def owns(self, batch: Batch) -> bool:
        """Whether no rebalance came between the batch's poll and now.

        A member that was just thrown out has no generation (-1); the broker would let it commit in a transaction.
        """
        then, now = batch.membership, self.membership()
        return bool(0 <= then.generation_id == now.generation_id and then.member_id == now.member_id)

    def commit(self, offsets: Mapping[Partition, int], timeout_s: float | None = None) -> bool:
        """Commit, and wait for the broker's answer; retried until ``timeout_s`` (default: the budget).

        Returns:
            False where the group has moved on without us: another member will do those records again.

        Raises:
            StreamError: no answer within the time, or a refusal.
        """
        deadline_s = time.monotonic() + (self._budget_s if timeout_s is None else timeout_s)
        while True:
            left_s = deadline_s - time.monotonic()
            try:
                self._consumer.commit(kafka_offsets(offsets), timeout_ms=max(1.0, left_s * 1000))
            except (CommitFailedError, RebalanceInProgressError) as error:
                log.warning("offsets not committed, the group moved on: the records will be read again (%s)", error)
                return False
            except KafkaError as error:
                # kafka-python retries most of these itself, but not all: a refused connection ends its commit at once
                if not isinstance(error, RetriableError) or left_s <= RETRY_S:
                    raise StreamError(
                        f"cannot commit offsets of {self.topic}: {type(error).__name__}: {error}"
                    ) from error
                time.sleep(RETRY_S)
            else:
                return True

    def committed(self, partitions: Collection[Partition]) -> dict[Partition, int]:
        """What the group has committed; 0 where nothing is.

        Raises:
            StreamError: the broker does not tell within the budget.
        """
        try:
            return {
                partition: self._consumer.committed(TopicPartition(*partition), timeout_ms=self._budget_s * 1000) or 0
                for partition in partitions
            }
        except KafkaError as error:
            raise StreamError(f"cannot read the committed offsets of {self.topic}: {error}") from error

    def end_offsets(self) -> dict[Partition, int]:
        """The end of every partition of the topic, now: the offset that its next record will get.

        Raises:
            StreamError: the broker does not tell.
        """
        try:
            numbers = self._consumer.partitions_for_topic(self.topic) or set()
            ends = self._consumer.end_offsets([TopicPartition(self.topic, number) for number in numbers])
        except KafkaError as error:
            raise StreamError(f"cannot read the end offsets of {self.topic}: {error}") from error
        return {Partition(*partition): end for partition, end in ends.items()}

    def positions(self, timeout_ms: float = 1000) -> dict[Partition, int]:
        """Per assigned partition, the next offset to be read, where it is known within the time."""
        positions = {}
        for partition in self.assigned:
            with suppress(KafkaError):  # just revoked: the caller asks again
                position = self._consumer.position(TopicPartition(*partition), timeout_ms=timeout_ms)
                if position is not None:  # a killed member's open transaction hides what is committed
                    positions[partition] = position
        return positions

    def lags(self) -> dict[Partition, int]:
        """Records that wait in each assigned partition, as of the last fetch."""
        lags = {}
        for partition in self.assigned:
            with suppress(KafkaError):  # just revoked, or its position is not known yet
                end = self._consumer.highwater(TopicPartition(*partition))
                position = self._consumer.position(TopicPartition(*partition), timeout_ms=0) if end else None
                if end is not None and position is not None:
                    lags[partition] = max(0, end - position)
        return lags

    def close(self) -> None:
        """Leave the group; commits nothing."""
        self._consumer.close(autocommit=False, timeout_ms=5000)

    def _poll(self, max_records: int, timeout_ms: float) -> list[Record]:
        try:
            self._places.look()
            polled = self._consumer.poll(timeout_ms=timeout_ms, max_records=max_records)
        except RetriableError as error:  # a broker that is away; most of these the client keeps to itself
            log.debug("nothing to read at the moment: %s: %s", type(error).__name__, error)
            time.sleep(min(timeout_ms / 1000, RETRY_S))
            return []
        except PLACELESS as error:
            self._find_places(error, timeout_ms)
            return []
        except UnsupportedCodecError as error:
            raise TopicError(
                f"{self.topic} holds compressed records, and what unpacks them is not installed ({error}): "
                "pip install lz4 zstandard python-snappy; or publish without compression, which JPEGs do not gain by"
            ) from error
        except CorruptRecordError as error:
            part = self._consumer._fetcher._next_partition_records
            place = f"{part.topic_partition.partition} from offset {part.next_fetch_offset} on" if part else "?"
            raise StreamError(
                f"the broker's log is damaged: {self.topic}/{place} ({error}). Mend it from a replica, or give those "
                f"records up: kafka-consumer-groups.sh --group {self._group} --reset-offsets moves the group past them"
            ) from error
        except KafkaError as error:
            raise StreamError(f"cannot read {self.topic}: {type(error).__name__}: {error}") from error
        return [_record(raw) for records in polled.values() for raw in records]

    def _find_places(self, error: KafkaError, timeout_ms: float) -> None:
        """A broker that does not answer now is asked again at the next poll, which fails in the same way."""
        try:
            self._places.find(error)
        except KafkaError as fault:
            log.debug("no place to read from yet: %s: %s", type(fault).__name__, fault)
            time.sleep(min(timeout_ms / 1000, RETRY_S))

    def _require_answer(self) -> None:
        """Ask now and then whether the broker is there: to a poll, an idle topic and a dead broker look alike."""
        silent_s = time.monotonic() - self._heard_s
        if silent_s < min(PROBE_S, self._budget_s / 2):
            return
        probed = min(self.assigned, default=Partition(self.topic, 0))
        try:
            self._consumer.end_offsets([TopicPartition(*probed)], timeout_ms=1000)
            self._heard_s = time.monotonic()
        except KafkaError as error:
            if silent_s > self._budget_s:
                raise StreamError(
                    f"the broker has not answered for {silent_s:.0f} s: where does {_names([probed])} end? ({error})"
                ) from error

    def _require_membership(self) -> None:
        """Notice a client that waits for ever to be given partitions.

        Where its poll's time ends between the group's answer and the assignment, kafka-python 3.0.12 forgets the
        assignment, takes itself for a member and reads nothing. Only a new process joins again.
        """
        waited_s = time.monotonic() - self._member_s
        if not self.joined and waited_s > self._budget_s:
            raise StreamError(f"group {self._group} has given us no partitions of {self.topic} for {waited_s:.0f} s")

    def _require_positions(self) -> None:
        """Look now and then whether every partition has a place to read from: the client waits for one for ever."""
        now_s = time.monotonic()
        if now_s - self._looked_s < PROBE_S:
            return
        self._looked_s = now_s
        hidden = sorted(self.assigned - self.positions(0).keys())
        if not hidden:
            self._stood_s = now_s
        elif now_s - self._stood_s > self._budget_s:
            raise StreamError(
                f"the broker has not said for {now_s - self._stood_s:.0f} s where group {self._group} stands in "
                f"{_names(hidden)}: a transaction that is still open hides it. A dead gateway's ends by its time-out; "
                "one that the broker has lost track of must be ended by hand: kafka-transactions.sh find-hanging, abort"
            )
        else:
            log.warning("an open transaction hides where group %s stands in %s", self._group, _names(hidden))
            self._on_hidden()

    def _revoked(self, *, lost: bool) -> None:
        self._rebalances += 1
        if self.assigned:
            log.info("partitions %s: %s", "lost" if lost else "revoked", _names(self.assigned))
        if self.assigned and not lost:  # what is lost cannot be committed any more
            self._on_revoked()
        self.assigned = frozenset()
        self.joined = False
        self._member_s = time.monotonic()  # since when we wait to be given some

    def _assigned(self, partitions: Iterable[Any]) -> None:
        self.assigned = frozenset(Partition(*partition) for partition in partitions)
        self.joined = True
        log.info("partitions assigned: %s", _names(self.assigned))


class _Listener(AsyncConsumerRebalanceListener):  # type: ignore[misc]
    """Revokes in a thread, so that the client's event loop goes on with heartbeats and commits."""

    def __init__(self, revoked: Callable[..., None], assigned: Callable[[Iterable[Any]], None], consumer: Any) -> None:
        self._revoked = revoked
        self._assigned = assigned
        self._consumer = consumer

    async def on_partitions_revoked(self, revoked: Any) -> None:
        await self._in_thread(lost=False)
        self._forget_answers()
        # kafka-python keeps the position of a partition that comes back to us, although what was polled of it
        # and not committed is given up here: without this, those records would be skipped.
        self._consumer._subscription.assign_from_subscribed([])

    async def on_partitions_lost(self, lost: Any) -> None:
        await self._in_thread(lost=True)
        self._forget_answers()

    async def on_partitions_assigned(self, assigned: Any) -> None:
        self._assigned(assigned)

    def _forget_answers(self) -> None:
        """kafka-python keeps an answer that came too late and gives it, however old, when it is asked again.

        Where the group stood before it moved on would be read once more, and decided once more.
        """
        self._consumer._coordinator._offset_fetch_futures.clear()

    async def _in_thread(self, *, lost: bool) -> None:
        done = Future()

        def run() -> None:
            try:
                self._revoked(lost=lost)
            finally:
                # The loop does not notice a future that another thread completes; a task on the loop it does.
                self._consumer._manager.call_soon(done.success, None)

        threading.Thread(target=run, name="framegate-revoke", daemon=True).start()
        await done


def _names(partitions: Iterable[Partition]) -> str:
    return ", ".join(f"{topic}/{number}" for topic, number in sorted(partitions)) or "none"


def _record(raw: Any) -> Record:
    # A header's value may be null, which kafka-python reads but refuses to send on.
    headers = tuple((name, value or b"") for name, value in raw.headers or ())
    return Record(raw.topic, raw.partition, raw.offset, raw.timestamp, raw.key, raw.value, headers)


def kafka_offsets(offsets: Mapping[Partition, int]) -> dict[Any, Any]:
    """Offsets in kafka-python's own words."""
    return {TopicPartition(*partition): OffsetAndMetadata(offset, "", -1) for partition, offset in offsets.items()}
