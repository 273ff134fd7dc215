"""A broker that loses track of a transaction: it says that it is complete, and never writes its mark."""

import time
import uuid
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka import KafkaAdminClient, KafkaConsumer
from kafka.admin import ACL, ACLOperation, ACLPermissionType, ResourcePattern, ResourceType
from kafka.errors import KafkaError
from kafka.structs import TopicPartition

from stream.client import Cluster, close_producer
from stream.delivery import ExactlyOnce
from stream.hanging import end_hanging_transactions, offsets_partition, transactional_ids
from stream.record import Partition, Reply
from stream.source import Source, kafka_offsets
from tests.broker import KafkaBroker
from tests.route import TRANSACTION_TIMEOUT_MS, Route, good_frames


@pytest.mark.kafka
def test_a_transaction_without_its_mark_is_ended_and_its_frames_are_judged(
    own_broker: KafkaBroker, engine: Path, tmp_path: Path
) -> None:
    """Where a dead gateway's transaction hides the group's offsets for ever, the next one ends it and goes on."""
    route = Route(own_broker.bootstrap, engine, tmp_path, session_ms=6000)
    route.publish(good_frames(64))
    for _ in range(3):  # a broker that starts slowly may write the mark after all
        _leave_open(route, own_broker)
        time.sleep(TRANSACTION_TIMEOUT_MS / 1000 + 3)  # the coordinator ends it in its books
        if not _stable(route):
            break
    else:
        pytest.fail("this broker writes the mark each time: the test shows nothing")

    others = route.group[:-1]
    assert end_hanging_transactions(Cluster(own_broker.bootstrap), others, [route.decisions]) == 0, "not theirs"
    log = route.drain("exactly-once")
    assert "left without its mark" in log
    account = route.audit()
    account.require_complete()
    account.require_no_repeat()


@pytest.mark.kafka
def test_an_open_transaction_is_left_alone(own_broker: KafkaBroker, engine: Path, tmp_path: Path) -> None:
    """What its owner may still commit gets no mark from us, however old its records are."""
    route = Route(own_broker.bootstrap, engine, tmp_path, session_ms=6000)
    route.publish(good_frames(8))
    cluster = Cluster(own_broker.bootstrap)
    with ExitStack() as stack:
        delivery = _open_transaction(route, cluster, stack, timeout_ms=60_000)
        time.sleep(6)  # older than what is held to be settled

        assert end_hanging_transactions(cluster, route.group, [route.decisions]) == 0
        delivery._producer.commit_transaction()


@pytest.mark.kafka
def test_without_the_rights_it_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    """A broker with access control that hides its own topics from us: nothing is done, and it is said."""
    with KafkaBroker(
        authorizer_class_name="org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        allow_everyone_if_no_acl_found="true",
    ) as broker:
        cluster = Cluster(broker.bootstrap)
        with KafkaAdminClient(bootstrap_servers=broker.bootstrap) as admin:
            admin.create_topics({"out": {"num_partitions": 1}}, wait_for_metadata=True)
            producer = cluster.producer(transactional_id=f"{transactional_ids('g')}{uuid.uuid4()}")
            producer.init_transactions()
            producer.begin_transaction()
            producer.send("out", value=b"x")
            producer.send_offsets_to_transaction(kafka_offsets({Partition("out", 0): 1}), "g")
            producer.commit_transaction()
            close_producer(producer, 5)
            assert end_hanging_transactions(cluster, "g", ["out"]) == 0
            assert caplog.text.count("cannot look for transactions") == 0
            hidden = ResourcePattern(ResourceType.TOPIC, "__consumer_offsets")
            admin.create_acls([ACL("User:ANONYMOUS", "*", ACLOperation.DESCRIBE, ACLPermissionType.DENY, hidden)])
            time.sleep(1)  # until the broker knows
            assert end_hanging_transactions(cluster, "g", ["out"]) == 0
    assert "cannot look for transactions that the broker has lost track of" in caplog.text


@given(st.text(min_size=1, max_size=20), st.integers(1, 200))
def test_the_offsets_partition_is_one_of_them(group: str, partitions: int) -> None:
    """Any name has a partition; ``framegate`` has the one that Java's hash gives."""
    assert 0 <= offsets_partition(group, partitions) < partitions


def test_the_offsets_partition_is_javas() -> None:
    """Java's ``hashCode()`` of these names, without the sign; the least of all integers counts as 0."""
    assert offsets_partition("framegate", 50) == 545683384 % 50
    assert offsets_partition("consumers", 50) == 421004483 % 50  # of -421004483
    assert offsets_partition("polygenelubricants", 50) == 0  # of -2147483648


def _leave_open(route: Route, broker: KafkaBroker) -> None:
    """The broker dies in the middle of a transaction, its gateway with it, and comes back after the time-out."""
    with ExitStack() as stack:
        _open_transaction(route, Cluster(broker.bootstrap), stack, timeout_ms=TRANSACTION_TIMEOUT_MS)
        broker.kill()
    time.sleep(TRANSACTION_TIMEOUT_MS / 1000 + 1)
    broker.start()


def _open_transaction(route: Route, cluster: Cluster, stack: ExitStack, *, timeout_ms: int) -> ExactlyOnce:
    """A reply and an offset of each partition, written by a member and not committed."""
    source = Source(cluster, route.frames, route.group, offset_reset="earliest", on_revoked=lambda: None)
    stack.callback(source.close)
    batch = None
    while batch is None:
        batch = source.next_batch(8, 100)
    delivery = ExactlyOnce(cluster, source, {}, group=route.group, transaction_timeout_ms=timeout_ms)
    stack.callback(delivery.close)
    delivery._write(batch, [Reply(route.decisions, b"cam", b"{}", ())])
    return delivery


def _stable(route: Route) -> bool:
    """Whether the broker says where the group stands."""
    consumer = KafkaConsumer(bootstrap_servers=route.bootstrap, group_id=route.group, isolation_level="read_committed")
    try:
        for number in range(route.partitions):
            consumer.committed(TopicPartition(route.frames, number), timeout_ms=1500)
    except KafkaError:
        return False
    else:
        return True
    finally:
        consumer.close(autocommit=False)
