"""A network that compares a picture with its reference: the whole way to an engine, and into the gateway's assess.

Needs the export extra, and says so where it is not.
"""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import pytest

REASON = "needs the export extra (pip install 'framegate[export]')"
torch = pytest.importorskip("torch", reason=REASON)
pytest.importorskip("onnxscript", reason=REASON)
pytest.importorskip("safetensors", reason=REASON)

from torch import Tensor, nn  # noqa: E402 - what follows needs torch

from export.__main__ import main  # noqa: E402
from export.answers import onnx_answers  # noqa: E402
from export.damage import COPIES, LIVE_DAMAGE  # noqa: E402
from export.graph import inputs, name_nodes  # noqa: E402
from export.manifest import load_model, read_model_manifest  # noqa: E402
from export.quantize import Quantizer  # noqa: E402
from export.samples import TILES, Samples, load_samples  # noqa: E402
from export.template import manifest_template  # noqa: E402
from export.trace import make_engine  # noqa: E402
from export.weight_views import fold_views  # noqa: E402
from runtime.decode import Decoder  # noqa: E402
from runtime.engine_onnx import OnnxEngine  # noqa: E402
from runtime.errors import ConfigError  # noqa: E402
from runtime.full_reference import Compared, Comparer, PixelPair  # noqa: E402
from runtime.manifest import Input, Provenance, QualityFrHead  # noqa: E402
from runtime.tiles import tile_corners  # noqa: E402
from tests.export.conftest import ROOT, saturates  # noqa: E402
from tests.pictures import noise, png  # noqa: E402
from training.checkpoint import Checkpoint, Description, save_checkpoint  # noqa: E402
from training.models import ARCHITECTURES  # noqa: E402

PHOTOS = ROOT / "demo" / "photos"
TILE_PX = 32
DISTORTED = Input(name="distorted", height=TILE_PX, width=TILE_PX, tiles=True)
REFERENCE = Input(name="reference", height=TILE_PX, width=TILE_PX, tiles=True, of="reference")
SPECS = (DISTORTED, REFERENCE)
SEVEN_BITS = ["--seven-bits"] if saturates() else []


class Compare(nn.Module):  # type: ignore[misc] # torch is untyped where only serving is installed
    """Two streams, one of the residual; a convolution whose weights are reshaped before they are used."""

    def __init__(self) -> None:
        super().__init__()
        self.streams = nn.ModuleList(nn.Conv2d(1, 12, 3, stride=2, padding=1) for _ in range(2))
        self.mix = nn.Conv2d(24, 48, 3)  # the exporter itself folds smaller ones
        self.head = nn.Linear(48, 1)

    def forward(self, distorted: Tensor, reference: Tensor) -> dict[str, Tensor]:
        planes = [pixels.mean(dim=1, keepdim=True) / 255 for pixels in (distorted, reference)]
        seen = (planes[0], (planes[0] - planes[1]).abs() * 4)
        maps = torch.cat([torch.relu(stream(plane)) for stream, plane in zip(self.streams, seen, strict=True)], dim=1)
        means = nn.functional.avg_pool2d(maps, 4)[:, :, :3, :3].flatten(1)[:, :, None, None]
        mixed = nn.functional.conv2d(means, self.mix.weight.flatten(1)[:, :, None, None], self.mix.bias)
        return {"quality_fr": 1 + 4 * torch.sigmoid(self.head(torch.relu(mixed).flatten(1)).squeeze(1))}


def compare_checkpoint() -> Checkpoint:
    """With random weights whose answers to the demo's photographs differ."""
    torch.manual_seed(3)
    network = Compare().eval()
    samples = load_samples([PHOTOS], SPECS)
    with torch.no_grad():
        pixels = [torch.from_numpy(samples.inputs[spec.name]).float().movedim(-1, 1) for spec in SPECS]
        logits = torch.logit((network(*pixels)["quality_fr"] - 1) / 4)
        network.head.weight /= logits.std()
        network.head.bias.sub_(logits.mean()).div_(logits.std())
    description = Description(
        name="compare",
        version="1",
        architecture="compare",
        inputs=SPECS,
        heads=(QualityFrHead(output="quality_fr"),),
        provenance=Provenance(data="none: random", licence="Apache-2.0", command="tests"),
    )
    return Checkpoint(description, network)


@pytest.fixture(scope="module")
def checkpoint() -> Checkpoint:
    return compare_checkpoint()


@pytest.fixture
def stem(checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setitem(ARCHITECTURES, "compare", Compare)
    save_checkpoint(tmp_path / "compare", checkpoint)
    return tmp_path / "compare"


def test_samples_are_tiles_of_a_picture_and_of_its_copies() -> None:
    """As serving cuts them, from the same place of both; the copy is what is judged."""
    path = sorted(PHOTOS.glob("*.jpg"))[0]
    samples = load_samples([path], SPECS)

    reference = Decoder().decode(path.read_bytes()).pixels.copy()
    corners = list(tile_corners(reference.shape[:2], (TILE_PX, TILE_PX)))
    assert len(samples) == (1 + len(LIVE_DAMAGE)) * TILES
    for index in range(len(samples)):
        frame, pristine = samples.inputs["distorted"][index], samples.inputs["reference"][index]
        copy = Decoder().decode(COPIES[("whole", *LIVE_DAMAGE)[index // TILES]](reference)).pixels
        assert any(
            np.array_equal(frame, copy[top : top + TILE_PX, left : left + TILE_PX])
            and np.array_equal(pristine, reference[top : top + TILE_PX, left : left + TILE_PX])
            for top, left in corners
        )


def test_a_picture_smaller_than_a_tile_is_no_sample(tmp_path: Path) -> None:
    """It is named: the operator leaves it out."""
    (tmp_path / "small.png").write_bytes(png(noise(TILE_PX - 1, 50)))
    with pytest.raises(ConfigError, match=r"small\.png: a side of 31 pixels has no tile of 32; leave it out"):
        load_samples([tmp_path], SPECS)


def test_the_graph_takes_both_pictures(checkpoint: Checkpoint) -> None:
    """Which is which matters; each meets Cast first; the weights lie in it as they are used, by their own name."""
    model = make_engine(checkpoint)
    onnx.checker.check_model(model, full_check=True)

    assert list(map(str, inputs(model))) == [
        "distorted uint8 (batch, 32, 32, 3)",
        "reference uint8 (batch, 32, 32, 3)",
    ]
    assert read_model_manifest(model, "compare").inputs == SPECS
    weights = {tensor.name: list(tensor.dims) for tensor in model.graph.initializer}
    assert weights["mix.weight"] == [48, 216, 1, 1]
    used = [node.input[1] for node in model.graph.node if node.op_type == "Conv"]
    assert set(used) <= weights.keys()
    samples = load_samples([PHOTOS], SPECS)[:40]
    swapped = Samples(dict(zip(samples.inputs, reversed(list(samples.inputs.values())), strict=True)))
    answers, others = (onnx_answers(model, each)["quality_fr"] for each in (samples, swapped))
    assert np.abs(answers - others).max() > 0.01


def test_folding_leaves_the_answers_as_they_are(checkpoint: Checkpoint) -> None:
    """Again and again: there is nothing left to fold; a weight that two nodes use keeps both its shapes."""
    model = make_engine(checkpoint)
    again = onnx.ModelProto()
    again.CopyFrom(model)
    fold_views(again)
    assert again == model

    weight = next(tensor for tensor in again.graph.initializer if tensor.name == "mix.weight")
    again.graph.initializer.append(onnx.numpy_helper.from_array(np.array([48 * 216], np.int64), "flat"))
    again.graph.node.insert(0, onnx.helper.make_node("Reshape", ["mix.weight", "flat"], ["flattened"]))
    again.graph.node.append(onnx.helper.make_node("ReduceSum", ["flattened"], ["sum"], keepdims=0))
    again.graph.output.append(onnx.helper.make_tensor_value_info("sum", onnx.TensorProto.FLOAT, []))
    again.graph.initializer.append(onnx.numpy_helper.from_array(np.arange(6, dtype=np.float32), "told weight"))
    again.graph.initializer.append(onnx.numpy_helper.from_array(np.array([2, 3], np.int64), "two by three"))
    again.graph.node.insert(0, onnx.helper.make_node("Reshape", ["told weight", "two by three"], ["told"]))
    again.graph.output.append(onnx.helper.make_tensor_value_info("told", onnx.TensorProto.FLOAT, [2, 3]))
    fold_views(again)
    tensors = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in again.graph.initializer}
    np.testing.assert_array_equal(tensors["flattened"], onnx.numpy_helper.to_array(weight).ravel())
    assert tensors["mix.weight"].shape == (48, 216, 1, 1)
    assert "flat" not in tensors
    assert tensors["told"].shape == (2, 3)
    onnx.checker.check_model(again, full_check=True)


def test_layers_that_share_weights_may_part(checkpoint: Checkpoint) -> None:
    """One in 8 bits and one in float32: the latter computes with the weights that were trained."""
    model = make_engine(checkpoint)
    first, second = (node for node in model.graph.node if node.op_type == "Conv" and "streams" in node.input[1])
    shared = second.input[1] = first.input[1]
    name_nodes(model)
    samples = load_samples([PHOTOS], SPECS)[:30]
    parted = Quantizer(model, samples, "percentile").quantise([second.name])

    weights = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in parted.graph.initializer}
    kept = next(node for node in parted.graph.node if node.name == second.name)
    trained = next(tensor for tensor in model.graph.initializer if tensor.name == shared)
    np.testing.assert_array_equal(weights[kept.input[1]], onnx.numpy_helper.to_array(trained))
    onnx_answers(parted, samples)


def test_the_whole_way(stem: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """ONNX, half precision, 8 bits, the proof of all of them: each on pictures beside their copies."""
    whole, half, eight = (tmp_path / f"{name}.onnx" for name in ("whole", "half", "eight"))
    pictures = ["--pictures", str(PHOTOS)]
    lenient = ["--rank-correlation", "0.8", *SEVEN_BITS]
    assert main(["onnx", str(stem), "--output", str(whole), *pictures]) == 0
    assert main(["fp16", str(whole), "--output", str(half), *pictures]) == 0
    assert main(["int8", str(whole), "--output", str(eight), *pictures, *lenient]) == 0
    engines = [str(each) for each in (whole, half, eight)]
    assert main(["verify", str(stem), *engines, *pictures, "--json", str(tmp_path / "verify.json")]) == 0

    report = json.loads((tmp_path / "verify.json").read_text())
    assert [one["passed"] for one in report["engines"]] == [True] * 3
    assert report["pictures"] == len(list(PHOTOS.glob("*.jpg"))) * (1 + len(LIVE_DAMAGE)) * TILES
    capsys.readouterr()


def test_the_gate_sees_an_engine_that_mixes_the_pictures_up(
    checkpoint: Checkpoint, stem: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same weights with frame and reference exchanged in the manifest: not what was trained."""
    model = make_engine(checkpoint)
    manifest = read_model_manifest(model, "compare")
    exchanged = tuple(
        spec.model_copy(update={"of": of}) for spec, of in zip(SPECS, ("reference", "frame"), strict=True)
    )
    entry = next(entry for entry in model.metadata_props if entry.key == "framegate.manifest")
    entry.value = manifest.model_copy(update={"inputs": exchanged}).model_dump_json()
    onnx.save(model, tmp_path / "exchanged.onnx")

    assert main(["verify", str(stem), str(tmp_path / "exchanged.onnx"), "--pictures", str(PHOTOS)]) == 1
    assert "difference" in capsys.readouterr().err


def test_the_engine_scores_as_the_network(checkpoint: Checkpoint, tmp_path: Path) -> None:
    """A whole picture: the mean over its tiles, by PyTorch and by the gateway."""
    onnx.save(make_engine(checkpoint), tmp_path / "compare.onnx")
    frame, reference = noise(100, 70, 1), noise(100, 70, 2)
    corners = list(tile_corners((70, 100), (TILE_PX, TILE_PX)))
    sides = [
        np.stack([side[top : top + TILE_PX, left : left + TILE_PX] for top, left in corners])
        for side in (frame, reference)
    ]
    with torch.inference_mode():
        answers = checkpoint.network(*(torch.from_numpy(side).float().movedim(-1, 1) for side in sides))

    with ThreadPoolExecutor(1) as workers:
        engine = OnnxEngine(tmp_path / "compare.onnx", workers=workers, threads=1)
        [(_, outcome)] = Comparer(engine, 5).compare([("a", PixelPair(frame, reference))])
    assert isinstance(outcome, Compared)
    assert outcome.result.score == pytest.approx(float(answers["quality_fr"].mean()), abs=1e-4)


@pytest.mark.parametrize(("name", "of"), [("reference", ["frame", "reference"]), ("other", [None, None])])
def test_a_template_of_two_pictures(checkpoint: Checkpoint, tmp_path: Path, name: str, of: list[str | None]) -> None:
    """They are tiles of a picture and its reference; which is which is left to a person where no name tells."""
    onnx.save(make_engine(checkpoint), tmp_path / "compare.onnx")
    model = load_model(tmp_path / "compare.onnx")
    for node in model.graph.node:
        for index, each in enumerate(node.input):
            node.input[index] = name if each == "reference" else each
    model.graph.input[1].name = name

    template = manifest_template(model, "compare")
    assert [each["of"] for each in template["inputs"]] == of
    assert all(each["tiles"] and "resize" not in each for each in template["inputs"])
    assert template["heads"] == [{"kind": "quality_fr", "output": "quality_fr", "threshold": None}]
