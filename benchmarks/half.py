"""``python -m benchmarks half``: two converters to half precision, on real pictures.

ONNX Runtime's converter (with ``export.half``'s repairs) and NVIDIA's ModelOpt AutoCast, each converting everything
and each keeping the nodes in float32 that ``python -m export fp16`` keeps. Answers are computed on the CPU with every
value rounded to half that a device would store as one.
"""

import argparse
import time
import warnings
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto
from rich import box
from rich.console import Console
from rich.table import Table

from export.answers import onnx_answers
from export.half import fit_half, half_share, to_half
from export.manifest import load_model, read_model_manifest
from export.parity import compare, default_tolerances
from export.samples import Samples, load_samples

Kept = tuple[str, ...]
Convert = Callable[[ModelProto, Kept], ModelProto]
CALIBRATION = 8
"""Samples that AutoCast runs; without them it makes numbers up, which it cannot for a uint8 input."""


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks half", description=__doc__.partition(": ")[2])
    parser.add_argument("--engine", type=Path, default=Path("models/utility-baseline.onnx"), help="%(default)s")
    parser.add_argument("--pictures", type=Path, nargs="+", default=[Path("demo/photos")], help="demo/photos")
    options = parser.parse_args(argv)
    model = load_model(options.engine)
    manifest = read_model_manifest(model, str(options.engine))
    samples = load_samples(options.pictures, manifest.inputs, damaged=True)
    reference = onnx_answers(model, samples)
    kept = fit_half(model, manifest, samples, default_tolerances("fp16", manifest.heads)).kept

    table = Table(title=f"{options.engine.name}, {len(samples)} samples", box=box.SIMPLE)
    for column in ("converter", "kept", "largest", "mean", "Casts", "nodes", "halves", "s"):
        table.add_column(column, no_wrap=True, justify="left" if column == "converter" else "right")
    for name, convert in _converters(samples).items():
        for keep in ((), kept):
            began = time.perf_counter()
            half = convert(model, keep)
            seconds = time.perf_counter() - began
            onnx.checker.check_model(half, full_check=True)
            parity = compare(reference, onnx_answers(half, samples), manifest)
            table.add_row(
                name,
                str(len(keep)),
                f"{max(one.difference for one in parity.outputs):.4f}",
                f"{max(one.mean_difference for one in parity.outputs):.4f}",
                str(sum(node.op_type == "Cast" for node in half.graph.node)),
                str(len(half.graph.node)),
                f"{100 * half_share(half):.1f} %",
                f"{seconds:.1f}",
            )
    Console().print(table)
    return 0


def _converters(samples: Samples) -> dict[str, Convert]:
    converters: dict[str, Convert] = {"onnxruntime": to_half}
    try:
        autocast = import_module("modelopt.onnx.autocast")  # a peer: measured where it is installed
    except ImportError as error:
        print(f"AutoCast is left out: {error}")
        return converters
    return converters | {"AutoCast": lambda model, kept: _autocast(autocast, model, kept, samples)}


def _autocast(autocast: Any, model: ModelProto, kept: Kept, samples: Samples) -> ModelProto:
    with TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        onnx.save(model, f"{folder}/model.onnx")
        np.savez(f"{folder}/samples.npz", **samples[:CALIBRATION].inputs)  # type: ignore[arg-type] # an argument?
        half: ModelProto = autocast.convert_to_mixed_precision(
            f"{folder}/model.onnx",
            low_precision_type="fp16",
            keep_io_types=True,
            nodes_to_exclude=[f"^{node}$" for node in kept],
            calibration_data=f"{folder}/samples.npz",
        )
    return half
