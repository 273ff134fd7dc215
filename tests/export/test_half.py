"""Half precision: converted soundly, judged honestly on the CPU, and no more of it than the answers bear."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from export.__main__ import main
from export.answers import onnx_answers
from export.graph import inputs, outputs
from export.half import fit_half, half_share, rank_nodes, to_half
from export.manifest import load_model, read_manifest, save_model, write_manifest
from export.parity import compare, default_tolerances
from export.rounding import round_halves, sort_nodes
from export.samples import Samples, load_samples
from runtime.errors import EngineError
from runtime.manifest import Input, Manifest, Provenance, Tolerances, UtilityHead
from tests.export.conftest import ROOT

PHOTOS = ROOT / "demo" / "photos"
SPEC = Input(name="frames", height=8, width=8)
HEADS = (UtilityHead(output="utility", threshold=0.5),)
HALF = default_tolerances("fp16", HEADS)
Weights = dict[str, NDArray[Any]]


def graph(nodes: list[NodeProto], weights: Weights) -> ModelProto:
    """frames (batch, 8, 8, 3) uint8 -> mean, in float32 -> nodes -> utility (batch,)."""
    before = [
        helper.make_node("Cast", ["frames"], ["pixels"], "cast", to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["pixels", "axes"], ["mean"], "reduce", keepdims=0),
    ]
    weights = {"axes": np.array([1, 2, 3], np.int64)} | weights
    made = helper.make_graph(
        before + nodes,
        "test",
        [helper.make_tensor_value_info("frames", TensorProto.UINT8, ["batch", 8, 8, 3])],
        [helper.make_tensor_value_info("utility", TensorProto.FLOAT, ["batch"])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def manifest(model: ModelProto) -> Manifest:
    from export.manifest import weights_digest  # noqa: PLC0415

    return Manifest(
        name="test",
        version="1",
        digest=weights_digest(model),
        inputs=(SPEC,),
        heads=HEADS,
        provenance=Provenance(data="none", licence="Apache-2.0", command="none"),
    )


def overflowing() -> ModelProto:
    """mean / 255 by way of a number that no half can hold; other weights (8000 of them) do nothing."""
    nodes = [
        helper.make_node("Mul", ["mean", "thousand"], ["large"], "enlarge"),
        helper.make_node("Div", ["large", "many"], ["score"], "reduce it"),
        helper.make_node("Expand", ["zeros", "shape"], ["wide"], "widen"),
        helper.make_node("ReduceSum", ["wide"], ["nothing"], "sum", keepdims=0),
        helper.make_node("Add", ["score", "nothing"], ["utility"], "add"),
    ]
    weights: Weights = {
        "thousand": np.array(1000, np.float32),
        "many": np.array(255_000, np.float32),
        "zeros": np.zeros(8000, np.float32),
        "shape": np.array([8000], np.int64),
    }
    return graph(nodes, weights)


def frames() -> Samples:
    levels = np.linspace(0, 255, 24).astype(np.uint8)
    return Samples({"frames": np.broadcast_to(levels[:, None, None, None], (24, 8, 8, 3)).copy()})


def test_every_step_of_a_half_graph_is_rounded() -> None:
    """ONNX Runtime alone would compute the steps in float32 and leave the roundings out."""
    nodes = [
        helper.make_node("Add", ["mean", "big"], ["sum"], "add"),
        helper.make_node("Sub", ["sum", "big"], ["difference"], "subtract"),
        helper.make_node("Div", ["difference", "most"], ["utility"], "divide"),
    ]
    weights: Weights = {"big": np.array(2048, np.float32), "most": np.array(255, np.float32)}
    half = to_half(graph(nodes, weights))

    answers = onnx_answers(half, frames())["utility"]

    steps = np.float16(frames().inputs["frames"].mean(axis=(1, 2, 3)))
    expected = np.float32((steps + np.float16(2048) - np.float16(2048)) / np.float16(255))
    exact = frames().inputs["frames"].mean(axis=(1, 2, 3)) / 255
    np.testing.assert_array_equal(answers, expected)
    assert np.abs(expected - exact).max() > 1e-3


def test_inputs_outputs_and_constants_of_halves_are_rounded_too() -> None:
    """A graph all in halves, its constants in nodes: NumPy's float16, bit for bit."""
    tensor = numpy_helper.from_array(np.array(2048, np.float16), "big")
    nodes = [
        helper.make_node("Constant", [], ["big"], "constant", value=tensor),
        helper.make_node("Add", ["pixels", "big"], ["sum"], "add"),
        helper.make_node("Sub", ["sum", "big"], ["difference"], "subtract"),
        helper.make_node("Cast", ["difference"], ["copy"], "cast", to=TensorProto.FLOAT16),
    ]
    made = helper.make_graph(
        nodes,
        "halves",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT16, ["batch", 3])],
        [helper.make_tensor_value_info("copy", TensorProto.FLOAT16, ["batch", 3])],
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    samples = np.random.default_rng(0).uniform(-20, 20, (50, 3)).astype(np.float16)

    answers = onnx_answers(model, Samples({"pixels": samples}))["copy"]

    expected = samples + np.float16(2048) - np.float16(2048)
    np.testing.assert_array_equal(answers, expected.astype(np.float32))
    assert np.abs(answers - samples).max() > 0.5


def test_rounding_leaves_a_float_graph_alone() -> None:
    """Only halves are rounded."""
    model = overflowing()

    assert round_halves(model) is model


def test_converted_graph_keeps_its_interface(shipped: Path) -> None:
    """uint8 in, float32 scores out, all weights halves, half the size, sound for ONNX's checker."""
    model = load_model(shipped)

    half = to_half(model)

    onnx.checker.check_model(half, full_check=True)
    assert list(map(str, inputs(half))) == list(map(str, inputs(model)))
    assert list(map(str, outputs(half))) == list(map(str, outputs(model)))
    assert half_share(half) == 1
    assert half_share(model) == 0
    assert half.ByteSize() < 0.51 * model.ByteSize()
    assert {tensor.data_type for tensor in model.graph.initializer} == {TensorProto.FLOAT, TensorProto.INT64}


def test_kept_nodes_compute_in_float_with_their_own_weights(shipped: Path) -> None:
    """Neighbours, nodes that share a weight, one that is read twice: sound, and no rounding between neighbours."""
    model = load_model(shipped)
    convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
    kept = {node.name for node in model.graph.node[3:12]} | {convolutions[-1].name}

    half = to_half(model, tuple(kept))

    onnx.checker.check_model(half, full_check=True)
    types = {tensor.name: tensor.data_type for tensor in half.graph.initializer}
    originals = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    floats = {tensor.name: tensor for tensor in half.graph.initializer if tensor.data_type == TensorProto.FLOAT}
    for node in half.graph.node:
        expected = TensorProto.FLOAT if node.name in kept else TensorProto.FLOAT16
        assert {types[name] for name in node.input if name in types} <= {expected, TensorProto.INT64}
    for name, tensor in floats.items():
        np.testing.assert_array_equal(numpy_helper.to_array(tensor), originals[name.split("/")[0]])
    first = [node.op_type for node in half.graph.node][:12]
    assert first == ["Cast", "Transpose", "Sub", "Cast", "Div", "Conv", "Clip", "Conv", "Clip", "Conv", "Conv", "Clip"]


def test_nothing_is_kept_where_nothing_needs_it() -> None:
    """A graph that half precision serves well is converted whole."""
    model = graph(
        [helper.make_node("Div", ["mean", "most"], ["utility"], "divide")], {"most": np.array(255, np.float32)}
    )

    half = fit_half(model, manifest(model), frames(), HALF)

    assert half.kept == ()
    assert half.parity.faults(HALF) == []


def test_the_node_that_overflows_is_kept() -> None:
    """It ranks first, and with its reader it stays in float32; the rest is half."""
    model = overflowing()
    assert rank_nodes(model, manifest(model), frames())[0] == "enlarge"

    half = fit_half(model, manifest(model), frames(), HALF)

    assert {"enlarge", "reduce it"} <= set(half.kept)
    assert half_share(half.model) > 0.99
    np.testing.assert_allclose(
        onnx_answers(half.model, frames())["utility"], onnx_answers(model, frames())["utility"], atol=5e-3, rtol=0
    )


def test_nodes_without_names_are_named() -> None:
    """Other exporters leave them out; the nodes to keep are known by them."""
    model = overflowing()
    for node in model.graph.node:
        node.name = ""

    half = fit_half(model, manifest(model), frames(), HALF)

    assert {"Mul_2", "Div_3"} <= set(half.kept)
    assert half.parity.faults(HALF) == []


def test_an_engine_that_must_stay_in_float_is_refused() -> None:
    """A half-precision engine that is mostly float32 gains nothing: the text says so."""
    model = overflowing()
    del model.graph.node[4:6]
    model.graph.node[-1].input[1] = "nothing at all"
    model.graph.initializer.append(numpy_helper.from_array(np.array(0, np.float32), "nothing at all"))
    [zeros] = [tensor for tensor in model.graph.initializer if tensor.name == "zeros"]
    model.graph.initializer.remove(zeros)

    with pytest.raises(EngineError, match=r"test does not bear half precision.*Serve it in float32"):
        fit_half(model, manifest(model), frames(), HALF)


def test_sort_keeps_the_order_where_it_can() -> None:
    """A node moves behind what it reads; others stay."""
    model = overflowing()
    sorted_names = [node.name for node in model.graph.node]
    nodes = list(model.graph.node)
    shuffled = [NodeProto.FromString(node.SerializeToString()) for node in [nodes[-1], *nodes[:-1]]]
    del model.graph.node[:]
    model.graph.node.extend(shuffled)

    sort_nodes(model)

    assert [node.name for node in model.graph.node] == sorted_names


def test_shipped_engine_in_half_precision(shipped: Path, tmp_path: Path) -> None:
    """The command keeps its sensitive nodes in float32, and then every photograph scores within 5e-3."""
    output = tmp_path / "half.onnx"

    assert main(["fp16", str(shipped), "--output", str(output), "--pictures", str(PHOTOS)]) == 0

    made = read_manifest(output)
    assert made is not None
    assert (made.precision, made.tolerances) == ("fp16", HALF)
    onnx.checker.check_model(load_model(output), full_check=True)
    samples = load_samples([PHOTOS], made.inputs)
    parity = compare(onnx_answers(shipped, samples), onnx_answers(output, samples), made)
    assert parity.outputs[0].difference <= 5e-3
    assert half_share(load_model(output)) > 0.95


def test_command_refuses_what_it_cannot_prove(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No pictures and no word that none are wanted; a failed gate; a half engine given: exit 2, nothing written."""
    model = overflowing()
    engine, output = tmp_path / "float.onnx", tmp_path / "half.onnx"
    save_model(model, engine)
    write_manifest(engine, manifest(model))
    command = ["fp16", str(engine), "--output", str(output)]

    assert main(command) == 2
    assert "--unverified" in capsys.readouterr().err
    assert main([*command, "--pictures", str(PHOTOS), "--difference", "0"]) == 2
    assert "does not bear half precision" in capsys.readouterr().err
    assert main([*command, "--unverified", "--difference", "2"]) == 2
    assert list(tmp_path.iterdir()) == [engine]

    assert main([*command, "--unverified"]) == 0
    assert "not compared" in capsys.readouterr().out
    assert main(["fp16", str(output), "--output", str(engine), "--unverified"]) == 2
    assert "give the float32 engine" in capsys.readouterr().err


def test_half_of_the_difference_is_aimed_at(shipped: Path) -> None:
    """Other pictures differ more than those that chose the nodes: what just passes on these is not enough."""
    model = load_model(shipped)
    made, samples = read_manifest(shipped), load_samples([PHOTOS], inputs_of(shipped))
    assert made is not None
    whole = compare(onnx_answers(model, samples), onnx_answers(to_half(model), samples), made)
    allowed = Tolerances(difference=1.2 * whole.outputs[0].difference)

    half = fit_half(model, made, samples, allowed)

    assert whole.faults(allowed) == []
    assert half.kept
    assert half.parity.outputs[0].difference <= 0.6 * whole.outputs[0].difference


def inputs_of(engine: Path) -> tuple[Input, ...]:
    made = read_manifest(engine)
    assert made is not None
    return made.inputs


def test_a_value_of_unknown_type_is_refused() -> None:
    """It might be a half, and would go unrounded: the gate would judge better answers than a device gives."""
    model = to_half(overflowing())
    [divide] = [node for node in model.graph.node if node.name == "reduce it"]
    divide.domain, divide.op_type = "com.acme", "Ratio"
    model.opset_import.append(helper.make_opsetid("com.acme", 1))
    with pytest.raises(EngineError, match=r"node 'reduce it' \(com\.acme Ratio\): ONNX cannot tell the type"):
        round_halves(model)


def test_a_graph_in_floats_may_hold_unknown_types() -> None:
    """No half can come of them."""
    model = overflowing()
    model.graph.node[3].domain = "com.acme"
    model.opset_import.append(helper.make_opsetid("com.acme", 1))

    assert round_halves(model) is model


def test_the_manifest_tells_how_the_half_was_made(tmp_path: Path) -> None:
    """By its own command, names without folders; the float32 engine's metrics are not this one's."""
    model = overflowing()
    engine, output = tmp_path / "float.onnx", tmp_path / "deep" / "half.onnx"
    save_model(model, engine)
    own = manifest(model)
    metrics = own.provenance.model_copy(update={"metrics": {"auroc": 0.9}})
    write_manifest(engine, own.model_copy(update={"provenance": metrics}))
    pictures = [str(path) for path in sorted(PHOTOS.glob("*.jpg"))]

    command = ["fp16", str(engine), "--output", str(output), "--difference", "0.01", "--damaged"]
    assert main([*command, "--pictures", *pictures]) == 0

    made = read_manifest(output)
    assert made is not None
    wanted = "python -m export fp16 float.onnx --output half.onnx --difference 0.01 --pictures photos --damaged"
    assert (made.provenance.command, made.provenance.metrics) == (wanted, {})
    assert made.provenance.data == "none"
