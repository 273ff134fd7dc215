"""From replies to committed offsets: at least once, or exactly once.

Both deliver one batch after another, in the order in which they were polled, so the offsets committed are
contiguous per partition however many batches are being judged meanwhile. Both are called by one thread.
"""

import logging
import time
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Protocol

from kafka.errors import (
    CommitFailedError,
    FencedInstanceIdError,
    InvalidTransactionTimeoutError,
    KafkaError,
    MessageSizeTooLargeError,
)
from kafka.record.default_records import DefaultRecordBatchBuilder

from stream.client import Cluster, close_producer
from stream.errors import ClientOptionError, FencedError, StreamError, TopicError
from stream.hanging import transactional_ids
from stream.record import Batch, Reply
from stream.source import Source, kafka_offsets

log = logging.getLogger("framegate.stream")

Limits = Mapping[str, int]
"""Per topic, its ``max.message.bytes``, where it is known."""
MAX_BATCH_BYTES = 1 << 17


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

    def __init__(self, cluster: Cluster, source: Source, limits: Limits) -> None:
        self._source = source
        self._budget_s = cluster.budget_s
        self._limits = limits
        self._producer = cluster.producer(batch_size=batch_size(limits))

    def deliver(self, batch: Batch, replies: Sequence[Reply]) -> bool:
        """See ``Delivery``."""
        if not self._source.owns(batch):
            return False
        replies = [fitting(reply, self._limits) for reply in replies]
        try:
            acknowledge([send(self._producer, reply) for reply in replies], self._budget_s)
        except KafkaError as error:
            raise StreamError(f"the replies were not acknowledged: {type(error).__name__}: {error}") from error
        return self._source.owns(batch) and self._source.commit(batch.offsets)

    def close(self) -> None:
        """See ``Delivery``."""
        close_producer(self._producer, 5)


class ExactlyOnce:
    """One transaction per batch holds its replies and its offsets; readers with read_committed see all or none.

    The transactional id is new in every process: members are fenced by their place in the group (KIP-447), and
    what a killed process left open ends with ``transaction_timeout_ms``, or by ``stream.hanging``.
    """

    def __init__(
        self, cluster: Cluster, source: Source, limits: Limits, *, group: str, transaction_timeout_ms: int
    ) -> None:
        self._source = source
        self._limits = limits
        self._cluster = cluster
        self._timeout_ms = transaction_timeout_ms
        self._id = f"{transactional_ids(group)}{uuid.uuid4()}"
        self._producer = self._open()

    def deliver(self, batch: Batch, replies: Sequence[Reply]) -> bool:
        """See ``Delivery``.

        Raises:
            FencedError: the group gave our partitions to another member, which does the batch again.
        """
        if not self._source.owns(batch):
            return False
        replies = [fitting(reply, self._limits) for reply in replies]
        deadline_s, in_doubt = time.monotonic() + self._cluster.budget_s, False
        while True:
            try:
                if in_doubt and self._committed_after_all(batch, replies):
                    return True
                self._transact(batch, replies)
                return True
            except (CommitFailedError, FencedInstanceIdError) as error:
                with suppress(KafkaError):  # the broker may have ended it already
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
        self._write(batch, replies)
        self._producer.commit_transaction()

    def _write(self, batch: Batch, replies: Sequence[Reply]) -> None:
        """Begin a transaction with the batch's replies and offsets.

        The acknowledgements are looked at one by one: after a refused record kafka-python may report as committed
        what it has not.
        """
        self._producer.begin_transaction()
        futures = [send(self._producer, reply) for reply in replies]
        self._producer.send_offsets_to_transaction(kafka_offsets(batch.offsets), batch.membership)
        acknowledge(futures, self._cluster.budget_s)

    def _committed_after_all(self, batch: Batch, replies: Sequence[Reply]) -> bool:
        """See what became of a transaction whose end we did not hear, now that ``_begin_anew`` has ended it.

        A broker that starts again may end a timed-out transaction in its books and forget the mark in the topics
        (Apache Kafka 4.3.1, one node). Its records then hold up every reader, and our next commit would commit
        them too. So the batch is written once more and aborted: that mark covers both.
        """
        self._write(batch, replies)
        self._producer.abort_transaction()
        committed = self._source.committed(list(batch.offsets))
        return all(committed[partition] == offset for partition, offset in batch.offsets.items())

    def _begin_anew(self) -> None:
        close_producer(self._producer, 0)
        self._producer = self._open()  # ends whatever the last one left open, one way or the other

    def _open(self) -> Any:
        producer = self._cluster.producer(
            transactional_id=self._id,
            transaction_timeout_ms=self._timeout_ms,
            batch_size=batch_size(self._limits),
        )
        try:
            producer.init_transactions()
        except KafkaError as error:
            close_producer(producer, 0)
            if InvalidTransactionTimeoutError.__name__ in str(error):  # the client raises a mere KafkaError
                raise ClientOptionError(
                    f"--transaction-timeout-ms {self._timeout_ms}: more than the broker's transaction.max.timeout.ms: "
                    "give less, or raise that"
                ) from error
            raise StreamError(f"the broker refuses transactions: {type(error).__name__}: {error}") from error
        return producer


def send(producer: Any, reply: Reply) -> Any:
    """Hand a reply to the producer; the future fails where the broker refuses it."""
    value = reply.value if reply.value is not None or reply.key is not None else b""  # kafka-python wants one
    return producer.send(reply.topic, value=value, key=reply.key, headers=list(reply.headers))


def acknowledge(futures: Sequence[Any], limit_s: float) -> None:
    """Wait until the broker has taken every record.

    Raises:
        TopicError: one is larger than its topic allows now.
        KafkaError: one was not taken.
    """
    try:
        for future in futures:
            future.get(timeout=limit_s)
    except MessageSizeTooLargeError as error:
        raise TopicError(
            "a record is over its topic's max.message.bytes, which was lowered while we ran, or which the broker does "
            "not tell: start again to go by it, or raise it"
        ) from error


def fitting(reply: Reply, limits: Limits) -> Reply:
    """The reply, or the first of its slimmer forms that the topic takes.

    The broker is not left to refuse it: kafka-python then loses count of its records, and a transaction with it.

    Raises:
        TopicError: it takes none: the topic's limit must be raised.
    """
    limit, form = limits.get(reply.topic), reply
    if limit is None:
        return reply
    while (size := _size_bytes(form)) > limit:
        if form.slim is None:
            raise TopicError(
                f"topic {reply.topic} takes {limit} bytes, not a record of {size}: raise its max.message.bytes to at "
                "least that of the input topic"
            )
        form = form.slim
    if form is not reply:
        whole = _size_bytes(reply)
        log.warning("topic %s takes %d bytes, not a record of %d: it is sent in %d", reply.topic, limit, whole, size)
    return form


def batch_size(limits: Limits) -> int:
    """How much the producer puts into one request for a partition: what the tightest topic takes."""
    return min([MAX_BATCH_BYTES, *limits.values()])


def _size_bytes(reply: Reply) -> int:
    """An upper bound of the reply's size in the broker's log."""
    return int(DefaultRecordBatchBuilder.estimate_size_in_bytes(reply.key, reply.value or b"", list(reply.headers)))
