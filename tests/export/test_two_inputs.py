"""A network of two views, the whole picture and patches of it, with a score and a map: the whole way to an engine.

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

from export.__main__ import main  # noqa: E402 - what follows needs torch
from export.answers import onnx_answers, torch_answers  # noqa: E402
from export.graph import inputs, outputs  # noqa: E402
from export.manifest import read_model_manifest  # noqa: E402
from export.parity import Parity, compare  # noqa: E402
from export.plan import BuildOptions, build_plan, read_source  # noqa: E402
from export.qdq import LAYERS, inner_nodes  # noqa: E402
from export.quantize import Pictures, Quantizer, fit_int8  # noqa: E402
from export.samples import Samples, load_samples  # noqa: E402
from export.trace import make_engine, with_patches  # noqa: E402
from export.weight_rounding import collect_moments  # noqa: E402
from runtime.engine import peek_manifest  # noqa: E402
from runtime.engine_onnx import OnnxEngine  # noqa: E402
from runtime.errors import ConfigError, EngineError  # noqa: E402
from runtime.manifest import Manifest, SaliencyHead, Tolerances  # noqa: E402
from tests.export.conftest import ROOT, saturates  # noqa: E402
from tests.export.networks import COVER, FRAMES, PATCHES, Cover, cover_checkpoint  # noqa: E402
from training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint  # noqa: E402
from training.models import ARCHITECTURES  # noqa: E402

PHOTOS = ROOT / "demo" / "photos"
SEVEN_BITS = saturates()
LENIENT = [
    "--rank-correlation",
    "0.8",
    "--flips",
    "0.3",
    "--mask-iou",
    "0.7",
    *(["--seven-bits"] if SEVEN_BITS else []),
]
"""Of 20 held-out samples of a random network; what is tested is not how well it bears 8 bits."""


@pytest.fixture(scope="module")
def checkpoint() -> Checkpoint:
    return cover_checkpoint(PHOTOS)


@pytest.fixture(scope="module")
def model(checkpoint: Checkpoint) -> onnx.ModelProto:
    return make_engine(checkpoint)


@pytest.fixture(scope="module")
def manifest(model: onnx.ModelProto) -> Manifest:
    return read_model_manifest(model, "cover")


@pytest.fixture(scope="module")
def samples() -> Samples:
    return load_samples([PHOTOS], (FRAMES, PATCHES), damaged=True)


@pytest.fixture
def stem(checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setitem(ARCHITECTURES, "cover", Cover)
    save_checkpoint(tmp_path / "cover", checkpoint)
    return tmp_path / "cover"


def test_a_checkpoint_keeps_its_inputs_in_their_order(stem: Path) -> None:
    """The network's ``forward`` takes them so; that one of them shows patches is part of it."""
    assert load_checkpoint(stem).description.inputs == (FRAMES, PATCHES)


def test_the_graph_takes_both_views_and_answers_as_the_network(
    checkpoint: Checkpoint, model: onnx.ModelProto, manifest: Manifest, samples: Samples
) -> None:
    """Each input meets Cast first; one batch for all; the patches of a batch's frames are not mixed up."""
    onnx.checker.check_model(model, full_check=True)
    assert list(map(str, inputs(model))) == ["frames uint8 (batch, 64, 64, 3)", "patches uint8 (batch, 6, 32, 32, 3)"]
    assert list(map(str, outputs(model))) == ["clarity float32 (batch)", "map float32 (batch, 32, 32)"]
    for name in ("frames", "patches"):
        assert [node.op_type for node in model.graph.node if name in node.input] == ["Cast"]
    assert (manifest.inputs, manifest.heads) == ((FRAMES, PATCHES), COVER)

    answers = onnx_answers(model, samples)
    parity = compare(torch_answers(checkpoint, samples), answers, manifest)
    assert parity.faults(Tolerances(difference=1e-5, mask_iou=0.999)) == []
    alone = [onnx_answers(model, one)["clarity"][0] for one in samples[:5].batches(1)]
    np.testing.assert_allclose(answers["clarity"][:5], alone, atol=1e-4)
    other_patches = Samples({**samples.inputs, "patches": samples.inputs["patches"][::-1]})
    assert np.abs(onnx_answers(model, other_patches)["clarity"] - answers["clarity"]).max() > 0.1


def test_the_maps_size_follows_the_pictures() -> None:
    """``--size``: the manifest says what the graph gives, the patches stay as they are."""
    model = make_engine(cover_checkpoint(PHOTOS, dynamic_size=True), size=(96, 128))
    manifest = read_model_manifest(model, "cover")

    assert manifest.heads == (COVER[0], SaliencyHead(output="map", height=48, width=64))
    assert [spec.shape for spec in manifest.inputs] == [(96, 128, 3), PATCHES.shape]


def test_a_map_of_another_size_than_the_checkpoint_says_is_refused(checkpoint: Checkpoint) -> None:
    """At the checkpoint's own size nothing follows: one of the two is wrong."""
    heads = (COVER[0], SaliencyHead(output="map", height=16, width=16))
    wrong = checkpoint.description.model_copy(update={"heads": heads})
    with pytest.raises(EngineError, match=r"'map' has shape \(batch, 32, 32\) in the graph, not \(batch, 16, 16\)"):
        make_engine(Checkpoint(wrong, checkpoint.network))


def test_a_map_of_no_certain_size_is_refused(stem: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A manifest states one size; and a network of one size is exported at no other."""
    command = ["onnx", str(stem), "--output", str(stem.with_name("x.onnx")), "--unverified"]
    assert main([*command, "--size", "96x96"]) == 2
    assert "cover takes pictures of 64x64 alone" in capsys.readouterr().err

    with pytest.raises(ConfigError, match="--dynamic-size: the map of cover would change its size"):
        make_engine(cover_checkpoint(PHOTOS, dynamic_size=True), dynamic_size=True)


def test_a_network_that_sees_patches_alone_has_no_size_to_choose(checkpoint: Checkpoint) -> None:
    """The patches' size is not the picture's."""
    alone = checkpoint.description.model_copy(update={"inputs": (PATCHES,), "heads": COVER[:1]})
    with pytest.raises(ConfigError, match="--size 96x96: cover sees patches or tiles alone"):
        make_engine(Checkpoint(alone, checkpoint.network), size=(96, 96))


def test_an_engine_may_see_other_numbers_of_patches(stem: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """``--patches`` is the engine's grid, proven on pictures; what cannot be is refused, as is a network of none."""
    engine = stem.with_name("fewer.onnx")
    command = ["onnx", str(stem), "--output", str(engine), "--pictures", str(PHOTOS)]
    assert main([*command, "--patches", "1x3"]) == 0
    manifest = peek_manifest(engine)
    assert [spec.patches and (spec.patches.rows, spec.patches.columns) for spec in manifest.inputs] == [None, (1, 3)]
    assert manifest.provenance == load_checkpoint(stem).description.provenance
    capsys.readouterr()
    assert main([*command, "--patches", "1x65"]) == 2
    assert "--patches 1x65: " in capsys.readouterr().err
    checkpoint = load_checkpoint(stem)
    whole = checkpoint.description.model_copy(update={"inputs": (FRAMES,)})
    with pytest.raises(ConfigError, match="cover sees no patches"):
        with_patches(Checkpoint(whole, checkpoint.network), 1, 3)


def test_commands_from_checkpoint_to_half_and_8_bits(stem: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """``onnx``, ``fp16`` and ``int8`` on real pictures, and ``verify`` of all that they wrote."""
    full, half, small = (stem.with_name(f"{name}.onnx") for name in ("full", "half", "small"))
    report = stem.with_name("report.json")
    pictures = ["--pictures", str(PHOTOS)]

    assert main(["onnx", str(stem), "--output", str(full), *pictures]) == 0
    assert main(["fp16", str(full), "--output", str(half), *pictures]) == 0
    capsys.readouterr()
    assert main(["int8", str(full), "--output", str(small), *pictures, *LENIENT]) == 0
    told = capsys.readouterr().out
    assert "clarity: rank correlation " in told
    assert "map: masks' IoU " in told
    assert main(["verify", str(stem), str(full), str(half), str(small), *pictures, "--json", str(report)]) == 0

    engines = json.loads(report.read_text())["engines"]
    assert [engine["tolerances"] for engine in engines] == [
        {"difference": 1e-4},
        {"difference": 5e-3, "mask_iou": 0.99},
        {"rank_correlation": 0.8, "flips": 0.3, "mask_iou": 0.7},
    ]
    clarity, saliency = engines[2]["outputs"]
    assert (clarity["kind"], saliency["kind"]) == ("clarity", "saliency")
    assert "flips" not in saliency
    assert saliency["mask_iou"] >= 0.7
    with ThreadPoolExecutor(1) as workers:
        engine = OnnxEngine(small, workers=workers, threads=1)
        answers = engine.infer(load_samples([PHOTOS], engine.manifest.inputs).inputs)
    assert (answers["clarity"].shape, answers["map"].shape) == ((12,), (12, 32, 32))


def test_the_commands_refuse_masks_where_no_head_gives_one(
    shipped: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The text says which heads there are."""
    for command in ("fp16", "int8"):
        output = ["--output", str(tmp_path / "x.onnx"), "--pictures", str(PHOTOS)]
        assert main([command, str(shipped), *output, "--mask-iou", "0.9"]) == 2
        assert "--mask-iou 0.9: utility-baseline gives no saliency map, only utility" in capsys.readouterr().err


def test_both_branches_are_in_8_bits_and_neither_normalisation_nor_softmax(
    model: onnx.ModelProto, samples: Samples
) -> None:
    """Every convolution, the dilated ones too; what weighs the patches and both sigmoids compute in float32."""
    quantised = Quantizer(model, samples[:10], "minmax", seven_bits=SEVEN_BITS).quantise()
    tensors = {tensor.name: tensor.data_type for tensor in quantised.graph.initializer}
    read = {node.output[0]: node.input[0] for node in quantised.graph.node if node.op_type == "DequantizeLinear"}
    for node in quantised.graph.node:
        if node.op_type == "Conv":
            assert tensors[read[node.input[1]]] == onnx.TensorProto.INT8, node.name
        if node.op_type in ("Softmax", "Sigmoid"):
            assert node.input[0] not in read
    inner = [node.op_type for node in inner_nodes(model)]
    assert {"Resize", "Concat"} <= set(inner)
    answers = onnx_answers(quantised, samples)
    assert (answers["map"].min() >= 0, answers["map"].max() <= 1) == (True, True)
    assert answers["clarity"].std() > 0.1


def test_moments_are_of_every_patch(model: onnx.ModelProto, samples: Samples) -> None:
    """A layer that sees patches is rounded by what it sees in all of them, not in the first."""
    [stem] = [node for node in model.graph.node if "patches.layers.0.0.weight" in node.input]
    dark = samples.inputs["patches"][:8].copy()
    dark[:, 0] = 0  # of the first patch of each picture all is black
    moments = collect_moments(model, Samples({"frames": samples.inputs["frames"][:8], "patches": dark}))[stem.name]

    black = (0 - 127) / 64
    assert moments.first[0].mean() / moments.count > black + 0.3


@pytest.mark.parametrize("output", ["clarity", "map"])
def test_layers_are_kept_for_the_head_that_fails(
    model: onnx.ModelProto, manifest: Manifest, samples: Samples, output: str
) -> None:
    """None is kept that this head's answers do not depend on: it would cost time and mend nothing."""
    pictures = Pictures(samples[:40], samples[40:])
    free = fit_int8(model, manifest, pictures, Tolerances(), seven_bits=SEVEN_BITS)
    allowed = _a_little_better(free.calibration, free.held_out, output)

    fitted = fit_int8(model, manifest, pictures, allowed, seven_bits=SEVEN_BITS)

    layers = _layers_before(model, output)
    assert (free.kept, free.failing(allowed)) == ((), {output})
    assert fitted.faults(allowed) == []
    assert set(fitted.kept) <= layers
    assert 0 < len(fitted.kept) < len(layers) < len(Quantizer(model, samples[:4], "minmax").layers)


def _a_little_better(calibration: Parity, held_out: Parity, output: str) -> Tolerances:
    """Of the output's one measure, a quarter of the way from what it is to 1."""
    measure = "mask_iou" if output == "map" else "rank_correlation"
    both = [one for side in (calibration, held_out) for one in side.outputs if one.output == output]
    least = min(getattr(one, measure) for one in both)
    return Tolerances(**{measure: 0.75 * least + 0.25})


def _layers_before(model: onnx.ModelProto, output: str) -> set[str]:
    """The layers that an output depends on."""
    wanted, found = {output}, set()
    for node in reversed(model.graph.node):
        if wanted & set(node.output):
            wanted |= set(node.input)
            found |= {node.name} if node.op_type in LAYERS else set()
    return found


def test_tensorrt_rtx_builds_a_plan_of_both_inputs(stem: Path) -> None:
    """In half precision, without a GPU; the profile has every input, the plan's manifest both inputs and heads."""
    pytest.importorskip("tensorrt_rtx", reason="needs the extra tensorrt-rtx")
    full, half = stem.with_name("full.onnx"), stem.with_name("half.onnx")
    assert main(["onnx", str(stem), "--output", str(full), "--unverified"]) == 0
    assert main(["fp16", str(full), "--output", str(half), "--unverified"]) == 0

    options = BuildOptions(library="tensorrt-rtx", opt_batch=2, max_batch=4)
    source = read_source(half, options)
    built = build_plan(half, source, options, None, "test")

    assert (built.manifest.inputs, built.manifest.heads) == (source.inputs, source.heads)
    assert built.precision.share > 0.5
