"""Transactions that the broker has ended in its books, but not in the logs: what follows them stays hidden for ever.

Seen with Apache Kafka 4.3.1 on one node: killed, and started again later than a transaction's time-out, the
coordinator calls it complete and never writes its mark. The group's offsets stay unstable (no member can begin),
and readers of committed records stop in front of its replies. Kafka's own remedy is an operator's
``kafka-transactions.sh`` (KIP-664); here the same is done for the group's own transactions.
"""

import logging
import time
import uuid
from collections.abc import Collection
from typing import Any

from kafka import KafkaAdminClient
from kafka.admin import AbortTransactionSpec, TransactionState
from kafka.errors import KafkaError, for_code
from kafka.structs import TopicPartition

from stream.client import Cluster

log = logging.getLogger("framegate.stream")

OFFSETS = "__consumer_offsets"
SETTLED_MS = 5000
"""Younger records may belong to a transaction that began after we asked; clocks may differ by as much."""
ENDED = {TransactionState.COMPLETE_COMMIT: True, TransactionState.COMPLETE_ABORT: False}


def transactional_ids(group: str) -> str:
    """How the transactional ids of a group's members begin."""
    return f"{group}-"


def end_hanging_transactions(cluster: Cluster, group: str, topics: Collection[str]) -> int:
    """Write the marks that are missing in ``topics`` and in the group's offsets; returns how many.

    Only of transactions of this group that their coordinator says are complete, and as it says: an open one
    is left to its owner and its time-out. Without the rights for it (describe on the transactional ids, read on
    the topics, cluster action) nothing is done but a warning.
    """
    try:
        admin = cluster.admin()
        try:
            return _end(admin, group, topics)
        finally:
            admin.close()
    except KafkaError as error:
        log.warning("cannot look for transactions that the broker has lost track of: %s", error)
        return 0


def _end(admin: KafkaAdminClient, group: str, topics: Collection[str]) -> int:
    asked_ms = time.time() * 1000
    ended = _ended(admin, group)
    if not ended:
        return 0
    marks = 0
    states = admin.describe_producers(_partitions(admin, group, topics))
    still = _ended(admin, group)  # one that began another transaction since is alive, and that one is its own
    ended = {producer: how for producer, how in ended.items() if still.get(producer) == how}
    for partition, state in states.items():
        for producer in state.active_producers:
            hangs = producer.current_transaction_start_offset >= 0 and producer.producer_id in ended
            if hangs and producer.last_timestamp < asked_ms - SETTLED_MS:
                _mark(admin, partition, producer, committed=ended[producer.producer_id])
                marks += 1
    return marks


def _ended(admin: KafkaAdminClient, group: str) -> dict[int, bool]:
    """Per producer id of the group whose last transaction is complete: whether it was committed."""
    listings = [each for listed in admin.list_transactions().values() for each in listed]
    return {
        each.producer_id: ENDED[each.state]
        for each in listings
        if _is_of(group, each.transactional_id) and each.state in ENDED
    }


def _is_of(group: str, transactional_id: str) -> bool:
    """Whether a member of the group has it; the ids of a group called ``GROUP-more`` begin alike."""
    begin = transactional_ids(group)
    try:
        return transactional_id.startswith(begin) and bool(uuid.UUID(transactional_id.removeprefix(begin)))
    except ValueError:
        return False


def _partitions(admin: KafkaAdminClient, group: str, topics: Collection[str]) -> list[TopicPartition]:
    described = admin.describe_topics([*topics, OFFSETS])
    for each in described:
        if each["error_code"]:  # not raised by the client
            raise for_code(each["error_code"])(each["name"])
    counts = {each["name"]: len(each["partitions"]) for each in described}
    offsets = counts.pop(OFFSETS)
    return [
        TopicPartition(OFFSETS, offsets_partition(group, offsets)),
        *(TopicPartition(topic, number) for topic, count in counts.items() for number in range(count)),
    ]


def offsets_partition(group: str, partitions: int) -> int:
    """Where the broker keeps a group's offsets: Java's hash of the name, without its sign."""
    units = group.encode("utf-16-be")
    code = 0
    for high, low in zip(units[::2], units[1::2], strict=True):
        code = (31 * code + (high << 8 | low)) & 0xFFFF_FFFF
    signed = code - (1 << 32) if code >> 31 else code
    return 0 if signed == -(1 << 31) else abs(signed) % partitions


def _mark(admin: KafkaAdminClient, partition: TopicPartition, producer: Any, *, committed: bool) -> None:
    log.warning(
        "%s/%d: a transaction that its coordinator has %s was left without its mark; it is written now",
        *partition,
        "committed" if committed else "aborted",
    )
    epoch = max(0, producer.coordinator_epoch)  # the broker refuses an older one
    spec = AbortTransactionSpec(partition, producer.producer_id, producer.producer_epoch, epoch)
    admin._manager.run(_write, admin, spec, committed)


async def _write(admin: Any, spec: AbortTransactionSpec, committed: bool) -> None:
    """As kafka-python's ``abort_transaction``, which cannot commit."""
    request = admin._abort_transaction_request(spec)
    request.markers[0].transaction_result = committed
    leaders = await admin._async_get_leader_for_partitions([spec.topic_partition])
    response = await admin._manager.send(request, node_id=next(iter(leaders)))
    admin._abort_transaction_process_response(response, spec)
