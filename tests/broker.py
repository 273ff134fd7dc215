"""Apache Kafka itself: one KRaft node on loopback, for tests and benchmarks."""

import base64
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self
from xml.etree import ElementTree

from kafka import KafkaAdminClient
from kafka.errors import KafkaError

POM = Path(__file__).with_name("pom.xml")
CLUSTER_ID = base64.urlsafe_b64encode(b"framegate-broker").decode().rstrip("=")
START_LIMIT_S = 60.0
STOP_LIMIT_S = 30.0
MESSAGE_MAX_BYTES = 16 << 20
JIT = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]
"""The second compiler and G1 pay off with time and cores; tests and benchmarks end sooner, and share two cores."""
LOGGING = [
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS",
]


def kafka_version() -> str:
    """The version that the pom names."""
    version = ElementTree.parse(POM).findtext("{*}properties/{*}kafka.version")
    if version is None:
        raise RuntimeError(f"{POM} names no version of Apache Kafka")
    return version


class KafkaBroker:
    """A broker of its own data and port, which may be stopped, killed and started again.

    Args:
        heap_mib: the Java heap.
        settings: broker settings on top of ours, with underscores for dots.

    Raises:
        RuntimeError: Java or Maven is missing, the jars cannot be had, or the broker does not come up.
    """

    def __init__(self, *, heap_mib: int = 512, **settings: str | int) -> None:
        self._java = [_program("java"), f"-Xmx{heap_mib}m", *JIT, *LOGGING, "-cp", f"{_jars()}/*"]
        self.folder = Path(tempfile.mkdtemp(prefix="framegate-kafka-"))
        self.log = self.folder / "broker.log"
        self.port, controller_port = _free_ports(2)
        self.bootstrap = f"127.0.0.1:{self.port}"
        self._properties = self.folder / "server.properties"
        ours = _settings(self.folder / "data", self.port, controller_port)
        given = {name.replace("_", "."): str(value) for name, value in settings.items()}
        self._properties.write_text("".join(f"{name}={value}\n" for name, value in {**ours, **given}.items()))
        self._process: subprocess.Popen[bytes] | None = None
        self._format()

    @property
    def pid(self) -> int:
        """The process, for what measures its memory."""
        assert self._process is not None, "the broker has not been started"
        return self._process.pid

    def start(self) -> None:
        """Start it, on the same port and data as before, and wait until it answers."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*self._java, "kafka.Kafka", str(self._properties)],
                stdout=log,
                stderr=subprocess.STDOUT,
                # Ctrl-C is for the tests: they stop the broker once its clients have let go of it.
                start_new_session=True,
            )
        try:
            self._wait_until_it_answers()
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """SIGTERM, and wait: everything it has acknowledged is on its disk."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL: the machine is gone."""
        self._end(signal.SIGKILL)

    def close(self) -> None:
        """End it, and remove its data."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _format(self) -> None:
        command = [
            *self._java,
            "kafka.tools.StorageTool",
            "format",
            "-t",
            CLUSTER_ID,
            "-c",
            str(self._properties),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"Apache Kafka cannot format its storage:\n{done.stdout}{done.stderr}")

    def _wait_until_it_answers(self) -> None:
        deadline_s = time.monotonic() + START_LIMIT_S
        while not answers(self.bootstrap):
            if self._process is not None and self._process.poll() is not None:
                raise self._failure(f"ended with status {self._process.returncode} before it answered")
            if time.monotonic() > deadline_s:
                raise self._failure(f"does not answer at {self.bootstrap} after {START_LIMIT_S:.0f} s")
            time.sleep(0.1)

    def _failure(self, what: str) -> RuntimeError:
        end = "\n".join(self.log.read_text(errors="replace").splitlines()[-40:])
        return RuntimeError(f"Apache Kafka {what}; the end of {self.log}:\n{end}")

    def _end(self, signal_number: int) -> None:
        if self._process is None or self._process.poll() is not None:
            return
        self._process.send_signal(signal_number)
        try:
            self._process.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise self._failure(
                f"did not end within {STOP_LIMIT_S:.0f} s of {signal.Signals(signal_number).name}"
            ) from None


def answers(bootstrap: str) -> bool:
    """Whether a broker answers there, as one that can take topics and records."""
    host, _, port = bootstrap.partition(",")[0].rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=1).close()
        admin = KafkaAdminClient(bootstrap_servers=bootstrap.split(","), bootstrap_timeout_ms=5000)
    except (OSError, KafkaError):
        return False
    try:
        admin.list_topics()
    except KafkaError:
        return False
    finally:
        admin.close()
    return True


def _settings(data: Path, port: int, controller_port: int) -> dict[str, str]:
    one_node = {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@127.0.0.1:{controller_port}",
        "listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}",
        "controller.listener.names": "CONTROLLER",
        "log.dirs": str(data),
    }
    own_topics = {
        "offsets.topic.num.partitions": "4",
        "offsets.topic.replication.factor": "1",
        "transaction.state.log.num.partitions": "4",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "share.coordinator.state.topic.num.partitions": "4",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
    }
    behaviour = {
        "auto.create.topics.enable": "false",
        "group.initial.rebalance.delay.ms": "0",
        # A killed gateway's partitions are given away after its own session time-out, not after 6 s at least.
        "group.min.session.timeout.ms": "500",
        "message.max.bytes": str(MESSAGE_MAX_BYTES),
        # A broker that was killed comes back soon: its old registration lapses after 3 s, not 9.
        "broker.heartbeat.interval.ms": "500",
        "broker.session.timeout.ms": "3000",
        # A killed gateway's transaction ends with its own time-out, not up to ten seconds later. So soon after a start
        # that the broker does not know its leaders yet, and loses the marks (tests/faults/test_hanging.py).
        "transaction.abort.timed.out.transaction.cleanup.interval.ms": "100",
    }
    return {**one_node, **own_topics, **behaviour}


def _jars() -> Path:
    """The folder with Apache Kafka's jars: fetched once into ``.build``, which git ignores."""
    folder = POM.parents[1] / ".build" / f"kafka-{kafka_version()}"
    if folder.is_dir():
        return folder
    folder.parent.mkdir(exist_ok=True)
    part = Path(tempfile.mkdtemp(dir=folder.parent, prefix="kafka-part-"))
    goal = ["dependency:copy-dependencies", f"-DoutputDirectory={part}"]
    command = [_program("mvn"), "-q", "-B", "-f", str(POM), *goal]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        shutil.rmtree(part)
        raise RuntimeError(f"Maven cannot fetch Apache Kafka {kafka_version()}:\n{done.stdout}{done.stderr}")
    os.rename(part, folder)  # whole or not at all: an interrupted download leaves no half cache
    return folder


def _program(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise RuntimeError(
            f"{name} is missing, and a real broker needs it: "
            "apt-get install openjdk-17-jre-headless maven, or set FRAMEGATE_TEST_BROKERS=host:port"
        )
    return path


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()
