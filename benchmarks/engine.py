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

from benchmarks.arguments import engine_file
from benchmarks.report import print_table, write_json
from export.samples import Samples
from runtime.cpus import usable_cpus
from runtime.engine_onnx import RUN_FRAMES, OnnxEngine
from runtime.manifest import Manifest

Run = Callable[[Samples], NDArray[Any]]


def main(argv: list[str] | None = None) -> int:
    """Measure, compare the answers, print, and write JSON where asked."""
    arguments = _parser().parse_args(argv)
    threads = usable_cpus()
    with ThreadPoolExecutor(threads) as workers:
        engine = OnnxEngine(arguments.engine, workers=workers, threads=threads)
        output = engine.manifest.heads[0].output
        frames = _noise(engine.manifest, arguments.frames)
        single, default = _session(arguments.engine, threads=1), ort.InferenceSession(str(arguments.engine))
        runs = {
            f"{size} a run, {threads} at once": _spread(single, output, workers, size) for size in (1, 2, 4, 8, 16, 32)
        }
        runs["1 a run, ONNX Runtime's own threads"] = _spread(default, output, None, 1)
        runs["32 a run, ONNX Runtime's own threads"] = _spread(default, output, None, 32)
        served = f"framegate ({RUN_FRAMES[engine.manifest.precision]} a run)"
        runs[served] = lambda batch: engine.infer(batch.inputs)[output]
        fps = _measure(runs, frames, arguments.rounds)
    best = max(fps.values())
    rows = [[name, each, each / best] for name, each in fps.items()]
    print_table(f"bare engine, {threads} CPUs", ["", "frames/s", "of the best"], rows)
    write_json(arguments.json, {"command": "python -m benchmarks engine", "fps": fps})
    return 0


def _noise(manifest: Manifest, count: int) -> Samples:
    random = np.random.default_rng(0)
    return Samples(
        {spec.name: random.integers(0, 256, (count, *spec.shape)).astype(spec.dtype) for spec in manifest.inputs}
    )


def _session(path: Path, *, threads: int) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return ort.InferenceSession(str(path), options)


def _spread(session: ort.InferenceSession, output: str, workers: Executor | None, size: int) -> Run:
    def run(frames: Samples) -> NDArray[Any]:
        spread = map if workers is None else workers.map
        return np.concatenate(list(spread(lambda chunk: session.run([output], chunk.inputs)[0], frames.batches(size))))

    return run


def _measure(runs: dict[str, Run], frames: Samples, rounds: int) -> dict[str, float]:
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
    parser.add_argument("--engine", type=engine_file, default=Path("models/utility-baseline.onnx"))
    parser.add_argument("--frames", type=int, default=192)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    return parser
