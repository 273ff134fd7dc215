"""Plans by TensorRT-RTX's real builder, which needs no GPU."""

import hashlib
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import TensorProto, helper
from rich.progress import Progress

from export import plan as plan_module
from export.__main__ import main
from export.inspector import Precision, float_weights, require_half
from export.manifest import attach_manifest, load_model, read_manifest, save_model, weights_digest
from export.plan import BuildOptions, build_plan, compile_onnx, read_source, unfinished
from runtime.errors import ConfigError, EngineError
from runtime.manifest import Input, parse_manifest
from runtime.open_device import require_gpu
from tests.engines import fitting_manifest
from tests.export.test_plan_gpu import convert

ROOT = Path(__file__).parents[2]
PHOTOS = str(ROOT / "demo" / "photos")
RTX = BuildOptions(library="tensorrt-rtx", opt_batch=4, max_batch=8)
Command = Callable[..., int]

pytestmark = pytest.mark.usefixtures("trt")


@pytest.fixture(scope="session")
def trt() -> Any:
    return pytest.importorskip("tensorrt_rtx", reason="needs pip install 'framegate[tensorrt-rtx]'")


@pytest.fixture(scope="session")
def half(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Path]:
    """Makes the half-precision ONNX file of an engine."""
    folder = tmp_path_factory.mktemp("half")

    def make(engine: Path) -> Path:
        path = folder / f"{engine.stem}-fp16.onnx"
        if not path.exists():
            convert(engine, path)
        return path

    return make


@pytest.fixture(scope="session")
def baseline(half: Callable[[Path], Path], shipped: Path) -> Path:
    return half(shipped)


@pytest.fixture
def tensorrt(tmp_path: Path) -> Command:
    """Runs ``python -m export tensorrt ONNX ...`` for TensorRT-RTX, writing ``engine.plan``."""

    def run(source: Path, *options: str, gate: str = "--unverified") -> int:
        output = ["--output", str(tmp_path / "engine.plan")]
        return main(["tensorrt", str(source), "--runtime", "tensorrt-rtx", *output, *gate.split(), *options])

    return run


def write(path: Path, nodes: list[onnx.NodeProto], **other: Any) -> Path:
    """An ONNX file of utility over uint8 (batch, 4, 4, 3), its manifest saying fp16 unless ``other`` does not."""
    spec = Input(name="frames", height=4, width=4)
    model = helper.make_model(
        helper.make_graph(
            nodes,
            "test",
            [helper.make_tensor_value_info("frames", TensorProto.UINT8, ["batch", 4, 4, 3])],
            [helper.make_tensor_value_info("usefulness", TensorProto.FLOAT, ["batch"])],
            [helper.make_tensor("all", TensorProto.INT64, [3], [1, 2, 3])],
        ),
        opset_imports=[helper.make_opsetid("", 20)],
        ir_version=10,
    )
    manifest = fitting_manifest(path.stem, spec=spec, **{"digest": weights_digest(model), "precision": "fp16", **other})
    attach_manifest(model, manifest, str(path))
    save_model(model, path)
    return path


def mean(source: str) -> list[onnx.NodeProto]:
    """Nodes from a half tensor (batch, height, width, 3) to the output."""
    return [
        helper.make_node("ReduceMean", [source, "all"], ["mean"], keepdims=0),
        helper.make_node("Sigmoid", ["mean"], ["squashed"]),
        helper.make_node("Cast", ["squashed"], ["usefulness"], to=TensorProto.FLOAT),
    ]


def build(engine: Path, **options: Any) -> Any:
    wanted = BuildOptions(**{**vars(RTX), **options})
    return build_plan(engine, read_source(engine, wanted), wanted, None, "make it")


@pytest.mark.parametrize("engine", sorted((ROOT / "models").glob("*.onnx")), ids=lambda path: path.stem)
def test_each_shipped_engine_becomes_a_plan_and_its_manifest(
    engine: Path, half: Callable[[Path], Path], trt: Any, tensorrt: Command, tmp_path: Path, capsys: Any
) -> None:
    """On a machine without a GPU; the command says that nothing ran it, and what will prove it."""
    source = half(engine)
    batches = "--min-batch 2 --opt-batch 4 --max-batch 8"
    assert tensorrt(source, *batches.split(), gate=f"--pictures {PHOTOS}") == 0
    content = (tmp_path / "engine.plan").read_bytes()
    manifest = parse_manifest((tmp_path / "engine.json").read_text(), "engine.json")
    original = read_manifest(source)
    assert original is not None
    assert manifest.model_copy(update={"plan": None, "provenance": original.provenance}) == original
    assert manifest.provenance.command.startswith(
        f"python -m export tensorrt {source.name} --output engine.plan --runt"
    )
    assert "--max-batch 8 --hardware-compatibility none --pictures photos" in manifest.provenance.command
    assert manifest.precision == "fp16"
    plan = manifest.plan
    assert plan is not None
    assert (plan.runtime, plan.version) == ("tensorrt-rtx", trt.__version__)
    assert (plan.gpu, plan.compute_capability) == (None, None)
    assert (plan.min_batch, plan.opt_batch, plan.max_batch) == (2, 4, 8)
    assert plan.sha256 == hashlib.sha256(content).hexdigest()
    assert plan.onnx_sha256 == hashlib.sha256(source.read_bytes()).hexdigest()
    assert len(content) < 1.75 * 2 * float_weights(load_model(source))
    out = capsys.readouterr().out
    assert "NEVER RUN" in out
    assert f"python -m export verify {source} {tmp_path / 'engine.plan'}" in out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["engine.json", "engine.plan"]


def test_a_proof_or_its_renunciation_is_due(baseline: Path, tensorrt: Command, tmp_path: Path) -> None:
    """Also where no GPU could give the proof: the command is the same everywhere."""
    assert tensorrt(baseline, gate="") == 2
    assert not list(tmp_path.iterdir())


def test_a_single_precision_file_is_refused_unless_asked_for(
    shipped: Path, tensorrt: Command, tmp_path: Path, capsys: Any
) -> None:
    """A plan that is quietly FP32 is half as fast as its owner believes."""
    assert tensorrt(shipped) == 2
    assert "python -m export fp16" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
    assert tensorrt(shipped, "--allow-fp32") == 0
    assert parse_manifest((tmp_path / "engine.json").read_text(), "").precision == "fp32"


def test_a_manifest_that_lies_about_the_precision_is_found_out(
    shipped: Path, tensorrt: Command, tmp_path: Path, capsys: Any
) -> None:
    """Nothing is written, and what was there stays."""
    model = load_model(shipped)
    manifest = read_manifest(shipped)
    assert manifest is not None
    attach_manifest(model, manifest.model_copy(update={"precision": "fp16"}), "liar")
    save_model(model, tmp_path / "liar.onnx")
    (tmp_path / "engine.plan").write_text("old")
    assert tensorrt(tmp_path / "liar.onnx") == 2
    assert "only 0 of 109 floating-point tensors are half" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["engine.plan", "liar.onnx"]
    assert (tmp_path / "engine.plan").read_text() == "old"


def test_a_plan_as_large_as_single_precision_is_refused(shipped: Path, baseline: Path) -> None:
    """Where no device can list its layers, the size of real plans of the same network tells them apart."""
    weights = float_weights(load_model(baseline))
    network = Precision(half=109, single=1)
    require_half(baseline, network, build(baseline).content, weights, None)
    require_half(baseline, network, build(baseline, compute_capability="7.5").content, weights, None)
    with pytest.raises(EngineError, match=r"19\.2 MB for weights that take 9\.3 MB"):
        require_half(baseline, network, build(shipped, allow_fp32=True).content, weights, None)


def test_an_int8_file_is_refused(tensorrt: Command, tmp_path: Path, capsys: Any) -> None:
    """Ours are for the CPU: TensorRT takes signed activations only."""
    nodes = [helper.make_node("Cast", ["frames"], ["pixels"], to=TensorProto.FLOAT16), *mean("pixels")]
    assert tensorrt(write(tmp_path / "int8.onnx", nodes, precision="int8")) == 2
    assert "fp16 file" in capsys.readouterr().err


def test_a_uint8_input_that_is_transposed_first_is_explained(tensorrt: Command, tmp_path: Path, capsys: Any) -> None:
    """The parser's own errors, less those of the missing driver, and the remedy."""
    nodes = [
        helper.make_node("Transpose", ["frames"], ["planes"], name="permute", perm=[0, 3, 1, 2]),
        helper.make_node("Cast", ["planes"], ["pixels"], to=TensorProto.FLOAT16),
        *mean("pixels"),
    ]
    assert tensorrt(write(tmp_path / "trap.onnx", nodes)) == 2
    error = capsys.readouterr().err
    assert "node 0 with name: permute and operator: Transpose" in error
    assert "first input has type UInt8" in error
    assert "cast, then transpose" in error
    assert "driver" not in error
    assert not (tmp_path / "engine.plan").exists()


def test_an_operator_that_the_library_lacks_is_named(tensorrt: Command, tmp_path: Path, capsys: Any) -> None:
    """Each of the parser's errors is in the text."""
    nodes = [
        helper.make_node("Cast", ["frames"], ["pixels"], to=TensorProto.FLOAT16),
        helper.make_node("Det", ["pixels"], ["determinant"], name="the_determinant"),
        *mean("pixels"),
    ]
    assert tensorrt(write(tmp_path / "det.onnx", nodes)) == 2
    error = capsys.readouterr().err
    assert "the_determinant" in error
    assert "Det" in error


def test_too_small_a_workspace_is_said(baseline: Path, tensorrt: Command, tmp_path: Path, capsys: Any) -> None:
    """The flag reaches the builder; a larger one builds."""
    assert tensorrt(baseline, "--workspace-mib", "1") == 2
    assert "--workspace-mib 1 is too little" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
    assert tensorrt(baseline, "--workspace-mib", "1024") == 0


def test_a_plan_for_turing_says_so(baseline: Path, tensorrt: Command, tmp_path: Path) -> None:
    """TensorRT-RTX builds for Ampere and newer unless a compute capability is named."""
    assert tensorrt(baseline, "--compute-capability", "7.5") == 0
    plan = parse_manifest((tmp_path / "engine.json").read_text(), "").plan
    assert plan is not None
    assert plan.compute_capability == "7.5"
    assert plan.gpu is None


def test_tensorrt_rtx_lacks_the_lean_runtime_indeed(baseline: Path, trt: Any) -> None:
    """A version-compatible plan; what its library does with the other flags, the next test shows."""
    full = BuildOptions(library="tensorrt", version_compatible=True)
    specs = read_source(baseline, full).inputs
    with pytest.raises(EngineError, match="libnvinfer_lean"):
        compile_onnx(trt, baseline.read_bytes(), baseline, specs, full)


def test_settings_of_full_tensorrt_go_through_the_binding(
    baseline: Path, trt: Any, tmp_path: Path, caplog: Any
) -> None:
    """TensorRT-RTX has TensorRT's own API and ignores these settings: calls and timing cache file are the real ones."""
    cache = tmp_path / "caches" / "gpu.cache"
    options = BuildOptions(library="tensorrt", timing_cache=cache, hardware_compatibility="ampere-plus")
    specs = read_source(baseline, options).inputs
    with pytest.warns(DeprecationWarning, match="Timing cache operations are no-ops"):
        content, precision = compile_onnx(trt, baseline.read_bytes(), baseline, specs, options)
    assert content[:4] == b"vtrt"
    assert precision.share > 0.9
    assert "setHardwareCompatibilityLevel" in caplog.text
    written = cache.read_bytes()
    assert written
    assert list(cache.parent.iterdir()) == [cache]
    with pytest.warns(DeprecationWarning, match="no-ops"):
        compile_onnx(trt, baseline.read_bytes(), baseline, specs, options)
    assert cache.read_bytes() == written


def test_ctrl_c_stops_a_build(baseline: Path, trt: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the builder's next step; what interrupts it is not taken for its failure."""
    steps: list[int] = []

    def interrupt(*_: Any, completed: int) -> None:
        steps.append(completed)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Progress, "update", interrupt)
    with pytest.raises(KeyboardInterrupt):
        compile_onnx(trt, baseline.read_bytes(), baseline, read_source(baseline, RTX).inputs, RTX)
    assert steps == [1]


def test_full_tensorrt_needs_a_gpu(baseline: Path, trt: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its builder times kernels; without a driver it would fail without a word."""
    monkeypatch.setattr(plan_module, "load_library", lambda _: trt)
    options = BuildOptions(library="tensorrt")
    with pytest.raises(ConfigError, match="builds on a GPU"):
        build_plan(baseline, read_source(baseline, options), options, None, "make it")


def test_files_that_are_no_engines_are_refused(tensorrt: Command, tmp_path: Path, shipped: Path, capsys: Any) -> None:
    """Missing, not ONNX, without a manifest, and an output that serve would not take for a plan."""
    (tmp_path / "noise.onnx").write_bytes(b"noise" * 100)
    model = load_model(shipped)
    del model.metadata_props[:]
    save_model(model, tmp_path / "bare.onnx")
    for name, reason in {"absent": "No such file", "noise": "not an ONNX", "bare": "export manifest"}.items():
        assert tensorrt(tmp_path / f"{name}.onnx") == 2
        assert reason in capsys.readouterr().err
    assert main(["tensorrt", str(shipped), "--output", str(tmp_path / "engine.trt"), "--unverified"]) == 2
    assert ".plan or .engine" in capsys.readouterr().err


def test_a_plan_that_fails_its_proof_is_not_written(baseline: Path, tmp_path: Path) -> None:
    """Neither the plan nor its manifest; those that were there stay."""
    built = build(baseline)
    path = tmp_path / "engine.plan"
    path.write_text("old plan")
    path.with_suffix(".json").write_text("old manifest")

    def fail(draft: Path) -> None:
        assert draft.read_bytes() == built.content
        assert parse_manifest(draft.with_suffix(".json").read_text(), "") == built.manifest
        raise EngineError("not what was trained")

    with pytest.raises(EngineError), unfinished(built, path) as draft:
        fail(draft)
    assert path.read_text() == "old plan"
    assert path.with_suffix(".json").read_text() == "old manifest"
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize(("flags", "reason"), [("--layers list.json", "--layers"), ("--runtime tensorrt", "builds on")])
def test_what_needs_a_gpu_is_refused_without(
    flags: str, reason: str, baseline: Path, tensorrt: Command, tmp_path: Path, capsys: Any
) -> None:
    """TensorRT times kernels as it builds; the inspector lists the layers of a plan that a device has loaded."""
    without_gpu()
    assert tensorrt(baseline, *flags.split()) == 2
    error = capsys.readouterr().err
    assert reason in error
    assert "no GPU" in error
    assert not list(tmp_path.iterdir())


def without_gpu() -> None:
    try:
        require_gpu()
    except ConfigError:
        return
    pytest.skip("there is a GPU here")
