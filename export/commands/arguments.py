"""What several commands' parsers and beginnings share."""

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.errors import ConfigError
from runtime.manifest import Input, Manifest, Precision, Tolerances

if TYPE_CHECKING:
    from onnx import ModelProto

    from export.samples import Samples

BASELINE = Path("models/utility-baseline.onnx")


def size(text: str) -> tuple[int, int]:
    """``AxB`` as (A, B), each at least 1."""
    if not re.fullmatch(r"[1-9]\d{0,4}x[1-9]\d{0,4}", text):
        raise argparse.ArgumentTypeError(f"{text}: write two numbers, the height's first, such as 224x320")
    first, second = map(int, text.split("x"))
    return first, second


def add_gate(parser: argparse.ArgumentParser, default: str = "") -> None:
    """Let the user name the pictures that the new engine is proven on; ``default`` says which are taken otherwise."""
    parser.add_argument(
        "--pictures",
        type=Path,
        nargs="+",
        default=[],
        metavar="PATH",
        help="pictures, or folders of them, on which the engine must answer as its reference does"
        + (f" ({default})" if default else ""),
    )
    parser.add_argument("--damaged", action="store_true", help="prove it on damaged copies of each picture too")
    parser.add_argument("--unverified", action="store_true", help="write the engine without proving anything")


def add_mask_iou(parser: argparse.ArgumentParser, default: float) -> None:
    """Let the user say what a saliency head's masks are held to."""
    parser.add_argument(
        "--mask-iou",
        type=float,
        metavar="IOU",
        help=f"of an engine that gives a saliency map: intersection over union of its masks with the float32 "
        f"engine's, the mean over pictures, at least; kept in the manifest ({default:g})",
    )


def given_tolerances(manifest: Manifest, precision: Precision, **given: float | None) -> Tolerances:
    """Those that an engine of ``precision`` is held to: the precision's, or what the user has ``given`` (not None).

    Raises:
        ConfigError: a number that is not in 0..1, or one for masks where no head gives a map.
    """
    from export.parity import default_tolerances

    for name, value in given.items():
        option = f"--{name.replace('_', '-')}"
        if value is not None and not 0 <= value <= 1:
            raise ConfigError(f"{option} {value}: it is from 0 to 1")
        if value is not None and name == "mask_iou" and all(head.kind != "saliency" for head in manifest.heads):
            kinds = ", ".join(head.kind for head in manifest.heads)
            raise ConfigError(f"{option} {value}: {manifest.name} gives no saliency map, only {kinds}; leave it out")
    chosen = {name: value for name, value in given.items() if value is not None}
    return default_tolerances(precision, manifest.heads).model_copy(update=chosen)


def gate_samples(options: argparse.Namespace, specs: Sequence[Input]) -> "Samples | None":
    """The samples that ``add_gate``'s options name; None where the user wants no proof.

    Raises:
        ConfigError: neither pictures nor ``--unverified``, both, or pictures that cannot be read.
    """
    if bool(options.pictures) == options.unverified:
        raise ConfigError(
            "give --pictures PATH... (real ones, best from the cameras it will judge) to prove the engine on, "
            "or --unverified to write it without proof; not both"
        )
    if options.unverified:
        return None
    import export.answers  # noqa: F401 - a package that the proof needs is missed before the long work
    from export.samples import load_samples

    return load_samples(options.pictures, specs, damaged=options.damaged)


def open_float32(path: Path) -> "tuple[ModelProto, Manifest]":
    """The engine that one of lower precision is made of, each of its nodes with a name of its own.

    Raises:
        EngineError: the file or its manifest cannot be read.
        ConfigError: it is of lower precision already.
    """
    from export.graph import name_nodes
    from export.manifest import load_model, read_model_manifest

    model = load_model(path)
    manifest = read_model_manifest(model, str(path))
    if manifest.precision != "fp32":
        raise ConfigError(f"{path} is {manifest.precision}; give the float32 engine that it was made from")
    name_nodes(model)
    return model, manifest
