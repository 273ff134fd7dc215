"""``python -m benchmarks engine``: the bare engine by frames in a run and by threads; why runs are small on a CPU."""

import argparse
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

import numpy as np
import onnxruntime as ort

from benchmarks.report import print_table, write_json
from runtime.cpus import usable_cpus
from runtime.engine_onnx import CHUNK, OnnxEngine

BATCHES = (1, 2, 4, 8, 16, 32)


def main(argv: list[str] | None = None) -> int:
    """Measure, compare the answers, print, and write JSON where asked."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks engine")
    parser.add_argument("--engine", type=Path, default=Path("models/utility-baseline.onnx"))
    parser.add_argument("--frames", type=int, default=192)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args(argv)

    threads = usable_cpus()
    with ThreadPoolExecutor(threads) as workers:
        engine = OnnxEngine(arguments.engine, provider="cpu", workers=workers, threads=threads)
        default = _default_session(arguments.engine)
        spec = engine.manifest.inputs[0]
        frames = np.random.default_rng(0).integers(0, 256, (arguments.frames, *spec.shape)).astype(spec.dtype)
        runs = {f"{batch} a run, {threads} runs at once": _chunked(engine, workers, batch) for batch in BATCHES}
        runs[f"framegate ({CHUNK} a run)"] = lambda array: engine.infer({spec.name: array})
        runs["ONNX Runtime's own threads, 1 a run"] = _single(default, spec.name)
        fps = _measure(runs, frames, arguments.rounds)
    best = max(fps.values())
    print_table("bare engine", ["", "frames/s", "of the best"], [[name, each, each / best] for name, each in fps.items()])
    write_json(arguments.json, {"command": "python -m benchmarks engine", "fps": fps})
    return 0


def _measure(runs, frames, rounds):  # type: ignore[no-untyped-def]
    expected = next(iter(runs.values()))(frames)
    times = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            began_s = time.perf_counter()
            answer = run(frames)
            times[name].append(time.perf_counter() - began_s)
            for output, values in expected.items():
                np.testing.assert_allclose(answer[output], values, atol=1e-4)
    return {name: len(frames) / median(each) for name, each in times.items()}
