"""One real broker for all tests; a random topic and group for each; clients that are closed after it."""

import os
import shutil
import subprocess
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer

from tests.broker import KafkaBroker, answers, kafka_version
from tests.route import Route, write_brightness_engine

OTHER_BROKERS = os.environ.get("FRAMEGATE_TEST_BROKERS")
SESSION_MS = 6000 if OTHER_BROKERS else 1500
"""A broker of somebody else has its own least session time-out: 6 s unless they changed it."""
Topics = Callable[..., str]
Clients = Callable[..., Any]


class Broker(Protocol):
    """Where the tests' topics live; ``bootstrap`` is ``host:port``."""

    bootstrap: str


@dataclass
class OtherBroker:
    """A broker that somebody else runs."""

    bootstrap: str


def pytest_report_header() -> list[str]:
    packages = ["kafka-python", "numpy", "opencv-python-headless", "simplejpeg", "onnxruntime", "hypothesis"]
    broker = OTHER_BROKERS or f"Apache Kafka {kafka_version()}, {_java()}"
    return [f"broker: {broker}", ", ".join(f"{name} {version(name)}" for name in packages)]


@pytest.fixture(scope="session")
def broker() -> Iterator[Broker]:
    """The broker of this run: ``FRAMEGATE_TEST_BROKERS``, or Apache Kafka started here."""
    if OTHER_BROKERS:
        if not answers(OTHER_BROKERS):
            pytest.fail(f"no broker answers at {OTHER_BROKERS}: start it, or unset FRAMEGATE_TEST_BROKERS")
        yield OtherBroker(OTHER_BROKERS)
    else:
        with KafkaBroker() as started:
            yield started


@pytest.fixture
def own_broker() -> Iterator[KafkaBroker]:
    """A started broker for one test alone, which may stop it, kill it and start it again."""
    with KafkaBroker() as started:
        yield started


@pytest.fixture(scope="session")
def admin(broker: Broker) -> Iterator[KafkaAdminClient]:
    client = KafkaAdminClient(bootstrap_servers=broker.bootstrap.split(","))
    yield client
    client.close()


@pytest.fixture
def topic(admin: KafkaAdminClient) -> Iterator[Topics]:
    """Makes topics of random names, as ``topic(4, **{"max.message.bytes": 1000})``; removes them after."""
    made: list[str] = []

    def make(partitions: int = 1, **configs: str | int) -> str:
        name = f"test-{uuid.uuid4().hex[:12]}"
        own = {key: str(value) for key, value in configs.items()}
        admin.create_topics({name: {"num_partitions": partitions, "configs": own}}, wait_for_metadata=True)
        made.append(name)
        return name

    yield make
    if made:
        admin.delete_topics(made)


@pytest.fixture
def group() -> str:
    return f"test-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def producer(broker: Broker) -> Iterator[Clients]:
    """Opens producers that wait for every replica; keyword arguments are kafka-python's."""
    made: list[KafkaProducer] = []

    def make(**options: Any) -> KafkaProducer:
        ours = {"acks": "all", "max_request_size": 16 << 20}
        made.append(KafkaProducer(bootstrap_servers=broker.bootstrap.split(","), **{**ours, **options}))
        return made[-1]

    yield make
    for client in made:
        client.close(timeout=5)


@pytest.fixture
def consumer(broker: Broker) -> Iterator[Clients]:
    """Opens consumers of committed records from the beginning; keyword arguments are kafka-python's."""
    made: list[KafkaConsumer] = []

    def make(*topics: str, **options: Any) -> KafkaConsumer:
        ours = {
            "auto_offset_reset": "earliest",
            "enable_auto_commit": False,
            "isolation_level": "read_committed",
            "consumer_timeout_ms": 10_000,
        }
        made.append(KafkaConsumer(*topics, bootstrap_servers=broker.bootstrap.split(","), **{**ours, **options}))
        return made[-1]

    yield make
    for client in made:
        client.close(autocommit=False, timeout_ms=5000)


def _java() -> str:
    java = shutil.which("java")
    if java is None:
        return "but no Java (apt-get install openjdk-17-jre-headless maven)"
    said = subprocess.run([java, "-version"], capture_output=True, text=True, check=False)
    return said.stderr.partition("\n")[0]


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny real engine: utility is brightness."""
    path = tmp_path_factory.mktemp("engine") / "brightness.onnx"
    write_brightness_engine(path)
    return path


@pytest.fixture
def route(broker: Broker, engine: Path, tmp_path: Path) -> Iterator[Callable[..., Route]]:
    """Makes routes on the run's broker; their topics are removed after the test."""
    made: list[Route] = []

    def make(**settings: Any) -> Route:
        given = {"engine": engine, "session_ms": SESSION_MS, **settings}
        made.append(Route(bootstrap=broker.bootstrap, folder=tmp_path, **given))
        return made[-1]

    yield make
    for each in made:
        each.delete_topics()
