"""The topics, the group and the frames of one test, and the gateways between them."""

import random
import threading
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import simplejpeg
from kafka import KafkaAdminClient, KafkaProducer
from kafka.admin import ConfigResource, ConfigResourceType
from onnx import TensorProto, helper

from export.manifest import weights_digest
from runtime.manifest import METADATA_KEY, Input, Manifest, Provenance, UtilityHead
from tests.audit import Audit, audit, committed_offsets
from tests.gateway_process import ROOT, SERVE, GatewayProcess

Headers = Sequence[tuple[str, bytes]]
Frame = tuple[bytes | None, bytes | None]
"""A record's key, that is its camera, and its value."""

DELIVERIES = ("at-least-once", "exactly-once")
TRANSACTION_TIMEOUT_MS = 2000


@dataclass
class Route:
    """Where the frames of one test come from and where its replies go.

    Args:
        bootstrap: the brokers.
        partitions: of each topic.
        session_ms: after which the broker gives a silent member's partitions away.
        engine: what judges.
        folder: for logs.
        configs: settings of the input topic.
        dead_letter_configs: settings of the dead-letter topic.
    """

    bootstrap: str
    engine: Path
    folder: Path
    session_ms: int
    partitions: int = 4
    configs: dict[str, str] = field(default_factory=dict)
    dead_letter_configs: dict[str, str] = field(default_factory=dict)
    create: Sequence[str] = ("frames", "decisions", "dead_letters")

    def __post_init__(self) -> None:
        name = uuid.uuid4().hex[:12]
        self.frames, self.decisions = f"frames-{name}", f"decisions-{name}"
        self.dead_letters, self.group = f"dead-letters-{name}", f"group-{name}"
        self._gateways = 0
        own = {"frames": self.configs, "dead_letters": self.dead_letter_configs}
        for attribute in self.create:
            self.create_topic(getattr(self, attribute), **own.get(attribute, {}))

    def create_topic(self, topic: str, **configs: str) -> None:
        with KafkaAdminClient(bootstrap_servers=self.bootstrap.split(",")) as admin:
            settings = {"num_partitions": self.partitions, "configs": configs}
            admin.create_topics({topic: settings}, wait_for_metadata=True)

    def alter_topic(self, topic: str, **configs: str) -> None:
        """Change a topic's settings while it is in use."""
        with KafkaAdminClient(bootstrap_servers=self.bootstrap.split(",")) as admin:
            admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, configs)])

    def delete_topic(self, topic: str) -> None:
        with KafkaAdminClient(bootstrap_servers=self.bootstrap.split(",")) as admin:
            admin.delete_topics([topic])

    def delete_topics(self) -> None:
        """Delete all that are there: another broker's owner wants no rests of ours."""
        with KafkaAdminClient(bootstrap_servers=self.bootstrap.split(",")) as admin:
            there = {self.frames, self.decisions, self.dead_letters} & set(admin.list_topics())
            if there:
                admin.delete_topics(sorted(there))

    def publish(self, frames: Iterable[Frame], headers: Headers = ()) -> None:
        """Publish frames, and wait until the broker has them."""
        with self.producer() as producer:
            sent = [send(producer, self.frames, frame, headers) for frame in frames]
            for future in sent:
                future.get(timeout=60)

    @contextmanager
    def flow(self, frames: Iterable[Frame], *, fps: float) -> Iterator[None]:
        """Publish frames at a rate while the block runs; what remains comes at its end, as fast as it goes."""
        hurry = threading.Event()
        failures: list[BaseException] = []

        def run() -> None:
            try:
                with self.producer() as producer:
                    sent = []
                    for frame in frames:
                        sent.append(send(producer, self.frames, frame))
                        hurry.wait(1 / fps)
                    for future in sent:
                        future.get(timeout=120)
            except BaseException as error:  # whatever it is, the test's thread raises it
                failures.append(error)

        thread = threading.Thread(target=run, name="flow", daemon=True)
        thread.start()
        try:
            yield
        finally:
            hurry.set()
            thread.join()
        if failures:
            raise failures[0]

    def producer(self, **options: Any) -> Any:
        """A plain client: after a long outage kafka-python's idempotent one waits for a producer id for ever.

        It may publish a frame twice, at two offsets, each of which then needs its reply.
        """
        ours = {
            "acks": "all",
            "enable_idempotence": "transactional_id" in options,
            "max_in_flight_requests_per_connection": 1,  # each camera's order
            "linger_ms": 1,
            "max_request_size": 1 << 28,
            "reconnect_backoff_max_ms": 500,  # after an outage the frames come at once: the gateway is what is timed
        }
        return KafkaProducer(bootstrap_servers=self.bootstrap.split(","), **{**ours, **options})

    def gateway(
        self,
        *flags: str,
        delivery: str = "at-least-once",
        program: Sequence[str] = SERVE,
        environment: dict[str, str] | None = None,
    ) -> GatewayProcess:
        """Start a gateway on this route: one thread, small batches, a short session time-out."""
        self._gateways += 1
        ours = {
            "--engine": str(self.engine),
            "--brokers": self.bootstrap,
            "--input-topic": self.frames,
            "--output-topic": self.decisions,
            "--dead-letter-topic": self.dead_letters,
            "--group": self.group,
            "--delivery": delivery,
            "--threads": "1",
            "--max-batch": "8",
            "--transaction-timeout-ms": str(TRANSACTION_TIMEOUT_MS),
        }
        kafka = {"session_timeout_ms": self.session_ms, "heartbeat_interval_ms": self.session_ms // 5}
        given = [part for name, value in ours.items() if name not in flags for part in (name, value)]
        given += [part for name, value in kafka.items() for part in ("--kafka", f"{name}={value}")]
        log = self.folder / f"gateway-{self._gateways}.log"
        return GatewayProcess([*given, *flags], log, program=program, environment=environment)

    def drain(self, delivery: str = "at-least-once", *flags: str, limit_s: float = 90) -> str:
        """Do what waits with a new gateway, to the end; returns its log."""
        with self.gateway("--exit-when-drained", *flags, delivery=delivery) as gateway:
            code = gateway.wait_for_exit(limit_s)
            assert code == 0, f"exit {code}"
            return gateway.log

    def audit(self, *, committed: bool = True) -> Audit:
        return audit(
            self.bootstrap,
            frames=self.frames,
            decisions=self.decisions,
            dead_letters=self.dead_letters,
            committed=committed,
        )

    def committed(self) -> dict[int, int]:
        return committed_offsets(self.bootstrap, self.group, self.frames)


def send(producer: Any, topic: str, frame: Frame, headers: Headers = ()) -> Any:
    """Hand a frame to a producer; gives its future."""
    key, value = frame
    return producer.send(topic, key=key, value=value, headers=list(headers))


@cache
def pictures() -> tuple[bytes, ...]:
    """Twelve photographs as JPEGs of 320 x 180, about 10 kB each."""
    paths = sorted((ROOT / "demo" / "photos").glob("*.jpg"))
    assert len(paths) == 12
    return tuple(_small(path) for path in paths)


def _small(path: Path) -> bytes:
    pixels = simplejpeg.decode_jpeg(path.read_bytes())
    small = cv2.resize(pixels, (320, 180), interpolation=cv2.INTER_AREA)
    return bytes(simplejpeg.encode_jpeg(np.ascontiguousarray(small), quality=70))


def good_frames(count: int, *, cameras: int = 8) -> list[Frame]:
    """So many photographs, from the cameras in turn."""
    return [(b"cam-%d" % (number % cameras), pictures()[number % 12]) for number in range(count)]


def mixed_frames(count: int, *, cameras: int = 8, bad_share: float = 0.03, seed: int = 1) -> list[Frame]:
    """The same with a few frames that cannot be judged: truncated, or no picture at all."""
    rng = random.Random(seed)
    frames = good_frames(count, cameras=cameras)
    for place in rng.sample(range(count), round(count * bad_share)):
        camera, value = frames[place]
        assert value is not None
        frames[place] = (camera, rng.choice([value[: len(value) // 2], b"not a picture", rng.randbytes(500)]))
    return frames


def write_brightness_engine(path: Path, data: str = "none") -> None:
    """An engine in five milliseconds' work: utility is the mean brightness of the picture."""
    image = helper.make_tensor_value_info("image", TensorProto.UINT8, ["batch", 64, 64, 3])
    utility = helper.make_tensor_value_info("utility", TensorProto.FLOAT, ["batch"])
    white = helper.make_tensor("white", TensorProto.FLOAT, [], [255.0])
    axes = helper.make_tensor("axes", TensorProto.INT64, [3], [1, 2, 3])
    nodes = [
        helper.make_node("Cast", ["image"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["pixels", "axes"], ["mean"], keepdims=0),
        helper.make_node("Div", ["mean", "white"], ["utility"]),
    ]
    graph = helper.make_graph(nodes, "brightness", [image], [utility], [white, axes])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    manifest = Manifest(
        name="brightness",
        version="1",
        digest=weights_digest(model),
        inputs=(Input(name="image", height=64, width=64),),
        heads=(UtilityHead(output="utility", threshold=0.3),),
        provenance=Provenance(data=data, licence="CC0", command="tests.route.write_brightness_engine"),
    )
    helper.set_model_props(model, {METADATA_KEY: manifest.model_dump_json(exclude_none=True)})
    onnx.save(model, path)
