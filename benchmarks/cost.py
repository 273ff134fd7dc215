"""``python -m benchmarks cost``: what a frame costs on one core, by engine, whatever their inputs."""

import argparse
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from benchmarks.arguments import engine_file
from benchmarks.report import print_table, write_json
from export.samples import Samples, find_pictures, load_samples
from runtime.decode import Decoder
from runtime.engine_onnx import open_session, read_manifest
from runtime.manifest import Manifest
from runtime.preprocess import Preprocessor, common_least
from training.commands.arguments import positive

STAGES = ("prepare", "infer", "both")


@dataclass(frozen=True)
class Contender:
    """One engine, with a session of one thread, as the gateway opens it."""

    name: str
    manifest: Manifest
    session: ort.InferenceSession
    frames: Samples
    """The pictures as its inputs; their answers are known before the time is taken."""
    answers: list[list[NDArray[Any]]]
    decoder: Decoder
    preprocessors: dict[str, Preprocessor]
    buffers: dict[str, NDArray[Any]]

    def prepare(self, value: bytes) -> None:
        """Decode a picture and make it the engine's inputs."""
        picture = self.decoder.decode(value, common_least(list(self.preprocessors.values())))
        for name, preprocessor in self.preprocessors.items():
            preprocessor.fill(picture.pixels, self.buffers[name][0], (picture.height, picture.width))

    def infer(self, index: int) -> list[NDArray[Any]]:
        """The heads' outputs for one frame."""
        outputs = [head.output for head in self.manifest.heads]
        found: list[NDArray[Any]] = self.session.run(outputs, dict(self.frames[index : index + 1].inputs))
        return found


def main(argv: list[str] | None = None) -> int:
    """Measure in turns, check every answer, print, and write JSON where asked."""
    arguments = _parser().parse_args(argv)
    paths = find_pictures(arguments.pictures)
    contenders = [_open(path, paths) for path in arguments.engines]
    values = [path.read_bytes() for path in paths]
    times = [_round(contenders, values) for _ in range(arguments.rounds)]  # (rounds, contenders, stages)
    costs = {
        contender.name: {
            stage: {
                "ms": 1000 * median(each[place][at] for each in times) / len(values),
                "of_the_first": median(each[place][at] / each[0][at] for each in times),
            }
            for at, stage in enumerate(STAGES)
        }
        for place, contender in enumerate(contenders)
    }
    rows = [
        [name, *(number for stage in STAGES for number in (own[stage]["ms"], own[stage]["of_the_first"]))]
        for name, own in costs.items()
    ]
    columns = ["", *(text for stage in STAGES for text in (f"{stage}, ms", "of the first"))]
    print_table(f"a frame on one core, {len(values)} pictures, {arguments.rounds} rounds", columns, rows)
    write_json(arguments.json, {"command": "python -m benchmarks cost", "pictures": len(values), "engines": costs})
    return 0


def _open(path: Path, pictures: list[Path]) -> Contender:
    session = open_session(path, "cpu")
    manifest = read_manifest(session, path)
    preprocessors = {spec.name: Preprocessor(spec) for spec in manifest.inputs}
    contender = Contender(
        f"{path.name} ({manifest.precision})",
        manifest,
        session,
        load_samples(pictures, manifest.inputs),
        [],
        Decoder(),
        preprocessors,
        {name: one.batch(1) for name, one in preprocessors.items()},
    )
    contender.answers.extend(contender.infer(index) for index in range(len(contender.frames)))
    return contender


def _round(contenders: list[Contender], values: list[bytes]) -> list[tuple[float, ...]]:
    """Seconds for each contender: all pictures prepared, all judged, and both. They take turns picture by picture."""
    spent = np.zeros((len(contenders), 2))
    for index, value in enumerate(values):
        for place, contender in enumerate(contenders):
            began_s = time.perf_counter()
            contender.prepare(value)
            prepared_s = time.perf_counter()
            answers = contender.infer(index)
            spent[place] += prepared_s - began_s, time.perf_counter() - prepared_s
            for found, known in zip(answers, contender.answers[index], strict=True):
                np.testing.assert_array_equal(found, known)
            for name, buffer in contender.buffers.items():
                np.testing.assert_array_equal(buffer[0], contender.frames.inputs[name][index])
    return [(*map(float, own), float(own.sum())) for own in spent]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks cost")
    parser.add_argument(
        "engines", type=engine_file, nargs="+", help="ONNX files; the others are told as ratios to the first"
    )
    parser.add_argument("--pictures", type=Path, nargs="+", default=[Path("demo/photos")])
    parser.add_argument("--rounds", type=positive, default=15)
    parser.add_argument("--json", type=Path)
    return parser
