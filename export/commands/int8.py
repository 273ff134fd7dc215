"""``int8``: an ONNX file in float32 as one in 8 bits."""

import argparse
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from export.commands.arguments import add_mask_iou, given_tolerances, open_float32
from export.commands.recipe import recipe
from export.commands.targets import ONNX, require_suffix, require_targets
from runtime.errors import ConfigError
from runtime.manifest import Tolerances
from training.commands.arguments import Commands

if TYPE_CHECKING:
    from export.parity import OutputParity, Parity
    from export.quantize import Int8, Pictures
    from runtime.manifest import Input

HELD_OUT = 3
"""One picture of so many is held out of calibration."""
SEED = 0


def add(commands: Commands) -> None:
    parser = commands.add_parser("int8", help="an ONNX file in float32 to one in 8 bits, for CPUs")
    parser.add_argument("engine", type=Path, metavar="ONNX", help="in float32, with its manifest")
    parser.add_argument("--output", type=Path, required=True, help="the ONNX file to write")
    parser.add_argument(
        "--pictures",
        type=Path,
        nargs="+",
        required=True,
        metavar="PATH",
        help="real pictures, or folders of them, best from the cameras it will judge: two thirds calibrate, one third "
        "is held out, and on both the new engine must answer as the old one",
    )
    parser.add_argument(
        "--damaged",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="damaged copies of each picture too (default: yes, for a gateway is shown such)",
    )
    parser.add_argument(
        "--method",
        choices=("percentile", "entropy", "minmax"),
        default="percentile",
        help="how a tensor's range is chosen (%(default)s)",
    )
    parser.add_argument(
        "--keep",
        nargs="+",
        action="extend",
        default=[],
        metavar="NODE",
        help="layers to keep in float32 from the start",
    )
    parser.add_argument(
        "--seven-bits",
        action="store_true",
        help="weights of 7 bits: for CPUs without VNNI (x86 before 2019), where 8 bits overflow",
    )
    parser.add_argument("--rank-correlation", type=float, metavar="R", help="Spearman's, at least (0.99)")
    parser.add_argument("--flips", type=float, metavar="SHARE", help="of decisions, at most (0.02)")
    add_mask_iou(parser, 0.95)
    parser.add_argument(
        "--unverified",
        action="store_true",
        help="write the engine whatever it answers, as long as serving can read it: never NaN, nor beyond its range",
    )
    parser.set_defaults(command=run, remedy="pip install 'framegate[cpu,manifest]'")


def run(options: argparse.Namespace) -> None:
    from export.manifest import attach_manifest, save_model
    from export.quantize import fit_int8, int8_manifest, require_layers

    require_suffix("--output", options.output, ONNX)
    require_targets({"--output": options.output}, [options.engine])
    model, manifest = open_float32(options.engine)
    require_layers(model, options.keep)
    given = {"rank_correlation": options.rank_correlation, "flips": options.flips, "mask_iou": options.mask_iou}
    tolerances = given_tolerances(manifest, "int8", **given)
    pictures = split_pictures(options.pictures, manifest.inputs, damaged=options.damaged)
    fitted = fit_int8(
        model,
        manifest,
        pictures,
        Tolerances() if options.unverified else tolerances,
        method=options.method,
        keep=options.keep,
        seven_bits=options.seven_bits,
    )
    attach_manifest(
        fitted.model, int8_manifest(manifest, fitted.model, tolerances, _recipe(options)), str(options.output)
    )
    save_model(fitted.model, options.output)
    _tell(options, fitted, pictures)


def split_pictures(paths: list[Path], specs: "Sequence[Input]", *, damaged: bool) -> "Pictures":
    """Split by picture: a damaged copy, or the same picture under another name, is never on the other side.

    Raises:
        ConfigError: too few pictures for a ranking on both sides, or one that cannot be read.
    """
    import numpy as np

    from export.quantize import Pictures
    from export.samples import find_pictures, load_samples

    found = list({hashlib.sha256(path.read_bytes()).digest(): path for path in find_pictures(paths)}.values())
    if len(found) < 2:
        raise ConfigError(f"--pictures: {found[0]} alone cannot both calibrate and be held out; give more, 100 at best")
    if not damaged and len(found) < 2 * HELD_OUT:
        raise ConfigError(
            f"--pictures: of {len(found)} different ones, one would be held out, and one sample ranks nothing; give "
            f"{2 * HELD_OUT} or more, 100 at best, or leave --no-damaged out"
        )
    order = np.random.default_rng(SEED).permutation(len(found))
    held_out = max(1, len(found) // HELD_OUT)
    sides = [[found[i] for i in sorted(side)] for side in (order[held_out:], order[:held_out])]
    return Pictures(*(load_samples(side, specs, damaged=damaged) for side in sides))


def _recipe(options: argparse.Namespace) -> str:
    flags = {
        "--output": options.output,
        "--pictures": options.pictures,
        "--no-damaged": not options.damaged,
        "--method": options.method,
        "--keep": options.keep,
        "--seven-bits": options.seven_bits,
        "--unverified": options.unverified,
        "--rank-correlation": options.rank_correlation,
        "--flips": options.flips,
        "--mask-iou": options.mask_iou,
    }
    return recipe("int8", options.engine, flags)


def _tell(options: argparse.Namespace, fitted: "Int8", pictures: "Pictures") -> None:
    for layer in fitted.kept:
        print(f"kept in float32: {layer}")
    for what, parity, count in (
        ("calibration", fitted.calibration, len(pictures.calibration)),
        ("held-out", fitted.held_out, len(pictures.held_out)),
    ):
        print(f"{what} ({count} samples): {_in_words(parity)}")
    print(f"{options.output}: {options.output.stat().st_size / 1e6:.1f} MB" + ", unverified" * options.unverified)


def _in_words(parity: "Parity") -> str:
    return "; ".join(f"{one.output}: {', '.join(_measures(one))}" for one in parity.outputs if one.has_head)


def _measures(one: "OutputParity") -> list[str]:
    measures = [] if one.rank_correlation is None else [f"rank correlation {one.rank_correlation:.4f}"]
    measures += [] if one.flips is None else [f"{100 * one.flips:.1f} % of decisions flip"]
    measures += [] if one.mask_iou is None else [f"masks' IoU {one.mask_iou:.4f}"]
    return [*measures, f"difference {one.difference:.2g} at most"]
