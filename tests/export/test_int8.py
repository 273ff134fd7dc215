"""``python -m export int8``: real quantisation of a small network on real photographs, and the gate around it."""

import json
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from benchmarks import precision
from export import quantize
from export.__main__ import main
from export.answers import onnx_answers
from export.commands.int8 import split_pictures
from export.manifest import attach_manifest, read_manifest, read_model_manifest, weights_digest
from export.parity import OutputParity, Parity, compare, default_tolerances
from export.qdq import inner_nodes, layers_before
from export.quantize import Int8, Pictures, Quantizer, fit_int8, int8_manifest
from export.samples import Samples, load_samples
from export.weight_rounding import Moments, collect_moments, find_layers, put_rounded, round_layers
from runtime.engine_onnx import OnnxEngine
from runtime.errors import ConfigError, EngineError
from runtime.manifest import Input, Manifest, Provenance, Resize, Tolerances, UtilityHead
from tests.engines import make_engine
from tests.export.conftest import saturates

ROOT = Path(__file__).parents[2]
SEVEN_BITS = saturates()
BITS = ["--seven-bits"] if SEVEN_BITS else []
"""On a CPU that cuts sums of 8-bit products off, the answers of 8 bits are not those of the arithmetic."""
LENIENT = ["--rank-correlation", "0.9", "--flips", "0.25"]
"""Of 20 held-out samples of a random network; what is tested is not how well it bears 8 bits."""
PHOTOS = ROOT / "demo" / "photos"
SPEC = Input(name="frames", height=64, width=64, resize=Resize(fit="crop"))
DELICATE = tuple(f"node_Conv_{number}" for number in (872, 778, 780, 782, 873, 785))
"""The baseline's first convolutions, as the exporter named them."""
LAYERS = ("stem", "depthwise", "pointwise", "inner", "last", "dense")


def small_network() -> ModelProto:
    """Stem, depthwise and pointwise convolutions, ReLU6, a residual, a dense layer; random, but told to spread."""
    model = _graph(slope=1, offset=0)
    model.graph.output.append(helper.make_tensor_value_info("logit", TensorProto.FLOAT, None))
    logits = onnx_answers(model, samples())["logit"]
    model = _graph(slope=2 / float(logits.std()), offset=-2 * float(logits.mean() / logits.std()))
    manifest = Manifest(
        name="small",
        version="1",
        digest=weights_digest(model),
        inputs=(SPEC,),
        heads=(UtilityHead(output="utility", threshold=0.5),),
        provenance=Provenance(
            data="none: random weights", metrics={"auroc": 0.5}, licence="Apache-2.0", command="tests.export.test_int8"
        ),
    )
    attach_manifest(model, manifest, "small")
    return model


def samples() -> Samples:
    return load_samples([PHOTOS], [SPEC], damaged=True)


def _graph(*, slope: float, offset: float) -> ModelProto:
    random = np.random.default_rng(3)
    weights: dict[str, NDArray[Any]] = {
        "mean": np.array(127, np.float32),
        "deviation": np.array(64, np.float32),
        "zero": np.array(0, np.float32),
        "six": np.array(6, np.float32),
        "last axis": np.array([1], np.int64),
    }

    def layer(op: str, name: str, source: str, shape: tuple[int, ...], **attributes: Any) -> NodeProto:
        weights[f"{name}.weight"] = (random.normal(size=shape) * (2 / np.prod(shape[1:])) ** 0.5).astype(np.float32)
        weights[f"{name}.bias"] = random.normal(size=shape[0]).astype(np.float32) / 4
        return helper.make_node(op, [source, f"{name}.weight", f"{name}.bias"], [name], name, **attributes)

    nodes = [
        helper.make_node("Cast", ["frames"], ["cast"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["cast"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Sub", ["planes", "mean"], ["centred"]),
        helper.make_node("Div", ["centred", "deviation"], ["normalised"]),
        layer("Conv", "stem", "normalised", (16, 3, 3, 3), strides=[2, 2], pads=[1, 1, 1, 1]),
        helper.make_node("Clip", ["stem", "zero", "six"], ["stem6"], "stem clip"),
        layer("Conv", "depthwise", "stem6", (16, 1, 3, 3), group=16, pads=[1, 1, 1, 1]),
        helper.make_node("Clip", ["depthwise", "zero", "six"], ["depthwise6"], "depthwise clip"),
        layer("Conv", "pointwise", "depthwise6", (24, 16, 1, 1)),
        layer("Conv", "inner", "pointwise", (24, 24, 3, 3), dilations=[2, 2], pads=[2, 2, 2, 2]),
        helper.make_node("Add", ["inner", "pointwise"], ["sum"], "residual"),
        layer("Conv", "last", "sum", (32, 24, 3, 3), strides=[2, 2]),
        helper.make_node("Relu", ["last"], ["positive"], "relu"),
        helper.make_node("GlobalAveragePool", ["positive"], ["pooled"], "pool"),
        helper.make_node("Flatten", ["pooled"], ["flat"], "flatten"),
        layer("Gemm", "dense", "flat", (1, 32), transB=1),
        helper.make_node("Squeeze", ["dense", "last axis"], ["logit"]),
        helper.make_node("Sigmoid", ["logit"], ["utility"]),
    ]
    weights["dense.weight"] *= np.float32(slope)
    weights["dense.bias"] = weights["dense.bias"] * np.float32(slope) + np.float32(offset)
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("frames", TensorProto.UINT8, ["batch", 64, 64, 3])],
        [helper.make_tensor_value_info("utility", TensorProto.FLOAT, ["batch"])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


@pytest.fixture(scope="module")
def network() -> ModelProto:
    return small_network()


@pytest.fixture(scope="module")
def photos() -> Samples:
    return samples()


@pytest.fixture(scope="module")
def quantizer(network: ModelProto, photos: Samples) -> Quantizer:
    return Quantizer(network, photos, "percentile", seven_bits=SEVEN_BITS)


@pytest.fixture
def engine(network: ModelProto, tmp_path: Path) -> Path:
    path = tmp_path / "small.onnx"
    onnx.save(network, path)
    return path


def test_the_written_engine_is_int8_and_serves(
    engine: Path, tmp_path: Path, photos: Samples, network: ModelProto
) -> None:
    """One file that the runtime opens, with its input, heads, digest, tolerances and the command that made it."""
    output = tmp_path / "int8.onnx"
    assert main(["int8", str(engine), "--output", str(output), "--pictures", str(PHOTOS), *LENIENT, *BITS]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["int8.onnx", "small.onnx"]

    old, new = read_manifest(engine), read_manifest(output)
    assert old is not None
    assert new is not None
    assert (new.precision, new.inputs, new.heads) == ("int8", old.inputs, old.heads)
    assert new.digest == weights_digest(onnx.load(output)) != old.digest
    assert (new.tolerances.rank_correlation, new.tolerances.flips) == (0.9, 0.25)
    wanted = "python -m export int8 small.onnx --output int8.onnx --pictures photos --method percentile"
    assert new.provenance.command.startswith(wanted)
    assert (new.provenance.data, new.provenance.metrics) == (old.provenance.data, {})
    assert old.provenance.metrics

    kinds = {tensor.name: tensor.data_type for tensor in onnx.load(output).graph.initializer}
    assert TensorProto.INT8 in kinds.values()
    with ThreadPoolExecutor(1) as workers:
        answers = OnnxEngine(output, workers=workers, threads=1).infer(photos.inputs)
    assert answers["utility"].dtype == np.float32
    parity = compare(onnx_answers(network, photos), answers, old).outputs[0]
    assert (parity.rank_correlation or 0) >= 0.9


def test_the_baseline_bears_8_bits_but_in_its_first_layers(shipped: Path, tmp_path: Path) -> None:
    """The engine that ships, with its six most delicate layers in float32; of 20 held-out samples 3 may flip."""
    output = tmp_path / "int8.onnx"
    arguments = ["int8", str(shipped), "--output", str(output), "--pictures", str(PHOTOS)]
    assert main([*arguments, "--rank-correlation", "0.95", "--flips", "0.25", "--keep", *DELICATE, *BITS]) == 0
    assert output.stat().st_size < 0.3 * shipped.stat().st_size
    quantised = onnx.load(output)
    kept = {node.name for node in quantised.graph.node if node.op_type == "Conv" and node.input[1].endswith(".weight")}
    assert kept == set(DELICATE)


def test_a_score_does_not_depend_on_its_batch(quantizer: Quantizer, photos: Samples) -> None:
    """Frames judged together answer as each alone."""
    model = quantizer.quantise()
    together = onnx_answers(model, photos[:8])["utility"]
    alone = [onnx_answers(model, photos[i : i + 1])["utility"][0] for i in range(8)]
    np.testing.assert_allclose(together, alone, atol=1e-6)


def test_the_gate_writes_nothing_that_is_beyond_the_tolerances(
    engine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With half of the layers given back and still beyond: exit 2, each fault named, no file."""
    output = tmp_path / "int8.onnx"
    arguments = [
        "int8",
        str(engine),
        "--output",
        str(output),
        "--pictures",
        str(PHOTOS),
        "--rank-correlation",
        "1",
        *BITS,
    ]
    assert main(arguments) == 2
    assert not output.exists()
    told = capsys.readouterr().err
    assert "small does not bear 8 bits" in told
    assert re.search(r"held-out pictures: output 'utility': rank correlation 0\.\d+, at least 1 is asked", told)

    assert main([*arguments, "--unverified"]) == 0
    assert output.exists()
    assert "unverified" in capsys.readouterr().out

    assert main([*arguments[: -2 - len(BITS)], *BITS, "--unverified"]) == 0
    manifest = read_manifest(output)
    assert manifest is not None
    held_to_later = default_tolerances("int8", manifest.heads)  # where the user names nothing
    assert manifest.tolerances == held_to_later


def test_the_layers_that_hurt_most_are_given_back_until_the_gate_passes(network: ModelProto, photos: Samples) -> None:
    """A layer whose weights hardly fit on 8 bits is what is kept; it is enough, and nothing kept is beyond."""
    model = ModelProto.FromString(network.SerializeToString())
    _spoil(model, "depthwise")
    manifest = read_model_manifest(network, "small")
    pictures = Pictures(photos[:40], photos[40:])
    none = fit_int8(model, manifest, pictures, Tolerances(), seven_bits=SEVEN_BITS)
    assert none.kept == ()
    allowed = Tolerances(difference=max(one.difference for one in none.calibration.outputs) / 2)
    fitted = fit_int8(model, manifest, pictures, allowed, seven_bits=SEVEN_BITS)
    assert "depthwise" in fitted.kept
    assert len(fitted.kept) <= 3
    assert fitted.faults(allowed) == []
    assert none.faults(allowed)


def _spoil(model: ModelProto, name: str) -> None:
    """Add to each filter a large pattern that its next layer's input hardly excites: it takes all of the grid."""
    weight = next(tensor for tensor in model.graph.initializer if tensor.name == f"{name}.weight")
    values = numpy_helper.to_array(weight).copy()
    values[..., 0, 0] += 40
    values[..., 0, 1] -= 40
    weight.CopyFrom(numpy_helper.from_array(values, weight.name))


def test_kept_layers_compute_in_float32(quantizer: Quantizer, tmp_path: Path) -> None:
    """ONNX Runtime quantises a float layer between quantised ones when it opens a file, unless it is shielded."""
    for kept in ("pointwise", "last"):
        options = ort.SessionOptions()
        options.optimized_model_filepath = str(tmp_path / f"{kept}.onnx")
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
        ort.InferenceSession(quantizer.quantise([kept]).SerializeToString(), options)
        opened = onnx.load(options.optimized_model_filepath).graph
        kinds = {node.name: node.op_type for node in opened.node}
        weights = {tensor.name: tensor.data_type for tensor in opened.initializer}
        node = next(node for node in opened.node if kept in node.name and "Conv" in node.op_type)
        assert node.op_type in ("Conv", "FusedConv"), kinds
        assert weights[node.input[1]] == TensorProto.FLOAT
        assert "QLinearConv" in kinds.values()


def test_keep_keeps_from_the_start(engine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """``--keep`` is obeyed, said, and written into the command."""
    output = tmp_path / "int8.onnx"
    arguments = ["int8", str(engine), "--output", str(output), "--pictures", str(PHOTOS), "--keep", "depthwise", "stem"]
    assert main([*arguments, "--keep", "stem", *LENIENT, *BITS]) == 0
    told = capsys.readouterr().out
    assert "kept in float32: stem\nkept in float32: depthwise\ncalibration" in told  # each once, in their order
    names = {tensor.name for tensor in onnx.load(output).graph.initializer}
    assert {"stem.weight", "depthwise.weight"} <= names
    assert "last.weight" not in names
    manifest = read_manifest(output)
    assert manifest is not None
    assert "--keep depthwise stem stem" in manifest.provenance.command


@pytest.mark.parametrize("method", ["percentile", "minmax", "entropy"])
def test_every_method_calibrates(network: ModelProto, photos: Samples, method: Any) -> None:
    """Whatever chooses the ranges, every score stays a probability and follows the float32 one."""
    model = Quantizer(network, photos[:30], method, seven_bits=SEVEN_BITS).quantise()
    answers = onnx_answers(model, photos)["utility"]
    assert ((answers >= 0) & (answers <= 1)).all()
    assert np.corrcoef(answers, onnx_answers(network, photos)["utility"])[0, 1] > 0.9


def test_seven_bits_stay_within_them(network: ModelProto, photos: Samples) -> None:
    """For CPUs without VNNI no weight is beyond 64, so two products fit in 16 bits."""
    model = Quantizer(network, photos[:10], "minmax", seven_bits=True).quantise()
    codes = [numpy_helper.to_array(t) for t in model.graph.initializer if t.name.endswith(".weight_quantized")]
    assert len(codes) == len(LAYERS)
    assert max(int(np.abs(each.astype(int)).max()) for each in codes) == 64


def test_pictures_that_calibrate_are_never_held_out() -> None:
    """One picture in three is held out, with all its damaged copies: 12 photographs are 40 and 20 samples."""
    sides = split_pictures([PHOTOS], [SPEC], damaged=True)
    assert (len(sides.calibration), len(sides.held_out)) == (40, 20)
    calibrated, held_out = sides.calibration.inputs["frames"], sides.held_out.inputs["frames"]
    assert not {sample.tobytes() for sample in calibrated} & {sample.tobytes() for sample in held_out}
    again = split_pictures([PHOTOS], [SPEC], damaged=True)
    np.testing.assert_array_equal(held_out, again.held_out.inputs["frames"])
    assert len(split_pictures([PHOTOS], [SPEC], damaged=False).calibration) == 8


def test_rounding_changes_outputs_less_than_the_nearest_step_does(network: ModelProto, photos: Samples) -> None:
    """On pictures that it was not made from, and each weight is on the grid that its filter's largest one spans."""
    moments = collect_moments(network, photos[:40])
    rounded, nearest = (ModelProto.FromString(network.SerializeToString()) for _ in range(2))
    layers = round_layers(network, moments, 127)
    assert set(layers) == set(LAYERS)
    put_rounded(rounded, layers)
    tensors = {tensor.name: tensor for tensor in nearest.graph.initializer}
    for layer in find_layers(network):
        largest = np.abs(layer.weights.reshape(len(layer.weights), -1)).max(axis=1)
        steps = (largest / 127).reshape(-1, *[1] * (layer.weights.ndim - 1))
        name = layer.node.input[1]
        tensors[name].CopyFrom(numpy_helper.from_array(np.rint(layer.weights / steps) * steps, name))
        codes = layers[layer.node.name].weights / steps
        np.testing.assert_allclose(codes, np.rint(codes), atol=1e-3)
        np.testing.assert_allclose(np.abs(codes).reshape(len(codes), -1).max(axis=1), 127, atol=1e-3)
    wanted = onnx_answers(network, photos[40:])["utility"]
    errors = [np.abs(onnx_answers(model, photos[40:])["utility"] - wanted).mean() for model in (rounded, nearest)]
    assert errors[0] < errors[1] / 2


def test_only_nodes_between_layers_are_quantised(network: ModelProto) -> None:
    """The picture's normalisation and the score's sigmoid stay in float32."""
    names = {node.name for node in inner_nodes(network)}
    assert names == {*LAYERS, "stem clip", "depthwise clip", "residual", "relu", "pool", "flatten"}
    before = layers_before(network)
    assert before["stem"] == set()
    assert before["last"] == {"inner", "pointwise"}


def test_a_layer_between_kept_ones_is_kept(quantizer: Quantizer) -> None:
    """To convert its input and its output would cost more than 8 bits gain."""
    assert quantizer.bridged({"stem", "pointwise"}) == ("stem", "depthwise", "pointwise")
    assert quantizer.bridged({"stem"}) == ("stem",)
    assert quantizer.bridged({"last"}) == ("last",)


def _chain(*nodes: NodeProto, score: tuple[int, ...], weights: dict[str, tuple[int, ...]]) -> ModelProto:
    """Nodes from ``picture`` (batch, 3, 64, 64) to ``score`` (batch, ...), with random weights."""
    random = np.random.default_rng(0)
    graph = helper.make_graph(
        nodes,
        "chain",
        [helper.make_tensor_value_info("picture", TensorProto.FLOAT, ["batch", 3, 64, 64])],
        [helper.make_tensor_value_info("score", TensorProto.FLOAT, ["batch", *score])],
        [
            numpy_helper.from_array(random.uniform(0.5, 1, shape).astype(np.float32), name)
            for name, shape in weights.items()
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    return model


def _noise() -> Samples:
    return Samples({"picture": np.random.default_rng(1).uniform(0, 1, (8, 3, 64, 64)).astype(np.float32)})


def test_a_layer_behind_a_kept_one_is_kept_where_it_makes_much_smaller_what_is_converted() -> None:
    """Depthwise, 65,536 values become 4,096 by 36,864 products: kept. The next one shrinks nothing: in 8 bits."""
    model = _chain(
        helper.make_node("Conv", ["picture", "wide"], ["a"], "widen"),
        helper.make_node(
            "Conv", ["a", "fine"], ["b"], "shrink", group=16, strides=[4, 4], kernel_shape=[3, 3], pads=[1] * 4
        ),
        helper.make_node("Conv", ["b", "same"], ["c"], "stay"),
        helper.make_node("Conv", ["c", "last"], ["score"], "last"),
        score=(1, 1, 1),
        weights={"wide": (16, 3, 1, 1), "fine": (16, 1, 3, 3), "same": (16, 16, 1, 1), "last": (1, 16, 16, 16)},
    )
    quantizer = Quantizer(model, _noise(), "minmax")
    assert quantizer.bridged({"widen"}) == ("widen", "shrink")
    assert quantizer.bridged({"stay"}) == ("stay",)


def test_what_a_normalisation_reads_stays_in_float32() -> None:
    """One scale for the parts of a Concat would lose the smaller; the normalisation behind it computes in float32."""
    parts = [
        helper.make_node("Conv", ["picture", "filter"], ["seen"], "conv"),
        helper.make_node("GlobalAveragePool", ["seen"], ["pooled"], "pool"),
        helper.make_node("Flatten", ["pooled"], ["flat"], "flatten"),
    ]
    behind = [
        helper.make_node("Gemm", ["flat", "dense"], ["classes"], "classify"),
        helper.make_node("Concat", ["flat", "classes"], ["all"], "join", axis=1),
        helper.make_node("BatchNormalization", ["all", "one", "two", "three", "four"], ["normal"], "normalise"),
        helper.make_node("Gemm", ["normal", "head"], ["score"], "judge"),
    ]
    widths = dict.fromkeys(("one", "two", "three", "four"), (12,))
    weights = {"filter": (8, 3, 3, 3), "dense": (8, 4), "head": (12, 1), **widths}
    model = _chain(*parts, *behind, score=(1,), weights=weights)
    assert {node.name for node in inner_nodes(model)} == {"conv", "pool", "flatten", "classify", "judge"}


def test_a_clip_that_cuts_zero_off_stays(network: ModelProto, photos: Samples) -> None:
    """An 8-bit range always holds 0: it can stand for a ReLU6, not for a clip to 1..6."""
    model = ModelProto.FromString(network.SerializeToString())
    next(tensor for tensor in model.graph.initializer if tensor.name == "zero").CopyFrom(
        numpy_helper.from_array(np.array(1, np.float32), "zero")
    )
    kinds = [node.op_type for node in Quantizer(model, photos[:10], "minmax").quantise().graph.node]
    assert kinds.count("Clip") == 2
    assert [node.op_type for node in Quantizer(network, photos[:10], "minmax").quantise().graph.node].count("Clip") == 0


def _refused(capsys: pytest.CaptureFixture[str], tmp_path: Path, *arguments: object) -> str:
    output = tmp_path / "refused.onnx"
    assert main(["int8", *map(str, arguments), "--output", str(output)]) == 2
    assert not output.exists()
    return capsys.readouterr().err


def test_wrong_input_is_refused_with_the_remedy(
    engine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each text names what was asked for, what is there and what to do; nothing is written."""
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "no pictures" in _refused(capsys, tmp_path, engine, "--pictures", empty)
    assert "no such file or folder" in _refused(capsys, tmp_path, engine, "--pictures", tmp_path / "nowhere")
    one = next(PHOTOS.glob("*.jpg"))
    assert "give more" in _refused(capsys, tmp_path, engine, "--pictures", one)
    told = _refused(capsys, tmp_path, engine, "--pictures", PHOTOS, "--keep", "depthwize")
    assert "--keep depthwize: no such layer; near are depthwise" in told
    assert "of 6 in all" in told
    told = _refused(capsys, tmp_path, engine, "--pictures", PHOTOS, "--flips", "2")
    assert "--flips 2.0: it is from 0 to 1" in told
    text = tmp_path / "text.onnx"
    text.write_text("no network")
    assert "not an ONNX" in _refused(capsys, tmp_path, text, "--pictures", PHOTOS)
    assert "nowhere.onnx" in _refused(capsys, tmp_path, tmp_path / "nowhere.onnx", "--pictures", PHOTOS)
    bare = make_engine(tmp_path / "bare.onnx", manifest=None)
    assert "no manifest" in _refused(capsys, tmp_path, bare, "--pictures", PHOTOS)
    plain = make_engine(tmp_path / "plain.onnx")
    assert "no layer that 8 bits are for" in _refused(capsys, tmp_path, plain, "--pictures", PHOTOS)


def test_an_int8_engine_is_not_quantised_again(
    engine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], quantizer: Quantizer
) -> None:
    """By its manifest, and by its graph where the manifest says otherwise."""
    manifest = read_manifest(engine)
    assert manifest is not None
    for kind, words in (("int8", "is int8; give the float32 engine"), ("fp32", "is quantised already")):
        model = quantizer.quantise()
        update = {"precision": kind, "digest": weights_digest(model)}
        attach_manifest(model, manifest.model_copy(update=update), "int8")
        path = tmp_path / f"{kind}.onnx"
        onnx.save(model, path)
        assert words in _refused(capsys, tmp_path, path, "--pictures", PHOTOS)


def test_the_benchmark_compares_engines_of_one_task(
    engine: Path, tmp_path: Path, quantizer: Quantizer, capsys: pytest.CaptureFixture[str]
) -> None:
    """Frames a second and answers of each beside the first; engines that judge something else are refused."""
    manifest = read_manifest(engine)
    assert manifest is not None
    model = quantizer.quantise()
    attach_manifest(model, int8_manifest(manifest, model, Tolerances(), "here"), "int8")
    int8, results = tmp_path / "int8.onnx", tmp_path / "results.json"
    onnx.save(model, int8)
    arguments = ["--pictures", str(PHOTOS), "--frames", "6", "--rounds", "2", "--json", str(results)]
    assert precision.main([str(engine), str(int8), *arguments]) == 0
    assert "int8.onnx (int8)" in capsys.readouterr().out
    written = json.loads(results.read_text())
    assert written["frames"] == 6
    first, second = written["engines"].values()
    assert set(first["of_the_first"].values()) == {1.0}
    assert min(second["fps"].values()) > 0
    assert second["parity"][0]["rank_correlation"] > 0.9

    other = make_engine(tmp_path / "other.onnx")
    with pytest.raises(ConfigError, match=r"other.onnx \(fp32\) has other inputs or heads than small.onnx"):
        precision.main([str(engine), str(other)])


def test_both_sets_of_pictures_count() -> None:
    """An engine that is right on the pictures which made it, or on the others alone, does not pass."""
    good, bad = (Parity((OutputParity("utility", "utility", 20, 0, 0, 0, rank, 0.0),)) for rank in (1.0, 0.5))
    allowed = Tolerances(rank_correlation=0.9)

    assert Int8(ModelProto(), (), good, good).faults(allowed) == []
    assert [fault.split(":")[0] for fault in Int8(ModelProto(), (), good, bad).faults(allowed)] == ["held-out pictures"]
    assert [fault.split(":")[0] for fault in Int8(ModelProto(), (), bad, good).faults(allowed)] == [
        "calibration pictures"
    ]


@pytest.mark.parametrize("right", ["calibration", "held_out"])
def test_a_fit_that_passes_on_one_set_alone_is_refused(
    network: ModelProto, photos: Samples, monkeypatch: pytest.MonkeyPatch, right: str
) -> None:
    """The other set is answered at random, whatever is kept."""
    sets = {"calibration": photos[:40], "held_out": photos[40:]}
    wrong = next(samples for name, samples in sets.items() if name != right)
    random = np.random.default_rng(5)

    def answers(model: ModelProto, samples: Samples) -> dict[str, NDArray[Any]]:
        exact = onnx_answers(model, samples)
        return {"utility": random.random(len(samples))} if samples is wrong else exact

    monkeypatch.setattr(quantize, "onnx_answers", answers)
    with pytest.raises(EngineError, match="does not bear 8 bits"):
        fit_int8(network, read_model_manifest(network, "small"), Pictures(**sets), Tolerances(rank_correlation=0.8))


def test_a_fit_keeps_what_lies_between_kept_layers(
    network: ModelProto, photos: Samples, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The layer that spoils the answers is between the two that are tried first: only bridging reaches it."""
    model = ModelProto.FromString(network.SerializeToString())
    _spoil(model, "depthwise")
    manifest, pictures = read_model_manifest(network, "small"), Pictures(photos[:40], photos[40:])
    harm = {layer: {"utility": {"stem": 2.0, "pointwise": 1.0}.get(layer, 0.0)} for layer in LAYERS}
    monkeypatch.setattr(quantize, "_harm", lambda *_: harm)
    none = fit_int8(model, manifest, pictures, Tolerances(), seven_bits=SEVEN_BITS)
    allowed = Tolerances(difference=max(one.difference for one in none.calibration.outputs) / 2)

    fitted = fit_int8(model, manifest, pictures, allowed, seven_bits=SEVEN_BITS)

    assert fitted.kept == ("stem", "depthwise", "pointwise")


def test_an_engine_of_float_layers_is_refused(
    engine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], quantizer: Quantizer
) -> None:
    """More than half of the layers, by name or between those named; all of them would leave nothing in 8 bits."""
    for keep in (LAYERS, ["stem", "pointwise", "last"]):
        told = _refused(capsys, tmp_path, engine, "--pictures", PHOTOS, "--unverified", "--keep", *keep)
        assert "layers would stay in float32" in told
    with pytest.raises(EngineError, match="6 of 6 layers in float32"):
        quantizer.quantise(LAYERS)
    assert not quantizer.keeps_too_many(LAYERS[:3])


def test_layers_without_names_can_be_kept_by_what_is_printed(
    network: ModelProto, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The names that the command gives them are those that it takes."""
    model = ModelProto.FromString(network.SerializeToString())
    for node in model.graph.node:
        node.name = ""
    bare, output = tmp_path / "bare.onnx", tmp_path / "int8.onnx"
    onnx.save(model, bare)
    told = _refused(capsys, tmp_path, bare, "--pictures", PHOTOS, "--keep", "nothing")
    name = told.split("near are ")[1].split(",")[0]

    arguments = ["int8", str(bare), "--output", str(output), "--pictures", str(PHOTOS), *LENIENT, *BITS]
    assert main([*arguments, "--keep", name]) == 0
    assert f"kept in float32: {name}" in capsys.readouterr().out


@pytest.mark.parametrize("level", [0, 255])
@pytest.mark.parametrize("count", [1, 30])
def test_a_camera_that_shows_one_colour_calibrates(
    network: ModelProto, photos: Samples, level: int, count: int
) -> None:
    """Inputs that do not vary have no covariance to invert; every weight is finite and on its grid."""
    stuck = Samples({"frames": np.full_like(photos.inputs["frames"][:count], level)})
    layers = round_layers(network, collect_moments(network, stuck), 127)

    assert set(layers) == set(LAYERS)
    assert all(np.isfinite(layer.weights).all() and np.isfinite(layer.shift).all() for layer in layers.values())


def test_moments_that_cannot_be_inverted_round_to_the_nearest(network: ModelProto) -> None:
    """What float32's sums, or an overflow, leave of a covariance need not be one."""
    for value in (-1e9, np.nan):
        moments = {
            layer.node.name: Moments(
                1,
                np.zeros((layer.groups, layer.filters.shape[2])),
                np.full((layer.groups, *[layer.filters.shape[2]] * 2), value),
            )
            for layer in find_layers(network)
        }
        rounded = round_layers(network, moments, 127)
        for layer in find_layers(network):
            largest = np.abs(layer.weights.reshape(len(layer.weights), -1)).max(axis=1)
            steps = (largest / 127).reshape(-1, *[1] * (layer.weights.ndim - 1))
            nearest = np.rint(layer.weights / steps) * steps
            np.testing.assert_allclose(rounded[layer.node.name].weights, nearest, atol=1e-6)


def test_moments_are_sums_in_double_precision(network: ModelProto) -> None:
    """Two pictures give fewer places than inputs: the covariance is singular, and float32 would make it negative."""
    pictures = samples()[::5][:2]
    for layer in find_layers(network):
        _, covariance = collect_moments(network, pictures)[layer.node.name].centred()
        scale = np.abs(covariance).max()
        assert np.linalg.eigvalsh(covariance).min() > -1e-9 * scale


def test_a_picture_under_two_names_is_on_one_side(tmp_path: Path) -> None:
    """By its content: a copy among the held-out pictures would prove nothing."""
    for path in PHOTOS.glob("*.jpg"):
        for name in (path.name, f"copy-of-{path.name}"):
            (tmp_path / name).write_bytes(path.read_bytes())

    sides = split_pictures([tmp_path, tmp_path], [SPEC], damaged=False)

    assert (len(sides.calibration), len(sides.held_out)) == (8, 4)


def test_one_held_out_sample_is_refused_before_the_work(
    engine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It could never pass: one sample ranks nothing. With damaged copies two pictures are enough."""
    pictures = sorted(PHOTOS.glob("*.jpg"))[:5]
    told = _refused(capsys, tmp_path, engine, "--no-damaged", "--pictures", *pictures)
    assert "of 5 different ones, one would be held out, and one sample ranks nothing; give 6 or more" in told
    assert len(split_pictures(pictures[:2], [SPEC], damaged=True).held_out) == 5
