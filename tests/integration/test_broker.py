"""The broker that every other integration test stands on."""

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaError, MessageSizeTooLargeError

from tests.broker import KafkaBroker, answers
from tests.conftest import Clients, Topics

pytestmark = pytest.mark.kafka


def test_each_topic_is_new_and_has_the_partitions_asked_for(topic: Topics, producer: Clients) -> None:
    """Two topics never share a name, and each has as many partitions as it was asked for."""
    one, four = topic(), topic(partitions=4)

    assert one != four
    assert producer().partitions_for(one) == {0}
    assert producer().partitions_for(four) == {0, 1, 2, 3}


def test_a_record_comes_back_as_it_was_sent(topic: Topics, producer: Clients, consumer: Clients, group: str) -> None:
    """Key, value, headers and order survive, and a group is assigned its partitions at once."""
    frames = topic()
    client = producer()
    for number in range(3):
        client.send(frames, key=b"cam-1", value=bytes([number]) * 1000, headers=[("frame-id", b"%d" % number)])
    client.flush()

    reader = consumer(frames, group_id=group)
    records = [next(reader) for _ in range(3)]

    assert [record.value for record in records] == [bytes([number]) * 1000 for number in range(3)]
    assert {record.key for record in records} == {b"cam-1"}
    assert [record.headers for record in records] == [[("frame-id", b"%d" % number)] for number in range(3)]


def test_topic_settings_reach_the_broker(topic: Topics, producer: Clients) -> None:
    """A topic's own max.message.bytes is enforced, so that tests can make a broker refuse a record."""
    small = topic(**{"max.message.bytes": 1000})

    with pytest.raises(MessageSizeTooLargeError):
        producer().send(small, value=bytes(2000)).get(timeout=10)


def test_no_topic_appears_by_itself(producer: Clients, admin: KafkaAdminClient) -> None:
    """Sending to a topic that nobody created fails, as it does where topics are looked after."""
    client = producer(max_block_ms=2000, delivery_timeout_ms=3000, request_timeout_ms=2000)

    with pytest.raises(KafkaError):
        client.send("test-nobody-made-this", value=b"x").get(timeout=10)

    assert "test-nobody-made-this" not in admin.list_topics()


def test_acknowledged_records_survive_a_kill_and_a_stop(own_broker: KafkaBroker) -> None:
    """After SIGKILL and SIGTERM the broker comes back on its port with every acknowledged record."""
    bootstrap = own_broker.bootstrap
    _send(bootstrap, b"before")
    own_broker.kill()
    assert not answers(bootstrap)

    own_broker.start()
    _send(bootstrap, b"between")
    own_broker.stop()
    assert not answers(bootstrap)

    own_broker.start()

    assert own_broker.bootstrap == bootstrap
    assert _read(bootstrap, count=2) == [b"before", b"between"]


def test_a_broker_that_cannot_start_says_why() -> None:
    """The error holds the end of the broker's own log, and nothing is left behind."""
    broken = KafkaBroker(listeners="PLAINTEXT://203.0.113.1:1,CONTROLLER://203.0.113.1:2")
    try:
        with pytest.raises(RuntimeError, match=r"(?s)before it answered.*203\.0\.113\.1"):
            broken.start()
    finally:
        broken.close()

    assert not broken.folder.exists()


def test_missing_java_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where Java or Maven is missing, the error is a command that installs them."""
    monkeypatch.setenv("PATH", "")

    with pytest.raises(RuntimeError, match="apt-get install openjdk-17-jre-headless maven"):
        KafkaBroker()


def _send(bootstrap: str, value: bytes) -> None:
    with KafkaAdminClient(bootstrap_servers=bootstrap) as admin:
        if "kept" not in admin.list_topics():
            admin.create_topics({"kept": {"num_partitions": 1}}, wait_for_metadata=True)
    with KafkaProducer(bootstrap_servers=bootstrap, acks="all") as client:
        client.send("kept", value=value).get(timeout=10)


def _read(bootstrap: str, count: int) -> list[bytes]:
    with KafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest", consumer_timeout_ms=10_000) as reader:
        reader.assign([TopicPartition("kept", 0)])
        return [next(reader).value for _ in range(count)]
