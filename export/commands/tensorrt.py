"""``tensorrt``: compile a half-precision ONNX file for TensorRT or TensorRT-RTX."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from export.commands.arguments import add_gate, gate_samples
from export.commands.recipe import recipe
from export.commands.targets import require_replaceable, require_suffix, require_targets
from runtime.errors import ConfigError, InferenceError
from training.commands.arguments import Commands, positive

if TYPE_CHECKING:
    from export.plan import BuildOptions, BuiltPlan
    from export.samples import Samples
    from runtime.device import Device

SUFFIXES = (".plan", ".engine")


def add(commands: Commands) -> None:
    parser = commands.add_parser(
        "tensorrt", help="ONNX in half precision to a plan (needs the extra `tensorrt` or `tensorrt-rtx`)"
    )
    parser.add_argument("onnx", type=Path, metavar="ONNX", help="the file that `python -m export fp16` wrote")
    parser.add_argument(
        "--output", type=Path, required=True, help="the plan to write (.plan); its manifest goes beside it as .json"
    )
    parser.add_argument(
        "--runtime",
        choices=("tensorrt", "tensorrt-rtx"),
        default="tensorrt",
        help="what will run it; tensorrt-rtx builds without a GPU (%(default)s)",
    )
    parser.add_argument("--min-batch", type=positive, default=1, help="%(default)s")
    parser.add_argument("--opt-batch", type=positive, default=16, help="the batch to be fastest at (%(default)s)")
    parser.add_argument("--max-batch", type=positive, default=32, help="at least serve's --max-batch (%(default)s)")
    parser.add_argument("--workspace-mib", type=positive, help="device memory for the layers' scratch at most")
    parser.add_argument(
        "--timing-cache", type=Path, metavar="FILE", help="read where it exists, then written (TensorRT)"
    )
    parser.add_argument(
        "--version-compatible", action="store_true", help="newer TensorRT versions may run it; can be slower (TensorRT)"
    )
    parser.add_argument(
        "--hardware-compatibility",
        choices=("none", "ampere-plus", "same-compute-capability"),
        default="none",
        help="which other GPUs may run it; can be slower (TensorRT; %(default)s)",
    )
    parser.add_argument(
        "--compute-capability",
        choices=("7.5", "8.0", "8.6", "8.9", "12.0", "12.1"),
        help="build for this kind of GPU alone; without it, for Ampere and newer (TensorRT-RTX)",
    )
    parser.add_argument("--allow-fp32", action="store_true", help="take an ONNX file in single precision")
    parser.add_argument("--layers", type=Path, metavar="FILE", help="write the inspector's JSON (needs a GPU)")
    add_gate(parser)
    parser.set_defaults(command=run, remedy="pip install 'framegate[manifest,cpu]'")


def run(options: argparse.Namespace) -> None:
    from export.plan import build_plan, read_source, unfinished
    from training.files import write_whole

    _require_targets(options)
    wanted = _build_options(options)
    device, absence = _find_device(options)
    manifest = read_source(options.onnx, wanted)
    samples = gate_samples(options, manifest.inputs)
    built = build_plan(options.onnx, manifest, wanted, device, _recipe(options))
    if options.layers and built.layers is None:
        raise ConfigError(f"--layers {options.layers}: this GPU cannot load the plan, and so not list its layers")
    proven = 0
    with unfinished(built, options.output) as draft:
        if samples is not None and built.layers is not None:
            _prove(draft, options.onnx, samples, built)
            proven = len(samples)
        if options.layers and built.layers is not None:
            write_whole(options.layers, built.layers.encode())
    _tell(options.onnx, options.output, built, proven, absence)


def _require_targets(options: argparse.Namespace) -> None:
    require_suffix("--output", options.output, SUFFIXES)
    manifest = options.output.with_suffix(".json")
    targets = {
        "--output": options.output,
        "the plan's manifest": manifest,
        "--layers": options.layers,
        "--timing-cache": options.timing_cache,
    }
    require_targets(targets, [options.onnx])
    require_replaceable("the plan's manifest", manifest, "a plan's manifest", lambda document: document["plan"])
    require_replaceable("--layers", options.layers, "a list of layers", lambda document: "Layers" in document)


def _recipe(options: argparse.Namespace) -> str:
    flags = {
        "--output": options.output,
        "--runtime": options.runtime,
        "--min-batch": options.min_batch,
        "--opt-batch": options.opt_batch,
        "--max-batch": options.max_batch,
        "--workspace-mib": options.workspace_mib,
        "--version-compatible": options.version_compatible,
        "--hardware-compatibility": options.hardware_compatibility,
        "--compute-capability": options.compute_capability,
        "--allow-fp32": options.allow_fp32,
        "--pictures": options.pictures,
        "--damaged": options.damaged,
        "--unverified": options.unverified,
    }
    return recipe("tensorrt", options.onnx, flags)


def _build_options(options: argparse.Namespace) -> "BuildOptions":
    from export.plan import BuildOptions

    return BuildOptions(
        library=options.runtime,
        min_batch=options.min_batch,
        opt_batch=options.opt_batch,
        max_batch=options.max_batch,
        workspace_mib=options.workspace_mib,
        timing_cache=options.timing_cache,
        version_compatible=options.version_compatible,
        hardware_compatibility=options.hardware_compatibility,
        compute_capability=options.compute_capability,
        allow_fp32=options.allow_fp32,
    )


def _find_device(options: argparse.Namespace) -> "tuple[Device | None, str]":
    """The GPU, or None and why there is none.

    Raises:
        ConfigError: there is none, and what is asked for needs one.
    """
    from runtime.open_device import open_device

    try:
        return open_device(), ""
    except (ConfigError, InferenceError) as error:
        if options.runtime == "tensorrt":
            raise ConfigError(f"--runtime tensorrt builds on a GPU (tensorrt-rtx builds without): {error}") from error
        if options.layers:
            raise ConfigError(
                f"--layers {options.layers}: a GPU must load the plan to list its layers: {error}"
            ) from error
        return None, str(error)


def _prove(draft: Path, onnx: Path, samples: "Samples", built: "BuiltPlan") -> None:
    """Hold the plan's answers to those of the ONNX file that it was built from."""
    from export.answers import onnx_answers, plan_answers
    from export.parity import compare, tolerances_of

    assert built.manifest.plan is not None  # build_plan fills it
    answers = plan_answers(draft, samples, built.manifest.plan.opt_batch)
    parity = compare(onnx_answers(onnx, samples), answers, built.manifest)
    parity.require(tolerances_of(built.manifest), str(onnx))


def _tell(onnx: Path, output: Path, built: "BuiltPlan", proven: int, absence: str) -> None:
    plan = built.manifest.plan
    assert plan is not None  # build_plan fills it
    print(
        f"{output}: {len(built.content) / 1e6:.1f} MB, {plan.runtime} {plan.version}, batches {plan.min_batch} to "
        f"{plan.max_batch}, fastest at {plan.opt_batch}; {built.precision}"
    )
    if proven:
        print(f"{output}: answers as its ONNX file does on {proven} samples")
    elif built.layers is not None:
        print(f"{output}: UNVERIFIED, as --unverified asked")
    else:
        print(
            f"{output}: BUILT, NEVER RUN: {absence or 'this GPU cannot load it'}. Before it serves, on the device "
            f"that will run it: python -m export verify {onnx} {output} --pictures PATH"
        )
