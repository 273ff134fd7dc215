"""The limits that the gateway is held against, each in a process of its own, without Kafka.

``engine``: inference alone, of one batch again and again. ``loop``: decode, preprocess and infer the frames that
wait in memory. ``paced``: the same with frames that arrive on a schedule, for latency.
"""

import argparse
import json
import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.frames import load_frames
from runtime.cpus import usable_cpus
from runtime.decode import MAX_PIXELS
from runtime.engine import open_engine
from runtime.heads import Utility
from runtime.pipeline import Judgement, Outcome, Pipeline, open_pipeline

IN_FLIGHT = 3


def engine_fps(path: Path, count: int, batch: int) -> float:
    """Frames a second of inference alone, the batch spread over all CPUs."""
    threads = usable_cpus()
    workers = ThreadPoolExecutor(threads)
    engine = open_engine(path, provider="cpu", workers=workers, threads=threads)
    random = np.random.default_rng(0)
    inputs = {
        spec.name: random.integers(0, 256, (batch, *spec.shape)).astype(spec.dtype) for spec in engine.manifest.inputs
    }
    engine.infer(inputs)
    began_s = time.perf_counter()
    for _ in range(count // batch):
        engine.infer(inputs)
    elapsed_s = time.perf_counter() - began_s
    workers.shutdown()
    return count // batch * batch / elapsed_s


def loop_fps(pipeline: Pipeline, frames: list[bytes], count: int, batch: int) -> float:
    """Frames a second of the whole way but Kafka, as many batches in flight as the gateway has."""
    waiting: deque[Future[list[Outcome]]] = deque()
    began_s = time.perf_counter()
    for start in range(0, count, batch):
        if len(waiting) == IN_FLIGHT:
            waiting.popleft().result()
        waiting.append(pipeline.submit([frames[index % len(frames)] for index in range(start, start + batch)]))
    for future in waiting:
        future.result()
    return count / (time.perf_counter() - began_s)


def paced_latencies_ms(
    pipeline: Pipeline, frames: list[bytes], count: int, fps: float, batch: int, wait_ms: float
) -> list[float]:
    """From the moment a frame is due to its outcome, with the gateway's own batching window."""
    latencies: list[float] = []
    began_s = time.monotonic() + 0.1
    due = [began_s + index / fps for index in range(count)]
    index = 0
    futures = []
    while index < count:
        time.sleep(max(0.0, due[index] - time.monotonic()))
        first = index
        closes_s = time.monotonic() + wait_ms / 1000
        while index < count and index - first < batch and due[index] <= closes_s:
            time.sleep(max(0.0, due[index] - time.monotonic()))
            index += 1
        if index < count and index - first < batch:
            time.sleep(max(0.0, closes_s - time.monotonic()))
        future = pipeline.submit([frames[each % len(frames)] for each in range(first, index)])
        future.add_done_callback(partial(_note, latencies, due[first:index]))
        futures.append(future)
    for future in futures:
        future.result()
    return latencies


def _note(latencies_ms: list[float], due_s: list[float], _future: object) -> None:
    now_s = time.monotonic()
    latencies_ms.extend((now_s - each) * 1000 for each in due_s)


def scores(pipeline: Pipeline, frames: list[bytes]) -> list[float]:
    """The utility of each frame: what every contender must agree with."""
    return [_utility(pipeline.judge([frame])[0]) for frame in frames]


def _utility(outcome: Outcome) -> float:
    assert isinstance(outcome, Judgement)
    result = outcome.results["utility"]
    assert isinstance(result, Utility)
    return result.score


def _main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["engine", "loop", "paced"])
    parser.add_argument("--engine", type=Path, required=True)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--fps", type=float, default=0)
    parser.add_argument("--wait-ms", type=float, default=5)
    arguments = parser.parse_args()
    if arguments.what == "engine":
        print(json.dumps({"fps": engine_fps(arguments.engine, arguments.count, arguments.batch)}))
        return
    frames = load_frames()
    pipeline = open_pipeline(
        [arguments.engine],
        provider="cpu",
        threads=usable_cpus(),
        max_batch=arguments.batch,
        in_flight=IN_FLIGHT,
        max_pixels=MAX_PIXELS,
    )
    judged = scores(pipeline, frames)
    if arguments.what == "loop":
        result = {"fps": loop_fps(pipeline, frames, arguments.count, arguments.batch), "scores": judged}
    else:
        latencies = paced_latencies_ms(
            pipeline, frames, arguments.count, arguments.fps, arguments.batch, arguments.wait_ms
        )
        result = {"latencies_ms": latencies, "scores": judged}
    print(json.dumps(result))
    pipeline.close()


if __name__ == "__main__":
    _main()
