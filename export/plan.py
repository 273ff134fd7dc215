"""TensorRT plans: the half-precision ONNX file, compiled.

One way for TensorRT 10.16, TensorRT 11 and TensorRT-RTX: a strongly typed network, whose precision is the ONNX
graph's. No precision is asked of the builder, and what it built is held to what was asked (``export.inspector``).
"""

import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

from export.build_progress import build_progress
from export.graph import outputs
from export.inspector import Precision, float_weights, inspect_engine, precision_of_network, require_half
from export.manifest import check_manifest, derived_manifest, load_model, read_model_manifest
from runtime.device import Device
from runtime.errors import ConfigError, EngineError
from runtime.manifest import Input, Manifest, Plan
from runtime.tensorrt_library import Library, library_logger, load_library
from training.files import write_whole

HardwareCompatibility = Literal["none", "ampere-plus", "same-compute-capability"]
ComputeCapability = Literal["7.5", "8.0", "8.6", "8.9", "12.0", "12.1"]

NO_DRIVER = "cudaError 35"
"""TensorRT-RTX's parser adds it to every error on a machine without a driver; nothing follows from it there."""


@dataclass(frozen=True)
class BuildOptions:
    """What a plan is built for.

    Raises:
        ConfigError: the batches are out of order, or the library lacks what is asked for.
    """

    library: Library
    min_batch: int = 1
    opt_batch: int = 16
    max_batch: int = 32
    workspace_mib: int | None = None
    """None leaves the library its default, all of the device's memory."""
    timing_cache: Path | None = None
    """Read where it exists, written after the build, whatever the plan then answers: its times are as good."""
    version_compatible: bool = False
    hardware_compatibility: HardwareCompatibility = "none"
    compute_capability: ComputeCapability | None = None
    """TensorRT-RTX only; None: every Ampere or newer device."""
    allow_fp32: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.min_batch <= self.opt_batch <= self.max_batch:
            raise ConfigError(
                f"--min-batch {self.min_batch}, --opt-batch {self.opt_batch}, --max-batch {self.max_batch}: "
                "1 <= min <= opt <= max is due"
            )
        if self.library == "tensorrt" and self.compute_capability:
            raise ConfigError(
                f"--compute-capability {self.compute_capability}: TensorRT builds for the GPU at hand; build on such "
                "a device, or see --hardware-compatibility"
            )
        if self.library == "tensorrt-rtx":
            self._refuse_what_rtx_lacks()

    def _refuse_what_rtx_lacks(self) -> None:
        if self.timing_cache:
            raise ConfigError(
                "--timing-cache: TensorRT-RTX has none (it times its kernels on the device that runs the plan): "
                "leave it out"
            )
        if self.hardware_compatibility != "none":
            raise ConfigError(
                f"--hardware-compatibility {self.hardware_compatibility}: TensorRT-RTX has no such levels; its plans "
                "run on every Ampere or newer RTX device, or on the one that --compute-capability names: leave it out"
            )
        if self.version_compatible:
            raise ConfigError(
                "--version-compatible: TensorRT-RTX comes without the lean runtime that such a plan needs: "
                "leave it out, and build the plan anew with each version"
            )


@dataclass(frozen=True)
class BuiltPlan:
    """A plan in memory, and what is known of it."""

    content: bytes
    manifest: Manifest
    precision: Precision
    layers: str | None
    """The inspector's JSON, None where no device could load the plan."""


def read_source(onnx: Path, options: BuildOptions) -> Manifest:
    """The manifest of an ONNX file that a plan can be built from.

    Raises:
        EngineError: the file cannot be read, has no manifest or one that does not fit, has outputs that no head
            reads, or is not in half precision.
    """
    model = load_model(onnx)
    manifest = read_model_manifest(model, str(onnx))
    check_manifest(model, manifest, str(onnx))
    unread = sorted({spec.name for spec in outputs(model)} - {head.output for head in manifest.heads})
    if unread:
        raise EngineError(
            f"{onnx}: no head reads its output {', '.join(map(repr, unread))}, and serving takes no such plan. "
            "Export the network without it"
        )
    if manifest.precision == "int8":
        raise EngineError(
            f"{onnx}: an INT8 engine for the CPU (unsigned activations), which TensorRT does not take. "
            "Build the plan from the fp16 file"
        )
    if manifest.precision == "fp32" and not options.allow_fp32:
        raise EngineError(
            f"{onnx}: single precision (fp32), and so would its plan be. Convert it first: "
            f"python -m export fp16 {onnx} --output HALF.onnx; or insist with --allow-fp32"
        )
    return manifest


def build_plan(onnx: Path, manifest: Manifest, options: BuildOptions, device: Device | None, command: str) -> BuiltPlan:
    """Compile an ONNX file.

    Args:
        onnx: in half precision, from ``python -m export fp16``.
        manifest: its own, as ``read_source`` gives it.
        options: see there.
        device: the GPU; None where there is none, which only TensorRT-RTX can do without.
        command: what makes the plan anew.

    Raises:
        ConfigError: there is no GPU where the library needs one.
        EngineError: the library is not installed; it cannot parse the file (the text has each of its errors) or
            cannot build it; or the plan is not in the half precision that the manifest says.
    """
    trt = load_library(options.library)
    if options.library == "tensorrt" and device is None:
        raise ConfigError("--runtime tensorrt builds on a GPU, and there is none; tensorrt-rtx builds without")
    source = onnx.read_bytes()
    content, precision = compile_onnx(trt, source, onnx, manifest.inputs, options)
    layers = None if device is None else inspect_engine(trt, library_logger(trt), content)
    if options.library == "tensorrt" and layers is None:
        raise EngineError(f"{onnx}: TensorRT cannot load what it built: {_complaints(library_logger(trt))}")
    if manifest.precision == "fp16":
        require_half(onnx, precision, content, float_weights(load_model(onnx)), layers)
    plan = Plan(
        runtime=options.library,
        version=trt.__version__,
        gpu=device.name if device and options.library == "tensorrt" else None,
        compute_capability=_compute_capability(options, device),
        hardware_compatibility=options.hardware_compatibility,
        version_compatible=options.version_compatible,
        min_batch=options.min_batch,
        opt_batch=options.opt_batch,
        max_batch=options.max_batch,
        sha256=hashlib.sha256(content).hexdigest(),
        onnx_sha256=hashlib.sha256(source).hexdigest(),
    )
    return BuiltPlan(content, derived_manifest(manifest, command, plan=plan), precision, layers)


@contextmanager
def unfinished(built: BuiltPlan, path: Path) -> Iterator[Path]:
    """The plan and its manifest in a folder beside ``path``, to be proven; they move to ``path`` at the end.

    Where the block raises, nothing is left and what was at ``path`` stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".plan-", dir=path.parent) as folder:
        draft = Path(folder) / path.name
        draft.write_bytes(built.content)
        draft.with_suffix(".json").write_text(built.manifest.model_dump_json(indent=2) + "\n")
        yield draft
        os.replace(draft.with_suffix(".json"), path.with_suffix(".json"))
        os.replace(draft, path)


def compile_onnx(
    trt: Any, source: bytes, onnx: Path, specs: Sequence[Input], options: BuildOptions
) -> tuple[bytes, Precision]:
    """The plan, and the precision of the network that it was made of; ``source`` is the file's content.

    Raises:
        ConfigError: the timing cache or the compute capability does not fit.
        EngineError: see ``build_plan``.
    """
    logger = library_logger(trt)
    logger.errors.clear()
    builder = _builder(trt, logger)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, logger)  # holds the weights: it must live until the plan is built
    if not parser.parse(source, str(onnx)):
        raise EngineError(f"{onnx}: {options.library} cannot parse it: {_parser_errors(parser, logger)}")
    config = builder.create_builder_config()
    _configure(trt, config, options)
    profile = builder.create_optimization_profile()
    batches = (options.min_batch, options.opt_batch, options.max_batch)
    for spec in specs:
        profile.set_shape(spec.name, *((batch, *spec.shape) for batch in batches))
    if config.add_optimization_profile(profile) < 0:
        raise EngineError(f"{onnx}: {options.library} refuses the batches: {_complaints(logger)}")
    timing_cache = _attach_timing_cache(config, options.timing_cache)
    with build_progress(trt) as config.progress_monitor:
        plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise EngineError(_build_failure(onnx, options, _complaints(logger)))
    if timing_cache is not None and options.timing_cache is not None:
        write_whole(options.timing_cache, bytes(timing_cache.serialize()))
    return bytes(plan), precision_of_network(trt, network)


def _builder(trt: Any, logger: Any) -> Any:
    try:
        return trt.Builder(logger)
    except TypeError as error:  # the binding's way to say that the library gave it nothing
        raise EngineError(
            f"TensorRT {trt.__version__} cannot start its builder: {_complaints(logger)}. "
            "It needs the NVIDIA driver of its CUDA version"
        ) from error


def _configure(trt: Any, config: Any, options: BuildOptions) -> None:
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    config.clear_flag(trt.BuilderFlag.TF32)  # a node is kept single for its digits, and TF32 has no more than half
    if options.workspace_mib is not None:
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, options.workspace_mib << 20)
    if options.version_compatible:
        config.set_flag(trt.BuilderFlag.VERSION_COMPATIBLE)
    if options.hardware_compatibility == "ampere-plus":
        config.hardware_compatibility_level = trt.HardwareCompatibilityLevel.AMPERE_PLUS
    if options.hardware_compatibility == "same-compute-capability":
        config.hardware_compatibility_level = trt.HardwareCompatibilityLevel.SAME_COMPUTE_CAPABILITY
    if options.compute_capability is not None:
        wanted = trt.ComputeCapability.__members__[f"SM{options.compute_capability.replace('.', '')}"]
        config.num_compute_capabilities = 1
        if not config.set_compute_capability(wanted, 0):
            raise ConfigError(f"--compute-capability {options.compute_capability}: refused by {trt.__version__}")


def _attach_timing_cache(config: Any, path: Path | None) -> Any:
    if path is None:
        return None
    timing_cache = config.create_timing_cache(path.read_bytes() if path.exists() else b"")
    if timing_cache is None or not config.set_timing_cache(timing_cache, ignore_mismatch=False):
        raise ConfigError(f"--timing-cache {path}: of another GPU or version, or broken; delete it or name another")
    return timing_cache


def _compute_capability(options: BuildOptions, device: Device | None) -> str | None:
    if options.library == "tensorrt-rtx" or device is None:
        return options.compute_capability
    return "{}.{}".format(*device.compute_capability)


def _parser_errors(parser: Any, logger: Any) -> str:
    errors = [str(parser.get_error(index)) for index in range(parser.num_errors)]
    lines = [line for error in errors for line in error.splitlines() if NO_DRIVER not in line]
    text = "; ".join(lines) or _complaints(logger)
    if "UInt8" in text:
        text += ". A uint8 input must meet Cast before any other node: cast, then transpose (docs/engines.md)"
    return text


def _build_failure(onnx: Path, options: BuildOptions, complaints: str) -> str:
    remedy = ""
    if options.workspace_mib is not None and "OutOfMemory" in complaints:
        remedy = f". --workspace-mib {options.workspace_mib} is too little for it: raise it or leave it out"
    return f"{onnx}: {options.library} cannot build it: {complaints}{remedy}"


def _complaints(logger: Any) -> str:
    return "; ".join(line for line in logger.errors if NO_DRIVER not in line) or "it does not say why"
