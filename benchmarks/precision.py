"""``python -m benchmarks precision``: engines beside each other, the same network in FP32, INT8, ..., on the CPU."""

import argparse
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from benchmarks.arguments import engine_file
from benchmarks.report import print_table, write_json
from export.answers import Answers, onnx_answers
from export.parity import Parity, compare
from export.samples import Samples, load_samples
from runtime.cpus import usable_cpus
from runtime.engine_onnx import RUN_FRAMES, open_session, read_manifest
from runtime.errors import ConfigError
from runtime.manifest import Manifest
from training.commands.arguments import positive

Spread = Callable[..., Iterable[list[NDArray[Any]]]]
"""``map``, or one that runs several at once."""
SIZES = (1, 2, 4, None)
"""Frames in a run; None: each engine's own, as the gateway runs it."""


@dataclass(frozen=True)
class Speed:
    fps: float
    of_the_first: float
    """The median of the rounds' ratios, not the ratio of the medians."""


@dataclass(frozen=True)
class Contender:
    """One engine, opened as the gateway opens it."""

    path: Path
    name: str
    manifest: Manifest
    session: ort.InferenceSession

    def judge(self, frames: Samples, size: int | None, spread: Spread) -> Answers:
        """Every head's output, ``size`` frames a run, or as many as the gateway gives it."""
        size = size or RUN_FRAMES[self.manifest.precision]
        outputs = [head.output for head in self.manifest.heads]
        parts = list(spread(lambda chunk: self.session.run(outputs, chunk.inputs), frames.batches(size)))
        return {output: np.concatenate([part[i] for part in parts]) for i, output in enumerate(outputs)}


def main(argv: list[str] | None = None) -> int:
    """Measure, compare the answers with the first engine's, print, and write JSON where asked."""
    arguments = _parser().parse_args(argv)
    contenders = [_open(path) for path in arguments.engines]
    _require_same_task(contenders)
    frames = _some(load_samples(arguments.pictures, contenders[0].manifest.inputs, damaged=True), arguments.frames)
    speeds: dict[str, list[Speed]] = {}
    with ThreadPoolExecutor(usable_cpus()) as workers:
        spreads: dict[int, Spread] = {1: map, usable_cpus(): workers.map}
        for cores, spread in spreads.items():
            for size in SIZES:
                case = f"{cores} core{'s' * (cores > 1)}, {f'{size} a run' if size else 'as served'}"
                speeds[case] = _measure(contenders, frames, size, spread, arguments.rounds)
    answers = [onnx_answers(contender.path, frames) for contender in contenders]  # fp16 with a device's roundings
    parities = [compare(answers[0], own, contenders[0].manifest) for own in answers]
    _print(contenders, speeds, parities, len(frames))
    engines = {
        contender.name: {
            "digest": contender.manifest.digest,
            "fps": {case: each[index].fps for case, each in speeds.items()},
            "of_the_first": {case: each[index].of_the_first for case, each in speeds.items()},
            "parity": parities[index].to_json(),
        }
        for index, contender in enumerate(contenders)
    }
    write_json(arguments.json, {"command": "python -m benchmarks precision", "frames": len(frames), "engines": engines})
    return 0


def _open(path: Path) -> Contender:
    session = open_session(path, "cpu")
    manifest = read_manifest(session, path)
    return Contender(path, f"{path.name} ({manifest.precision})", manifest, session)


def _require_same_task(contenders: list[Contender]) -> None:
    first = contenders[0]
    for other in contenders[1:]:
        if _task(other.manifest) != _task(first.manifest):
            raise ConfigError(f"{other.name} has other inputs or heads than {first.name}: there is nothing to compare")


def _task(manifest: Manifest) -> tuple[Any, ...]:
    """What it takes and gives; thresholds are its own."""
    return manifest.inputs, [(head.kind, head.output) for head in manifest.heads]


def _some(samples: Samples, count: int) -> Samples:
    """``count`` of them, spread over all."""
    return samples[np.arange(count) * len(samples) // count] if count < len(samples) else samples


def _measure(
    contenders: list[Contender], frames: Samples, size: int | None, spread: Spread, rounds: int
) -> list[Speed]:
    """The medians of the rounds; in each round every contender has its turn, so a busy machine slows all alike."""
    expected = [contender.judge(frames, size, spread) for contender in contenders]
    times: list[list[float]] = [[] for _ in contenders]
    for _ in range(rounds):
        for contender, wanted, own in zip(contenders, expected, times, strict=True):
            began_s = time.perf_counter()
            answers = contender.judge(frames, size, spread)
            own.append(time.perf_counter() - began_s)
            for output, values in wanted.items():
                np.testing.assert_allclose(answers[output], values, atol=1e-6)
    return [
        Speed(len(frames) / median(own), median(a / b for a, b in zip(times[0], own, strict=True))) for own in times
    ]


def _print(contenders: list[Contender], speeds: dict[str, list[Speed]], parities: list[Parity], frames: int) -> None:
    print_table(
        "engines by precision",
        ["", "frames/s", "of the first"],
        [
            [f"{case}: {contender.name}", own.fps, own.of_the_first]
            for case, each in speeds.items()
            for contender, own in zip(contenders, each, strict=True)
        ],
    )
    print_table(
        f"answers to {frames} frames against the first engine's",
        ["", "rank correlation", "decisions that flip, %", "masks' IoU", "largest difference"],
        [
            [
                f"{contender.name}: {one.output}",
                "" if one.rank_correlation is None else f"{one.rank_correlation:.4f}",
                "" if one.flips is None else 100 * one.flips,
                "" if one.mask_iou is None else f"{one.mask_iou:.4f}",
                one.difference,
            ]
            for contender, parity in zip(contenders, parities, strict=True)
            for one in parity.outputs
            if one.has_head
        ],
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks precision")
    parser.add_argument(
        "engines", type=engine_file, nargs="+", help="ONNX files; the first is what the others are held to"
    )
    parser.add_argument("--pictures", type=Path, nargs="+", default=[Path("demo/photos")])
    parser.add_argument("--frames", type=positive, default=60)
    parser.add_argument("--rounds", type=positive, default=9)
    parser.add_argument("--json", type=Path)
    return parser
