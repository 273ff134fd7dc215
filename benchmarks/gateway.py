"""``python -m benchmarks gateway``: the whole gateway on Apache Kafka, beside its limits and the naive loop.

Every contender is a process of its own, and a round runs them all, one after another, on the same frames; the
ratios are of one round, and the median round is reported. Throughput is read from the broker's own clock: the
time between the appends of the decisions, so no process's start counts.
"""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition

from benchmarks.arguments import engine_file
from benchmarks.frames import load_frames
from benchmarks.report import print_table, write_json
from tests.broker import KafkaBroker

PARTITIONS = 4
WARM_UP = 0.1
"""Share of the decisions that is left out at the start: caches, clocks and the group settle."""
LOAD = 0.7
GATEWAYS = {
    "fire-and-forget": ("benchmarks.fire_and_forget", "at-least-once"),
    "at-least-once": ("runtime.serve", "at-least-once"),
    "exactly-once": ("runtime.serve", "exactly-once"),
}
"""Module and --delivery of each; the first is for comparison only."""


@dataclass(frozen=True)
class Decision:
    """What is read back of one frame."""

    index: int
    score: float
    due_ms: int
    appended_ms: int


def main(argv: list[str] | None = None) -> int:
    """Measure, compare the answers, print, and write JSON where asked.

    Returns:
        0 where all answers agree; a disagreement raises.
    """
    arguments = _parser().parse_args(argv)
    with _broker(arguments.brokers) as bootstrap, tempfile.TemporaryDirectory() as folder:
        bench = Bench(bootstrap, arguments.engine, Path(folder))
        rounds = [bench.round(arguments.frames) for _ in range(arguments.rounds)]
        fps = {name: statistics.median(each[name] for each in rounds) for name in rounds[0]}
        ratios = {
            name: statistics.median(each[over] / each[under] for each in rounds)
            for name, (over, under) in RATIOS.items()
        }
        latency = bench.latency(fps["loop"], arguments.latency_s)
    _print(fps, ratios, latency)
    write_json(
        arguments.json,
        {"command": "python -m benchmarks gateway", "fps": fps, "ratios": ratios, "rounds": rounds, "latency": latency},
    )
    return 0


RATIOS = {
    "gateway / naive loop": ("at-least-once", "naive"),
    "gateway / naive loop on the uint8 engine": ("at-least-once", "naive-uint8"),
    "gateway / in-process loop": ("at-least-once", "loop"),
    "gateway / bare engine": ("at-least-once", "engine"),
    "at least once / fire and forget": ("at-least-once", "fire-and-forget"),
    "exactly once / fire and forget": ("exactly-once", "fire-and-forget"),
    "exactly once / at least once": ("exactly-once", "at-least-once"),
}


class Bench:
    """One broker, one engine, the contenders."""

    def __init__(self, bootstrap: str, engine: Path, folder: Path) -> None:
        self._bootstrap = bootstrap
        self._engine = engine
        self._float_engine = _float_variant(engine, folder / "float.onnx")
        self._frames = load_frames()
        self._admin = KafkaAdminClient(bootstrap_servers=bootstrap)
        self._scores: list[float] = []

    def round(self, count: int) -> dict[str, float]:
        """Frames a second of every contender, on ``count`` frames that wait."""
        engine = self._inprocess("engine", "--count", str(count))["fps"]
        loop = self._inprocess("loop", "--count", str(count))
        self._scores = loop["scores"]
        frames = self._topic("frames")
        _run([sys.executable, "-m", "benchmarks.load", self._bootstrap, frames, str(count), "0"])
        fps = {"engine": engine, "loop": loop["fps"]}
        for name, (module, delivery) in GATEWAYS.items():
            fps[name] = self._gateway(frames, count, module, delivery)
        fps["naive"] = self._naive(frames, count, self._float_engine)
        fps["naive-uint8"] = self._naive(frames, count, self._engine)
        self._admin.delete_topics([frames])
        return fps

    def latency(self, flood_fps: float, seconds: float) -> dict[str, Any]:
        """From the moment a frame is due to the append of its decision, at a steady rate (open loop).

        The rate is a share of the capacity under the same conditions: the sender and the broker's intake take
        their part of the same cores, so it is less than the rate at which waiting frames are worked off.
        """
        flooded = self._live(flood_fps, seconds)
        last_sent_ms = max(decision.due_ms for decision in flooded)
        capacity_fps = _fps([decision for decision in flooded if decision.appended_ms <= last_sent_ms])
        fps = LOAD * capacity_fps
        through_kafka = _percentiles([each.appended_ms - each.due_ms for each in self._live(fps, seconds)])
        paced = self._inprocess("paced", "--count", str(int(fps * seconds)), "--fps", str(fps))["latencies_ms"]
        return {
            "capacity_fps": capacity_fps,
            "fps": fps,
            "gateway_ms": through_kafka,
            "loop_ms": _percentiles(paced),
            "added_p50_ms": through_kafka["p50"] - _percentiles(paced)["p50"],
        }

    def _live(self, fps: float, seconds: float) -> list[Decision]:
        """The decisions of frames that are sent on a schedule while the gateway runs, in the order of sending."""
        count = int(fps * seconds)
        frames, out, dead = self._topic("frames"), self._topic("decisions"), self._topic("dead")
        gateway = subprocess.Popen(
            [*self._serve(frames, out, dead), "--metrics-port", "0"], stderr=subprocess.PIPE, text=True
        )
        try:
            port = _wait_until_ready(gateway)
            _run([sys.executable, "-m", "benchmarks.load", self._bootstrap, frames, str(count), str(fps)])
            _wait_until_done(port, count)
        finally:
            gateway.send_signal(signal.SIGTERM)
            gateway.communicate(timeout=60)
        self._admin.delete_topics([frames])
        return sorted(self._checked(out, count), key=lambda decision: decision.index)

    def _gateway(self, frames: str, count: int, module: str, delivery: str) -> float:
        out, dead = self._topic("decisions"), self._topic("dead")
        command = self._serve(frames, out, dead, module=module)
        _run([*command, "--delivery", delivery, "--exit-when-drained", "--metrics-port", "off"])
        return _fps(self._checked(out, count))

    def _naive(self, frames: str, count: int, engine: Path) -> float:
        out = self._topic("decisions")
        group = f"naive-{uuid.uuid4()}"
        _run([sys.executable, "-m", "benchmarks.naive", str(engine), self._bootstrap, frames, out, group, str(count)])
        decisions = self._decisions(out)
        _require(len(decisions) == count, f"the naive loop made {len(decisions)} decisions of {count} frames")
        ours = [self._expected(decision) for decision in decisions]
        agreement = float(np.corrcoef(ours, [decision.score for decision in decisions])[0, 1])
        _require(agreement > 0.9, f"the naive loop's scores correlate with ours by {agreement:.3f} only")
        return _fps(decisions)

    def _checked(self, topic: str, count: int) -> list[Decision]:
        """The decisions, every frame once and scored as in the process."""
        decisions = self._decisions(topic)
        _require(
            sorted(decision.index for decision in decisions) == list(range(count)),
            f"{len(decisions)} decisions of {count} frames",
        )
        worst = max(abs(decision.score - self._expected(decision)) for decision in decisions)
        _require(worst < 1e-4, f"a score through Kafka differs by {worst} from the same frame's in the process")
        return decisions

    def _expected(self, decision: Decision) -> float:
        return self._scores[decision.index % len(self._frames)]

    def _decisions(self, topic: str) -> list[Decision]:
        consumer = KafkaConsumer(bootstrap_servers=self._bootstrap, isolation_level="read_committed")
        partitions = [TopicPartition(topic, number) for number in range(PARTITIONS)]
        consumer.assign(partitions)
        consumer.seek_to_beginning()
        ends = consumer.end_offsets(partitions)
        decisions = []
        while any(consumer.position(partition) < ends[partition] for partition in partitions):
            for records in consumer.poll(timeout_ms=1000).values():
                decisions += [_decision(json.loads(record.value), record.timestamp) for record in records]
        consumer.close()
        self._admin.delete_topics([topic])
        return decisions

    def _serve(self, frames: str, out: str, dead: str, module: str = "runtime.serve") -> list[str]:
        topics = ["--input-topic", frames, "--output-topic", out, "--dead-letter-topic", dead]
        group = ["--group", f"bench-{uuid.uuid4()}", "--brokers", self._bootstrap, "--engine", str(self._engine)]
        return [sys.executable, "-m", module, *topics, *group]

    def _inprocess(self, what: str, *options: str) -> Any:
        command = [sys.executable, "-m", "benchmarks.inprocess", what, "--engine", str(self._engine), *options]
        return json.loads(_run(command))

    def _topic(self, name: str) -> str:
        topic = f"{name}-{uuid.uuid4()}"
        configs = {"message.timestamp.type": "LogAppendTime"} if name == "decisions" else {}
        self._admin.create_topics({topic: {"num_partitions": PARTITIONS, "configs": configs}}, wait_for_metadata=True)
        return topic


def _decision(value: Mapping[str, Any], appended_ms: int) -> Decision:
    source = value.get("source", value)
    score = value["utility"]["score"] if "utility" in value else value["score"]
    # benchmarks.load sends frame i of camera i % 8 to partition i % 4
    return Decision(
        source["offset"] * PARTITIONS + source["partition"], score, source.get("timestamp_ms", 0), appended_ms
    )


def _fps(decisions: list[Decision]) -> float:
    times = sorted(decision.appended_ms for decision in decisions)
    start = times[int(len(times) * WARM_UP)]
    return sum(time > start for time in times) / (times[-1] - start) * 1000


def _float_variant(engine: Path, path: Path) -> Path:
    """The same network without its head of Cast, Transpose and normalisation: what most exports look like."""
    graph = onnx.load(engine).graph
    node = next(node for node in graph.node if node.op_type == "Conv")
    onnx.utils.extract_model(str(engine), str(path), [node.input[0]], [output.name for output in graph.output])
    return path


@contextmanager
def _broker(brokers: str | None) -> Iterator[str]:
    if brokers:
        yield brokers
        return
    with KafkaBroker() as broker:
        yield broker.bootstrap


def _wait_until_ready(gateway: "subprocess.Popen[str]") -> str:
    """Wait until it judges frames; returns the address of its metrics."""
    assert gateway.stderr is not None
    line = next((line for line in gateway.stderr if "metrics and health at" in line), None)
    _require(line is not None, "the gateway did not start")
    address = "http" + str(line).partition("http")[2].strip()
    _wait(lambda: _answer(f"{address}/v2/health/ready") is not None, "the gateway was not ready within a minute")
    return address


def _wait_until_done(address: str, count: int) -> None:
    def done() -> bool:
        lines = (_answer(f"{address}/metrics") or "").splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith("framegate_frames_total{")) >= count

    _wait(done, "the gateway did not finish within a minute of the last frame")


def _wait(condition: Callable[[], bool], failure: str) -> None:
    deadline_s = time.monotonic() + 60
    while not condition():
        _require(time.monotonic() < deadline_s, failure)
        time.sleep(0.2)


def _answer(url: str) -> str | None:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            body: bytes = answer.read()
            return body.decode()
    except OSError:
        return None


def _run(command: list[str]) -> str:
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, "OMP_NUM_THREADS": ""}
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr}")
    return done.stdout


def _percentiles(latencies_ms: Sequence[float]) -> dict[str, float]:
    settled = latencies_ms[int(len(latencies_ms) * WARM_UP) :]
    return {f"p{share}": float(np.percentile(settled, share)) for share in (50, 95, 99)}


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise AssertionError(message)


def _print(fps: Mapping[str, float], ratios: Mapping[str, float], latency: Mapping[str, Any]) -> None:
    print_table("throughput, 1280x720 JPEG", ["contender", "frames/s"], list(fps.items()))
    print_table("ratios (median of the rounds)", ["", "ratio"], list(ratios.items()))
    rows = [[name, *latency[key].values()] for name, key in (("gateway", "gateway_ms"), ("in-process", "loop_ms"))]
    print_table(
        f"latency at {latency['fps']:.0f} frames/s, 70 % of {latency['capacity_fps']:.0f}, ms",
        ["", "p50", "p95", "p99"],
        rows,
    )
    print(f"added to the median by Kafka and the gateway: {latency['added_p50_ms']:.1f} ms")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks gateway")
    parser.add_argument("--engine", type=engine_file, default=Path("models/utility-baseline.onnx"))
    parser.add_argument("--frames", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--latency-s", type=float, default=30)
    parser.add_argument("--brokers", help="host:port (default: an Apache Kafka of our own)")
    parser.add_argument("--json", type=Path)
    return parser
