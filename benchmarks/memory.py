"""``python -m benchmarks memory``: the gateway's peak memory with few and with many frames waiting."""

import argparse
import subprocess
import sys
import time
import uuid
from pathlib import Path

from kafka import KafkaAdminClient

from benchmarks.arguments import engine_file
from benchmarks.load import publish
from benchmarks.report import print_table, write_json
from tests.broker import KafkaBroker


def main(argv: list[str] | None = None) -> int:
    """Measure, print, and write JSON where asked."""
    arguments = _parser().parse_args(argv)
    with KafkaBroker() as broker:
        peaks = {count: peak_mib(broker.bootstrap, arguments.engine, count) for count in arguments.waiting}
    least = min(peaks.values())
    rows = [[f"{count} frames waiting", peak, peak / least] for count, peak in peaks.items()]
    print_table("peak resident memory", ["", "MiB", "of the least"], rows)
    write_json(arguments.json, {"command": "python -m benchmarks memory", "peak_mib": peaks})
    return 0


def peak_mib(brokers: str, engine: Path, waiting: int) -> float:
    """Peak resident set of a gateway that works off ``waiting`` frames of 1280x720."""
    names = [f"{name}-{uuid.uuid4()}" for name in ("frames", "decisions", "dead")]
    admin = KafkaAdminClient(bootstrap_servers=brokers)
    admin.create_topics({name: {"num_partitions": 4} for name in names}, wait_for_metadata=True)
    publish(brokers, names[0], waiting, 0)
    flags = ("--input-topic", "--output-topic", "--dead-letter-topic")
    topics = [word for pair in zip(flags, names, strict=True) for word in pair]
    command = [sys.executable, "-m", "runtime.serve", "--engine", str(engine), "--brokers", brokers, *topics]
    process = subprocess.Popen([*command, "--group", names[0], "--exit-when-drained", "--metrics-port", "off"])
    peak = 0.0
    while process.poll() is None:
        peak = max(peak, _high_water_mib(process.pid))
        time.sleep(0.1)
    if process.returncode:
        raise RuntimeError(f"the gateway ended with {process.returncode}")
    admin.delete_topics(names)
    admin.close()
    return peak


def _high_water_mib(pid: int) -> float:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    lines = [line for line in status.splitlines() if line.startswith("VmHWM")]
    return int(lines[0].split()[1]) / 1024 if lines else 0.0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks memory")
    parser.add_argument("--engine", type=engine_file, default=Path("models/utility-baseline.onnx"))
    parser.add_argument("--waiting", type=int, nargs="+", default=[100, 10_000])
    parser.add_argument("--json", type=Path)
    return parser
