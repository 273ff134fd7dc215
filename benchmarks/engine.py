"""``python -m benchmarks engine``: the bare engine by frames in a run and by threads; why runs are small on a CPU."""

import argparse
import time
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from benchmarks.report import print_table, write_json
from runtime.cpus import usable_cpus
from runtime.engine_onnx import RUN_FRAMES, OnnxEngine

Run = Callable[[NDArray[Any]], NDArray[Any]]


def main(argv: list[str] | None = None) -> int:
    """Measure, compare the answers, print, and write JSON where asked."""
    arguments = _parser().parse_args(argv)
    threads = usable_cpus()
    with ThreadPoolExecutor(threads) as workers:
        engine = OnnxEngine(arguments.engine, workers=workers, threads=threads)
        spec = engine.manifest.inputs[0]
        output = engine.manifest.heads[0].output
        frames = np.random.default_rng(0).integers(0, 256, (arguments.frames, *spec.shape)).astype(spec.dtype)
        single, default = _session(arguments.engine, threads=1), ort.InferenceSession(str(arguments.engine))
        runs = {f"{size} a run, {threads} at once": _spread(single, workers, size) for size in (1, 2, 4, 8, 16, 32)}
        runs["1 a run, ONNX Runtime's own threads"] = _spread(default, None, 1)
        runs["32 a run, ONNX Runtime's own threads"] = _spread(default, None, 32)
        runs[f"framegate ({RUN_FRAMES[engine.manifest.precision]} a run)"] = lambda batch: engine.infer(
            {spec.name: batch}
        )[output]
        fps = _measure(runs, frames, arguments.rounds)
    best = max(fps.values())
    rows = [[name, each, each / best] for name, each in fps.items()]
    print_table(f"bare engine, {threads} CPUs", ["", "frames/s", "of the best"], rows)
    write_json(arguments.json, {"command": "python -m benchmarks engine", "fps": fps})
    return 0


def _session(path: Path, *, threads: int) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return ort.InferenceSession(str(path), options)


def _spread(session: ort.InferenceSession, workers: Executor | None, size: int) -> Run:
    name = session.get_inputs()[0].name

    def run(frames: NDArray[Any]) -> NDArray[Any]:
        chunks = [frames[start : start + size] for start in range(0, len(frames), size)]
        spread = map if workers is None else workers.map
        return np.concatenate(list(spread(lambda chunk: session.run(None, {name: chunk})[0], chunks)))

    return run


def _measure(runs: dict[str, Run], frames: NDArray[Any], rounds: int) -> dict[str, float]:
    """Frames a second, the median of the rounds; every answer is compared with the first contender's."""
    expected = next(iter(runs.values()))(frames)
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            began_s = time.perf_counter()
            answer = run(frames)
            times[name].append(time.perf_counter() - began_s)
            np.testing.assert_allclose(answer, expected, atol=1e-4)
    return {name: len(frames) / median(each) for name, each in times.items()}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks engine")
    parser.add_argument("--engine", type=Path, default=Path("models/utility-baseline.onnx"))
    parser.add_argument("--frames", type=int, default=192)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    return parser
