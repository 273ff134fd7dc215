"""``python -m export verify``: the table, the JSON and the exit code."""

import hashlib
import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import numpy_helper

from export.__main__ import main
from export.manifest import attach_manifest, load_model, save_model, weights_digest
from runtime import open_device
from runtime.manifest import METADATA_KEY, Manifest, Plan, Tolerances
from tests.engines import make_engine
from tests.export.conftest import ROOT

PHOTOS = str(ROOT / "demo" / "photos")


@pytest.fixture
def reference(tmp_path: Path) -> Path:
    return sound(make_engine(tmp_path / "reference.onnx", "utility", "quality"))


def sound(path: Path, **changes: Any) -> Path:
    """Give an engine of ``tests.engines`` its outputs' shapes and weights' digest; ``changes`` go to its manifest."""
    model = load_model(path)
    text = next(entry.value for entry in model.metadata_props if entry.key == METADATA_KEY)
    manifest = Manifest.model_validate_json(text).model_copy(update={"digest": weights_digest(model), **changes})
    for value in model.graph.output:
        shape = value.type.tensor_type.shape
        del shape.dim[:]
        for size in ("batch",) if value.name == "usefulness" else ("batch", 5):
            shape.dim.add(**{"dim_param" if isinstance(size, str) else "dim_value": size})
    attach_manifest(model, manifest, "test")
    save_model(model, path)
    return path


def brighter(reference: Path, by: float, **changes: Any) -> Path:
    """The reference with another idea of white, its manifest changed."""
    model = load_model(reference)
    [white] = [tensor for tensor in model.graph.initializer if tensor.name == "white"]
    white.CopyFrom(numpy_helper.from_array(np.array(255 / by, np.float32), "white"))
    path = reference.with_name(f"{changes.get('precision', 'fp32')}-{by}.onnx")
    save_model(model, path)
    return sound(path, **changes)


def plan_file(reference: Path) -> Path:
    """A plan by its name, hash and manifest; its bytes no library would take."""
    plan = reference.with_name("some.plan")
    plan.write_bytes(b"not for this machine")
    text = load_model(reference).metadata_props[0].value
    about = Plan(
        runtime="tensorrt",
        version="10.16.1.11",
        gpu="NVIDIA H200",
        compute_capability="9.0",
        min_batch=1,
        opt_batch=8,
        max_batch=16,
        sha256=hashlib.sha256(plan.read_bytes()).hexdigest(),
        onnx_sha256="0" * 64,
    )
    manifest = Manifest.model_validate_json(text).model_copy(update={"plan": about, "precision": "fp16"})
    plan.with_suffix(".json").write_text(manifest.model_dump_json())
    return plan


def test_equal_engines_pass(reference: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 0; a line for each output in the table, everything measured in the JSON."""
    report = tmp_path / "report.json"

    code = main(
        ["verify", str(reference), str(reference), "--pictures", PHOTOS, "--damaged", "--json", str(report)],
    )

    text = capsys.readouterr().out
    written = json.loads(report.read_text())
    assert code == 0
    assert text.count("passes") == 2
    assert "60 samples" in text
    assert (written["schema"], written["pictures"]) == ("framegate/parity/1", 60)
    [engine] = written["engines"]
    assert (engine["passed"], engine["faults"], engine["tolerances"]) == (True, [], {"difference": 1e-4})
    assert [one["kind"] for one in engine["outputs"]] == ["utility", "quality"]
    assert all(one["difference"] == 0 and one["rank_correlation"] == 1 for one in engine["outputs"])


def test_an_engine_beyond_its_tolerances_fails(
    reference: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 1; the others are still measured, and the text names the engine, the output and the measure."""
    report = tmp_path / "report.json"
    far = brighter(reference, 1.1)

    code = main(
        ["verify", str(reference), str(far), str(reference), "--pictures", PHOTOS, "--json", str(report)],
    )

    captured = capsys.readouterr()
    failed, passed = json.loads(report.read_text())["engines"]
    assert code == 1
    assert "fp32-1.1.onnx: output 'usefulness': difference 0.0" in captured.err
    assert "fails" in captured.out
    assert (failed["passed"], passed["passed"]) == (False, True)


def test_tolerances_are_those_in_the_manifest(reference: Path) -> None:
    """The same change passes where the manifest allows it, and is judged by its precision where it says nothing."""
    command = partial(_verify, reference)

    assert command(brighter(reference, 1.002)) == 1
    assert command(brighter(reference, 1.002, precision="fp16")) == 0
    assert command(brighter(reference, 1.004, precision="fp16", tolerances=Tolerances(difference=1e-3))) == 1
    assert command(brighter(reference, 1.1, tolerances=Tolerances(difference=0.2))) == 0


def _verify(reference: Path, candidate: Path, *options: str) -> int:
    return main(["verify", str(reference), str(candidate), "--pictures", PHOTOS, *options])


def test_a_plan_without_a_gpu_is_left_out_visibly(
    reference: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """ "not run" and why, in the table; a failure only where every engine is required."""
    monkeypatch.setattr(open_device, "require_gpu", partial(open_device.require_gpu, "libcuda-is-not-here.so"))
    plan = plan_file(reference)

    assert _verify(reference, plan) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "not run" in told
    assert _verify(reference, plan, "--require-all") == 1
    assert "some.plan: not run: no GPU" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("absent.onnx", None, "No such file"),
        ("broken.onnx", b"what is this", "not an ONNX"),
        ("engine.pt", b"a pickle", "an engine is an .onnx file"),
        ("alone.plan", b"a plan without its manifest", "alone.json"),
    ],
)
def test_an_engine_that_cannot_be_read(
    reference: Path, name: str, content: bytes | None, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 2, before anything is run; a broken plan is no "not run"."""
    candidate = reference.with_name(name)
    if content is not None:
        candidate.write_bytes(content)

    assert _verify(reference, candidate) == 2
    assert said in capsys.readouterr().err


def test_engines_of_other_outputs_are_not_compared(reference: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A head that the reference lacks is an error."""
    utility = sound(make_engine(reference.with_name("utility.onnx"), "utility"))

    assert _verify(utility, reference) == 2
    assert "the reference has no output 'opinions'" in capsys.readouterr().err


def test_a_checkpoint_is_the_reference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """PyTorch, ONNX in float32 and in half precision: the whole way, on real pictures and damaged ones."""
    reason = "needs the export extra (pip install 'framegate[export]')"
    for package in ("torch", "onnxscript", "safetensors"):
        pytest.importorskip(package, reason=reason)
    from tests.export.networks import pyramid, pyramid_checkpoint  # noqa: PLC0415
    from training.checkpoint import save_checkpoint  # noqa: PLC0415
    from training.models import ARCHITECTURES  # noqa: PLC0415

    monkeypatch.setitem(ARCHITECTURES, "pyramid", pyramid)
    save_checkpoint(tmp_path / "net", pyramid_checkpoint(dynamic_size=False))
    full, half, report = tmp_path / "net.onnx", tmp_path / "half.onnx", tmp_path / "report.json"
    pictures = ["--pictures", PHOTOS, "--damaged"]

    assert main(["onnx", str(tmp_path / "net"), "--output", str(full), *pictures]) == 0
    assert main(["fp16", str(full), "--output", str(half), *pictures]) == 0
    assert main(["verify", str(tmp_path / "net"), str(full), str(half), *pictures, "--json", str(report)]) == 0

    in_full, in_half = json.loads(report.read_text())["engines"]
    assert (in_full["precision"], in_half["precision"]) == ("fp32", "fp16")
    assert all(one["difference"] <= 1e-4 for one in in_full["outputs"])
    assert all(1e-6 < one["difference"] <= 5e-3 for one in in_half["outputs"])


def test_a_head_that_was_lost_or_changed_fails(
    reference: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Its scores may be the same: its decisions are not. Exit 1, said in the table and in the report."""
    utility, quality = Manifest.model_validate_json(load_model(reference).metadata_props[0].value).heads
    lost = brighter(reference, 1.0, heads=(utility,))
    report = tmp_path / "report.json"

    assert _verify(reference, lost, "--json", str(report)) == 1
    assert "head 'quality' of the reference is not in its manifest" in capsys.readouterr().err
    assert json.loads(report.read_text())["engines"][0]["passed"] is False

    changed = brighter(reference, 1.0, heads=(utility.model_copy(update={"threshold": 0.3}), quality))
    assert _verify(reference, changed) == 1
    assert "with threshold 0.3, the reference's of output 'usefulness' with threshold 0.5" in capsys.readouterr().err

    assert _verify(reference, brighter(reference, 1.0)) == 0


def test_a_digest_that_is_not_the_weights_is_found_out(reference: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Decisions carry the digest: it must be of the weights that made them."""
    model = load_model(reference)
    [white] = [tensor for tensor in model.graph.initializer if tensor.name == "white"]
    white.CopyFrom(numpy_helper.from_array(np.array(255.001, np.float32), "white"))
    other = reference.with_name("other.onnx")
    save_model(model, other)

    assert _verify(reference, other) == 2
    assert "digest is sha256" in capsys.readouterr().err


def test_the_report_replaces_reports_alone(reference: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A checkpoint's or a plan's JSON is not written over, nor one of the engines; an older report is."""
    report = reference.with_name("report.json")
    for _ in range(2):
        assert _verify(reference, reference, "--json", str(report)) == 0

    report.write_text('{"format": "framegate/checkpoint/1"}')
    assert _verify(reference, reference, "--json", str(report)) == 2
    assert "is not such a report" in capsys.readouterr().err
    assert report.read_text() == '{"format": "framegate/checkpoint/1"}'
    assert _verify(reference, reference, "--json", str(reference.with_suffix(".json"))) == 2
    assert "which is read" in capsys.readouterr().err
    assert _verify(reference, reference, "--json", str(reference.parent)) == 2
    assert "is a folder" in capsys.readouterr().err


def test_one_picture_ranks_nothing(reference: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Even an engine that answers it exactly: the text says what to give."""
    ranked = brighter(reference, 1.0, tolerances=Tolerances(rank_correlation=0.9))
    one = next(Path(PHOTOS).glob("*.jpg"))

    assert main(["verify", str(reference), str(ranked), "--pictures", str(one)]) == 1
    assert "one sample ranks nothing; give more pictures" in capsys.readouterr().err
    assert _verify(reference, ranked) == 0


def test_an_engine_of_another_size_is_held_to_its_checkpoint_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the network takes any size, it is shown the pictures at each engine's own; so is an open ONNX graph."""
    for package in ("torch", "onnxscript", "safetensors"):
        pytest.importorskip(package, reason="needs the export extra (pip install 'framegate[export]')")
    from tests.export.networks import pyramid, pyramid_checkpoint  # noqa: PLC0415
    from training.checkpoint import save_checkpoint  # noqa: PLC0415
    from training.models import ARCHITECTURES  # noqa: PLC0415

    monkeypatch.setitem(ARCHITECTURES, "pyramid", pyramid)
    stem, own, small, free = (str(tmp_path / name) for name in ("net", "net.onnx", "small.onnx", "free.onnx"))
    save_checkpoint(Path(stem), pyramid_checkpoint(dynamic_size=True))
    for path, options in ((own, []), (small, ["--size", "48x56"]), (free, ["--dynamic-size"])):
        assert main(["onnx", stem, "--output", path, "--unverified", *options]) == 0

    assert main(["verify", stem, own, small, free, "--pictures", PHOTOS]) == 0
    assert main(["verify", free, own, small, "--pictures", PHOTOS]) == 0
    assert main(["verify", own, small, "--pictures", PHOTOS]) == 1
