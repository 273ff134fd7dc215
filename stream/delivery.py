"""From replies to committed offsets: at least once, or exactly once.

Both deliver one batch after another, in the order in which they were polled, so the offsets committed are
contiguous per partition however many batches are being judged meanwhile. Both are called by one thread.
"""

import logging
import time
import uuid
from collections.abc import Sequence
from typing import Any, Protocol

from kafka.errors import CommitFailedError, FencedInstanceIdError, KafkaError, MessageSizeTooLargeError

from stream.client import Cluster, close_producer
from stream.errors import FencedError, StreamError, TopicError
from stream.record import Batch, Reply
from stream.source import Source, kafka_offsets

log = logging.getLogger("framegate.stream")


class _TooLargeError(Exception):
    """The broker finds these replies of the batch too large."""

    def __init__(self, indices: Sequence[int]) -> None:
        super().__init__(f"{len(indices)} replies over the topic's max.message.bytes")
        self.indices = frozenset(indices)


class Delivery(Protocol):
    """How replies reach the broker and offsets follow them."""

    def deliver(self, batch: Batch, replies: Sequence[Reply]) -> bool:
        """Publish the batch's replies, then commit its offsets.

        Returns:
            False where the group moved on meanwhile: another member does the batch again.

        Raises:
            StreamError: the broker did not take it within the budget; the offsets are not committed.
        """
        ...

    def close(self) -> None:
        """Let go of the broker; whatever was not committed stays so."""
        ...


class AtLeastOnce:
    """Every reply acknowledged by all in-sync replicas, then the offsets: a crash between repeats replies."""

    def __init__(self, cluster: Cluster, source: Source) -> None:
        self._source = source
        self._budget_s = cluster.budget_s
        self._producer = cluster.producer()

    def deliver(self, batch: Batch, replies: Sequence[Reply]) -> bool:
        """See ``Delivery``."""
        if not self._source.owns(batch):
            return False
        try:
            futures = [send(self._producer, reply) for reply in replies]
            self._producer.flush(timeout=self._budget_s)
            for reply, future in zip(replies, futures, strict=True):
                self._acknowledged(reply, future)
        except KafkaError as error:
            raise StreamError(f"the replies were not acknowledged: {type(error).__name__}: {error}") from error
        return self._source.owns(batch) and self._source.commit(batch.offsets)

    def close(self) -> None:
        """See ``Delivery``."""
        close_producer(self._producer, 5)

    def _acknowledged(self, reply: Reply, future: Any) -> None:
        try:
            future.get(timeout=self._budget_s)
        except MessageSizeTooLargeError as error:
            self._acknowledged(*(slim := slimmed(reply, error), send(self._producer, slim)))


class ExactlyOnce:
    """One transaction per batch holds its replies and its offsets; readers with read_committed see all or none.

    The transactional id is new in every process: members are fenced by their place in the group (KIP-447), and
    what a killed process left open ends with ``transaction_timeout_ms``.
    """

    def __init__(self, cluster: Cluster, source: Source, *, group: str, transaction_timeout_ms: int) -> None:
        self._source = source
        self._cluster = cluster
        self._timeout_ms = transaction_timeout_ms
        self._id = f"{group}-{uuid.uuid4()}"
        self._producer = self._open()

    def deliver(self, batch: Batch, replies: Sequence[Reply]) -> bool:
        """See ``Delivery``.

        Raises:
            FencedError: the group gave our partitions to another member, which does the batch again.
        """
        if not self._source.owns(batch):
            return False
        deadline_s, in_doubt = time.monotonic() + self._cluster.budget_s, False
        while True:
            try:
                if in_doubt and self._committed_after_all(batch, replies):
                    return True
                self._transact(batch, replies)
                return True
            except _TooLargeError as error:
                self._producer.abort_transaction()
                replies = [
                    slimmed(reply, error) if index in error.indices else reply for index, reply in enumerate(replies)
                ]
            except (CommitFailedError, FencedInstanceIdError) as error:
                self._producer.abort_transaction()
                raise FencedError(f"fenced: our partitions belong to another member now ({error})") from error
            except KafkaError as error:
                if time.monotonic() > deadline_s:
                    raise StreamError(f"the transaction failed: {type(error).__name__}: {error}") from error
                log.warning("transaction failed, trying again: %s: %s", type(error).__name__, error)
                self._begin_anew()
                in_doubt = True

    def close(self) -> None:
        """See ``Delivery``."""
        close_producer(self._producer, 5)

    def _transact(self, batch: Batch, replies: Sequence[Reply]) -> None:
        futures: list[Any] = []
        try:
            self._write(batch, replies, futures)
            self._producer.commit_transaction()
        except KafkaError as error:
            refused = [
                index
                for index, future in enumerate(futures)
                if future.failed() and isinstance(future.exception, MessageSizeTooLargeError)
            ]
            if refused:
                raise _TooLargeError(refused) from error
            raise

    def _write(self, batch: Batch, replies: Sequence[Reply], futures: list[Any]) -> None:
        """Begin a transaction with the batch's replies and offsets."""
        self._producer.begin_transaction()
        futures += [send(self._producer, reply) for reply in replies]
        self._producer.send_offsets_to_transaction(kafka_offsets(batch.offsets), batch.membership)

    def _committed_after_all(self, batch: Batch, replies: Sequence[Reply]) -> bool:
        """See what became of a transaction whose end we did not hear, now that ``_begin_anew`` has ended it.

        A broker that starts again may end a timed-out transaction in its books and forget the mark in the topics
        (Apache Kafka 4.3.1, one node). Its records then hold up every reader, and our next commit would commit
        them too. So the batch is written once more and aborted: that mark covers both.
        """
        futures: list[Any] = []
        self._write(batch, replies, futures)
        self._producer.flush(self._cluster.budget_s)
        self._producer.abort_transaction()
        committed = self._source.committed(list(batch.offsets))
        return all(committed[partition] >= offset for partition, offset in batch.offsets.items())

    def _begin_anew(self) -> None:
        close_producer(self._producer, 0)
        self._producer = self._open()  # ends whatever the last one left open, one way or the other

    def _open(self) -> Any:
        producer = self._cluster.producer(transactional_id=self._id, transaction_timeout_ms=self._timeout_ms)
        try:
            producer.init_transactions()
        except KafkaError as error:
            close_producer(producer, 0)
            raise StreamError(f"the broker refuses transactions: {type(error).__name__}: {error}") from error
        return producer


def send(producer: Any, reply: Reply) -> Any:
    """Hand a reply to the producer; the future fails where the broker refuses it."""
    value = reply.value if reply.value is not None or reply.key is not None else b""  # kafka-python wants one
    return producer.send(reply.topic, value=value, key=reply.key, headers=list(reply.headers))


def slimmed(reply: Reply, error: Exception) -> Reply:
    """What is sent instead of a reply that the broker finds too large.

    Raises:
        TopicError: nothing smaller would say the same: the topic's limit must be raised.
    """
    if reply.slim is None:
        size = len(reply.value or b"")
        raise TopicError(
            f"topic {reply.topic} takes no record of {size} bytes: raise its max.message.bytes to at least "
            f"that of the input topic ({error})"
        ) from error
    log.warning("topic %s takes no record of %d bytes: sent without them", reply.topic, len(reply.value or b""))
    return reply.slim
