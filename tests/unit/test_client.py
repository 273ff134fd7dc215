"""Kafka clients: whose options they take, and what is said where no broker answers."""

import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer

from stream.client import KNOWN, OWNED, Cluster
from stream.errors import ClientOptionError, StreamError


@pytest.fixture
def nobody() -> Iterator[str]:
    """An address at which nobody listens: the port is taken, and refuses."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{taken.getsockname()[1]}"


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> dict[type, dict[str, Any]]:
    """The options that each kind of client was opened with; none of them looks for a broker."""
    seen: dict[type, dict[str, Any]] = {}
    for client in (KafkaConsumer, KafkaProducer, KafkaAdminClient):

        def note(_self: object, *, _client: type = client, **options: Any) -> None:
            seen[_client] = options

        monkeypatch.setattr(client, "__init__", note)
        monkeypatch.setattr(client, "__del__", lambda _: None, raising=False)
    return seen


@pytest.mark.parametrize("name", sorted(OWNED))
def test_an_option_of_ours_is_refused(name: str) -> None:
    """Delivery stands on these: the operator is told to leave them out."""
    with pytest.raises(ClientOptionError, match=rf"\[kafka\] {name}: .*leave it out") as refused:
        Cluster("localhost:9092", {name: "x"})

    assert refused.value.exit_code == 2


def test_owned_options_exist() -> None:
    """The list has no option that kafka-python does not know (any more)."""
    assert OWNED <= KNOWN


def test_an_unknown_option_is_refused() -> None:
    """A slip of the pen is an error that names it, never its value."""
    with pytest.raises(ClientOptionError, match=r"sasl_plain_pasword.*no such option") as refused:
        Cluster("localhost:9092", {"sasl_plain_pasword": "hunter2"})

    assert "hunter2" not in str(refused.value)


def test_a_password_is_not_shown() -> None:
    """A cluster in a log or in a traceback keeps its options to itself."""
    cluster = Cluster("localhost:9092", {"sasl_plain_password": "hunter2"})

    assert "hunter2" not in repr(cluster) + str(cluster)


def test_each_client_gets_the_options_that_it_knows(opened: dict[type, dict[str, Any]]) -> None:
    """Security goes to all three; the consumer's own options to the consumer, the producer's to the producer."""
    security = {"security_protocol": "SASL_SSL", "sasl_mechanism": "PLAIN", "sasl_plain_password": "x"}
    cluster = Cluster("a:1,b:2", {**security, "session_timeout_ms": 7000, "linger_ms": 9})

    cluster.consumer(group_id="g")
    cluster.producer(transactional_id="t")
    cluster.admin()

    consumer, producer, admin = (opened[client] for client in (KafkaConsumer, KafkaProducer, KafkaAdminClient))
    for options in (consumer, producer, admin):
        assert options["bootstrap_servers"] == ["a:1", "b:2"]
        assert options.items() >= security.items()
    assert consumer["session_timeout_ms"] == 7000  # the operator's goes before our default
    assert consumer["group_id"] == "g"
    assert producer["linger_ms"] == 9
    assert producer["transactional_id"] == "t"
    assert not {"linger_ms", "session_timeout_ms"} & set(admin)
    assert "session_timeout_ms" not in producer
    assert "linger_ms" not in consumer


def test_delivery_stands_on_these(opened: dict[type, dict[str, Any]]) -> None:
    """No auto-commit, nothing of aborted transactions, every replica asked, order kept."""
    cluster = Cluster("localhost:9092", budget_s=7)

    cluster.consumer()
    cluster.producer()

    assert opened[KafkaConsumer]["enable_auto_commit"] is False
    assert opened[KafkaConsumer]["isolation_level"] == "read_committed"
    assert opened[KafkaProducer]["acks"] == "all"
    assert opened[KafkaProducer]["enable_idempotence"] is True
    assert opened[KafkaProducer]["delivery_timeout_ms"] == 7000


@pytest.mark.parametrize("kind", ["consumer", "producer", "admin"])
def test_no_broker_is_said_within_the_budget(nobody: str, kind: str) -> None:
    """The address and what to look at; after the budget, not after kafka-python's half a minute."""
    cluster = Cluster(nobody, {"sasl_plain_password": "hunter2"}, budget_s=1)
    began_s = time.monotonic()

    with pytest.raises(StreamError, match=rf"no broker answers at {nobody}: .*--brokers.*\[kafka\]") as said:
        getattr(cluster, kind)()

    assert 0.9 < time.monotonic() - began_s < 4
    assert said.value.exit_code == 1
    assert "hunter2" not in str(said.value)


@pytest.mark.parametrize(
    ("brokers", "options"),
    [
        ("127.0.0.1:port", {}),
        ("127.0.0.1:1", {"client_dns_lookup": "never"}),
        ("127.0.0.1:1", {"request_timeout_ms": "soon"}),
        ("127.0.0.1:1", {"request_timeout_ms": 5, "fetch_max_wait_ms": 500}),
        ("127.0.0.1:1", {"api_version": [2, 8]}),
    ],
)
def test_an_option_of_a_wrong_value_is_the_operators_fault(brokers: str, options: dict[str, Any]) -> None:
    """What kafka-python refuses is translated, and names the options: no traceback, no waiting for a broker."""
    with pytest.raises(ClientOptionError, match=rf"--brokers {brokers}.*{next(iter(options), '')}") as refused:
        Cluster(brokers, {"sasl_plain_password": "hunter2", **options}, budget_s=1).consumer()

    assert refused.value.exit_code == 2
    assert "hunter2" not in str(refused.value)
