"""Checkpoints to ONNX: any network of ours, one file, proven. Needs the export extra, and says so where it is not."""

from pathlib import Path

import onnx
import pytest

REASON = "needs the export extra (pip install 'framegate[export]')"
torch = pytest.importorskip("torch", reason=REASON)
pytest.importorskip("onnxscript", reason=REASON)
pytest.importorskip("safetensors", reason=REASON)

from torch import Tensor, nn  # noqa: E402 - what follows needs torch
from torch.nn import functional  # noqa: E402

from export.__main__ import main  # noqa: E402
from export.answers import onnx_answers, torch_answers  # noqa: E402
from export.graph import inputs, outputs  # noqa: E402
from export.manifest import load_model, read_model_manifest  # noqa: E402
from export.parity import compare  # noqa: E402
from export.samples import load_samples  # noqa: E402
from export.trace import make_engine  # noqa: E402
from runtime.errors import ConfigError, EngineError  # noqa: E402
from runtime.manifest import Input  # noqa: E402
from tests.export.conftest import ROOT  # noqa: E402
from tests.export.networks import HEADS, pool_pyramid, pyramid, pyramid_checkpoint  # noqa: E402
from training.checkpoint import Checkpoint, save_checkpoint  # noqa: E402
from training.models import ARCHITECTURES  # noqa: E402

PHOTOS = ROOT / "demo" / "photos"
FP32 = 1e-4


@pytest.fixture
def stem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A saved checkpoint that takes pictures of any size."""
    monkeypatch.setitem(ARCHITECTURES, "pyramid", pyramid)
    stem = tmp_path / "pyramid"
    save_checkpoint(stem, pyramid_checkpoint(dynamic_size=True))
    return stem


def difference(checkpoint: Checkpoint, model: onnx.ModelProto, size: tuple[int, int]) -> float:
    """The largest of any head, on real pictures and their damaged copies."""
    manifest = read_model_manifest(model, "test")
    spec = manifest.inputs[0].model_copy(update={"height": size[0], "width": size[1]})
    samples = load_samples([PHOTOS], [spec], damaged=True)
    parity = compare(torch_answers(checkpoint, samples), onnx_answers(model, samples), manifest)
    assert all(one.non_finite == 0 for one in parity.outputs)
    return max(one.difference for one in parity.outputs)


@pytest.mark.parametrize("size", [(90, 122), (64, 64), (33, 47)])
def test_pyramid_pooling_is_adaptive_average_pooling(size: tuple[int, int]) -> None:
    """The slices that ONNX can hold are the pooling that it cannot."""
    features = torch.rand(2, 4, *size, dtype=torch.float64)

    expected = [functional.adaptive_avg_pool2d(features, n).flatten(2) for n in (1, 2, 3)]
    pooled = pool_pyramid(features, [1, 2, 3]).reshape(2, -1, 4)  # cell by cell, each with its channels

    torch.testing.assert_close(pooled, torch.cat(expected, dim=2).transpose(1, 2), rtol=0, atol=1e-12)


@pytest.mark.parametrize("size", [None, (64, 64), (101, 77)])
def test_fixed_size(size: tuple[int, int] | None) -> None:
    """At the checkpoint's own size and at others: equal to PyTorch, one opset, batch dynamic, Cast first."""
    checkpoint = pyramid_checkpoint(dynamic_size=True)

    model = make_engine(checkpoint, size=size)

    height, width = size or (90, 122)
    manifest = read_model_manifest(model, "test")
    onnx.checker.check_model(model, full_check=True)
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", 20)]
    assert list(map(str, inputs(model))) == [f"pictures uint8 (batch, {height}, {width}, 3)"]
    assert list(map(str, outputs(model))) == ["usefulness float32 (batch)", "opinions float32 (batch, 5)"]
    assert [node.op_type for node in model.graph.node if "pictures" in node.input] == ["Cast"]
    assert (manifest.precision, manifest.heads, manifest.inputs[0].shape) == ("fp32", HEADS, (height, width, 3))
    assert difference(checkpoint, model, (height, width)) <= FP32


def test_fixed_size_has_no_arithmetic_on_shapes() -> None:
    """The pooling's slices are constants: what TensorRT and quantisers want."""
    model = make_engine(pyramid_checkpoint(dynamic_size=True))

    weights = {tensor.name for tensor in model.graph.initializer}
    assert "Shape" not in {node.op_type for node in model.graph.node}
    assert all(set(node.input[1:]) <= weights for node in model.graph.node if node.op_type == "Slice")


def test_dynamic_size() -> None:
    """One file for pictures of any size, equal to PyTorch at each."""
    checkpoint = pyramid_checkpoint(dynamic_size=True)

    model = make_engine(checkpoint, dynamic_size=True)

    assert list(map(str, inputs(model))) == ["pictures uint8 (batch, height, width, 3)"]
    for size in [(90, 122), (64, 200), (131, 33)]:
        assert difference(checkpoint, model, size) <= FP32


def test_weights_have_the_checkpoints_names() -> None:
    """So that a layer of the graph is found in the code; a name that the graph needs elsewhere keeps its prefix."""
    checkpoint = pyramid_checkpoint(dynamic_size=True)

    names = {tensor.name for tensor in make_engine(checkpoint).graph.initializer}

    assert {"features.0.weight", "usefulness.weight", "opinions.bias"} <= names
    assert {"mean", "network.mean"} & names == {"network.mean"}  # "mean" is what a pooling makes


@pytest.mark.parametrize(("size", "dynamic"), [((64, 64), False), (None, True)])
def test_a_network_of_one_size_is_not_exported_at_another(size: tuple[int, int] | None, dynamic: bool) -> None:
    """The checkpoint says which sizes its network takes."""
    with pytest.raises(ConfigError, match=r"pyramid takes pictures of 90x122 alone"):
        make_engine(pyramid_checkpoint(dynamic_size=False), size=size, dynamic_size=dynamic)

    make_engine(pyramid_checkpoint(dynamic_size=False), size=(90, 122))


class Flat(nn.Module):  # type: ignore[misc]
    """Takes pictures of 90x122, whatever its checkpoint says."""

    def __init__(self) -> None:
        super().__init__()
        self.score = nn.Linear(3 * 90 * 122, 1)

    def forward(self, pixels: Tensor) -> dict[str, Tensor]:
        return {"usefulness": torch.sigmoid(self.score(pixels.flatten(1) / 255)).squeeze(1)}


def test_a_checkpoint_that_claims_more_than_its_network_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """``dynamic_size`` is proven at a second size, and found out there."""
    monkeypatch.setitem(ARCHITECTURES, "flat", Flat)
    description = pyramid_checkpoint(dynamic_size=True).description
    changes = {"architecture": "flat", "arguments": {}, "heads": HEADS[:1]}
    save_checkpoint(tmp_path / "flat", Checkpoint(description.model_copy(update=changes), Flat()))
    command = ["onnx", str(tmp_path / "flat"), "--output", str(tmp_path / "flat.onnx"), "--pictures", str(PHOTOS)]

    assert main([*command, "--dynamic-size"]) == 2
    assert "pyramid: the network itself fails on samples of pictures (135, 152, 3)" in capsys.readouterr().err
    assert not (tmp_path / "flat.onnx").exists()
    assert main(command) == 0


def test_a_head_without_an_output_is_refused() -> None:
    """The checkpoint's heads are held to the graph."""
    checkpoint = pyramid_checkpoint(dynamic_size=True)
    head = HEADS[0].model_copy(update={"output": "use"})

    with pytest.raises(EngineError, match=r"utility head's output 'use' is not in the graph.*"):
        make_engine(Checkpoint(checkpoint.description.model_copy(update={"heads": (head,)}), checkpoint.network))


@pytest.mark.parametrize("options", [[], ["--size", "64x96"], ["--dynamic-size"]])
def test_command_writes_one_proven_file(stem: Path, tmp_path: Path, options: list[str]) -> None:
    """One file, no stack traces, its manifest inside."""
    output = tmp_path / "out" / "pyramid.onnx"

    assert main(["onnx", str(stem), "--output", str(output), "--pictures", str(PHOTOS), "--damaged", *options]) == 0

    spec: Input = read_model_manifest(load_model(output), "test").inputs[0]
    assert (spec.height, spec.width) == ((64, 96) if options[:1] == ["--size"] else (90, 122))
    assert [path.name for path in output.parent.iterdir()] == ["pyramid.onnx"]
    assert b"site-packages" not in output.read_bytes()
    assert b".py" not in output.read_bytes()


class Restless(nn.Module):  # type: ignore[misc]
    """Answers at random: no graph can be what it is."""

    def forward(self, pixels: Tensor) -> dict[str, Tensor]:
        return {"usefulness": torch.rand_like(pixels[:, 0, 0, 0])}


def test_command_writes_nothing_that_fails_the_gate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 2, the measure in the text, no file; without the gate it would have been written."""
    monkeypatch.setitem(ARCHITECTURES, "restless", Restless)
    description = pyramid_checkpoint(dynamic_size=True).description
    changes = {"architecture": "restless", "arguments": {}, "heads": HEADS[:1]}
    save_checkpoint(tmp_path / "restless", Checkpoint(description.model_copy(update=changes), Restless()))
    output = tmp_path / "restless.onnx"
    command = ["onnx", str(tmp_path / "restless"), "--output", str(output)]

    assert main([*command, "--pictures", str(PHOTOS)]) == 2
    assert "at most 0.0001 is allowed" in capsys.readouterr().err
    assert not output.exists()
    assert main([*command, "--unverified"]) == 0
    assert output.exists()


def test_command_asks_for_pictures(stem: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Proof is the default; --unverified and --pictures contradict each other."""
    command = ["onnx", str(stem), "--output", str(tmp_path / "x.onnx")]

    assert main(command) == 2
    assert main([*command, "--pictures", str(PHOTOS), "--unverified"]) == 2
    assert capsys.readouterr().err.count("give --pictures PATH...") == 2
    assert not (tmp_path / "x.onnx").exists()
