"""Where a group begins, and what becomes of a place that the topic does not have any more."""

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.admin import NewPartitions
from kafka.errors import RequestTimedOutError
from kafka.structs import TopicPartition

from stream.client import Cluster
from stream.delivery import ExactlyOnce
from stream.errors import StreamError
from stream.record import Partition, Record, Reply
from stream.source import Source
from tests.broker import KafkaBroker
from tests.route import Route, good_frames

pytestmark = pytest.mark.kafka

Routes = Callable[..., Route]


def test_a_group_begins_at_the_end_once(route: Routes) -> None:
    """With ``latest``: what came before it is left out; what comes while no member is there, is read."""
    here = route(partitions=2)
    here.publish(good_frames(12))
    with closing(_source(here, "latest")) as source:
        _poll_until(source, lambda _: len(source.positions()) == 2)
        first = here.committed()
    assert sum(first.values()) == 12
    here.publish(good_frames(7))

    with closing(_source(here, "latest")) as source:
        records = _poll_until(source, lambda polled: len(polled) == 7)

    assert {record.offset >= first[record.partition] for record in records} == {True}
    assert here.committed() == first  # what was polled and not done is read again


def test_a_group_begins_at_the_beginning(route: Routes) -> None:
    """With ``earliest``: every record, and nothing is committed for it."""
    here = route(partitions=2)
    here.publish(good_frames(12))

    with closing(_source(here, "earliest")) as source:
        records = _poll_until(source, lambda polled: len(polled) == 12)

    assert {record.offset for record in records if record.partition == records[0].partition} >= {0}
    assert sum(here.committed().values()) == 0


def test_a_partition_that_is_added_is_read_from_its_beginning(route: Routes) -> None:
    """Also with ``latest``: neither what comes before a member learns of it is skipped, nor what one left undone."""
    here = route(partitions=1)
    here.publish(good_frames(4))
    with closing(_source(here, "latest")) as source:
        _poll_until(source, lambda _: len(source.positions()) == 1)
        with KafkaAdminClient(bootstrap_servers=here.bootstrap.split(",")) as admin:
            admin.create_partitions({here.frames: NewPartitions(2)})
        _send(here, 1, 3)
        records = _poll_until(source, lambda polled: len(polled) == 3)
    assert [(record.partition, record.offset) for record in records] == [(1, 0), (1, 1), (1, 2)]

    _send(here, 1, 2)
    with closing(_source(here, "latest")) as source:
        records = _poll_until(source, lambda polled: len(polled) == 5)
    assert [record.offset for record in records] == [0, 1, 2, 3, 4]


def test_a_header_of_any_name_is_read(route: Routes) -> None:
    """A producer in C may send names that are no UTF-8: such a record is read like those beside it, with ``?``."""

    class Latin(str):
        def encode(self, *_: str) -> bytes:
            return "caf\xe9".encode("latin-1")

    here = route(partitions=1)
    names = ["a", Latin("cafe"), "\N{GREEK SMALL LETTER PI}"]
    for options in ({}, {"compression_type": "gzip"}):
        producer = KafkaProducer(bootstrap_servers=here.bootstrap.split(","), linger_ms=200, **options)
        with closing(producer):
            for name in names:
                producer.send(here.frames, key=b"k", value=b"v", headers=[("first", b""), (name, b"x"), ("last", b"y")])
            producer.flush()
    with closing(_source(here, "earliest")) as source:
        records = _poll_until(source, lambda polled: len(polled) == 6)
    read = [("first", b""), ("last", b"y")]
    assert [record.headers[1] for record in records] == 2 * [("a", b"x"), ("caf?", b"x"), (names[2], b"x")]
    assert all([record.headers[0], record.headers[2]] == read for record in records)
    assert {(record.key, record.value) for record in records} == {(b"k", b"v")}


@pytest.mark.parametrize("reset", ["earliest", "latest"])
def test_what_retention_took_is_told(route: Routes, reset: str, caplog: pytest.LogCaptureFixture) -> None:
    """Offsets that are gone are counted and logged, and all that is left is read, whatever a new group would do."""
    here = route(partitions=1)
    here.publish(good_frames(10))
    gone: list[int] = []
    with closing(_source(here, "earliest")) as source:
        _poll_until(source, lambda polled: len(polled) == 10)
        assert source.commit({Partition(here.frames, 0): 2})
    with KafkaAdminClient(bootstrap_servers=here.bootstrap.split(",")) as admin:
        admin.delete_records({TopicPartition(here.frames, 0): 6})

    for _ in range(2):  # they are gone once, whoever begins again
        with closing(_source(here, reset, on_gone=gone.append)) as source:
            records = _poll_until(source, lambda polled: len(polled) == 4)
        assert [record.offset for record in records] == [6, 7, 8, 9]

    assert gone == [4]
    assert f"{here.frames}/0: offsets 2 to 5 were deleted by the topic's retention" in caplog.text


def test_a_transaction_in_doubt_is_not_taken_for_an_older_groups_place(
    route: Routes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exactly once, the group's offset beyond the end: a commit that fails is repeated, and no decision is missing."""
    here = route(partitions=1)
    here.publish(good_frames(5))
    with closing(_source(here, "earliest")) as source:
        _poll_until(source, lambda polled: len(polled) == 5)
        assert source.commit({Partition(here.frames, 0): 100})
    commit, failures = KafkaProducer.commit_transaction, iter([RequestTimedOutError("away for a moment")])

    def failing_once(producer: KafkaProducer) -> None:
        for error in failures:
            raise error
        commit(producer)

    monkeypatch.setattr(KafkaProducer, "commit_transaction", failing_once)
    with closing(_source(here, "earliest")) as source:
        cluster = Cluster(here.bootstrap)
        with closing(ExactlyOnce(cluster, source, {}, group=here.group, transaction_timeout_ms=15_000)) as delivery:
            done = 0
            while done < 5:
                batch = source.next_batch(5, 0, idle_ms=1000)
                if batch is not None:
                    replies = [Reply(here.decisions, b"cam", b"%d" % one.offset, ()) for one in batch.records]
                    assert delivery.deliver(batch, replies)
                    done += len(replies)
    reader = KafkaConsumer(
        here.decisions,
        bootstrap_servers=here.bootstrap.split(","),
        isolation_level="read_committed",
        auto_offset_reset="earliest",
        consumer_timeout_ms=5000,
    )
    with closing(reader):
        assert sorted(record.value for record in reader) == [b"0", b"1", b"2", b"3", b"4"]


def test_a_topic_that_lost_records_is_read_from_its_beginning(route: Routes, caplog: pytest.LogCaptureFixture) -> None:
    """The group's offset lies beyond the end: nothing that is there is skipped."""
    here = route(partitions=1)
    here.publish(good_frames(5))
    with closing(_source(here, "latest")) as source:
        _poll_until(source, lambda _: len(source.positions()) == 1)
        assert source.commit({Partition(here.frames, 0): 100})

    with closing(_source(here, "latest")) as source:
        records = _poll_until(source, lambda polled: len(polled) == 5)

    assert [record.offset for record in records] == [0, 1, 2, 3, 4]
    assert "ends before offset 100" in caplog.text


def test_a_log_that_is_damaged_is_told_with_its_place(own_broker: KafkaBroker, engine: Path, tmp_path: Path) -> None:
    """What lies before the damage is read; then which partition and offset it is, and how to get past it."""
    here = Route(own_broker.bootstrap, engine, tmp_path, session_ms=6000, partitions=1)
    with closing(Cluster(here.bootstrap).producer()) as producer:
        for value in (b"sound", b"damaged", b"sound"):
            producer.send(here.frames, value=value).get(timeout=30)
    own_broker.stop()
    [segment] = own_broker.folder.glob(f"data/{here.frames}-0/*.log")
    content = segment.read_bytes()
    segment.write_bytes(content.replace(b"damaged", b"DAMAGED"))
    own_broker.start()

    with closing(_source(here, "earliest")) as source:
        assert [record.offset for record in _poll_until(source, lambda polled: len(polled) == 1)] == [0]
        with pytest.raises(StreamError, match=rf"log is damaged: {here.frames}/0 from offset 1 on .*--reset-offsets"):
            _poll_until(source, lambda _: False)


def _send(here: Route, partition: int, count: int) -> None:
    with closing(Cluster(here.bootstrap).producer()) as producer:
        for number in range(count):
            producer.send(here.frames, value=b"%d" % number, partition=partition)
        producer.flush()


def _source(here: Route, reset: str, on_gone: Callable[[int], object] = lambda _: None) -> Source:
    cluster = Cluster(here.bootstrap)
    return Source(cluster, here.frames, here.group, offset_reset=reset, on_revoked=lambda: None, on_gone=on_gone)


def _poll_until(source: Source, enough: Callable[[Sequence[Record]], bool], limit_s: float = 60) -> list[Record]:
    records: list[Record] = []
    deadline_s = time.monotonic() + limit_s
    while not enough(records):
        assert time.monotonic() < deadline_s, f"only {len(records)} records after {limit_s:g} s"
        batch = source.next_batch(8, 0, idle_ms=1000)  # short polls can lose an assignment: Source
        records += batch.records if batch else ()
    return records
