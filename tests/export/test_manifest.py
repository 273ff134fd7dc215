"""A manifest goes into any ONNX file, and never into one that it does not fit."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import ModelProto, TensorProto, helper, numpy_helper

from export.__main__ import main
from export.manifest import manifest_text, read_manifest, save_model, weights_digest, write_manifest
from runtime.errors import EngineError
from runtime.manifest import Manifest, head_threshold
from tests.export.conftest import ROOT
from tests.export.graphs import mean_graph

FRAMES: dict[str, Any] = {"name": "frames", "height": 32, "width": 48}
FLOATS = {"dtype": "float32", "mean": [0, 0, 0], "std": [1, 1, 1]}
FIELDS: dict[str, Any] = {
    "name": "mean",
    "version": "7",
    "inputs": [FRAMES],
    "heads": [{"kind": "utility", "output": "utility", "threshold": 0.25}],
    "provenance": {"data": "none", "licence": "Apache-2.0", "command": "none"},
}


@pytest.fixture
def engine(tmp_path: Path) -> Path:
    save_model(mean_graph(), tmp_path / "mean.onnx")
    return tmp_path / "mean.onnx"


def manifest_file(folder: Path, **changes: Any) -> Path:
    path = folder / "manifest.json"
    path.write_text(json.dumps(FIELDS | changes), encoding="utf-8")
    return path


def test_command_adds_a_manifest_that_onnx_runtime_reads(engine: Path, tmp_path: Path) -> None:
    """The manifest is in the file's metadata, its digest filled in, and the graph runs as before."""
    assert main(["manifest", str(engine), "--manifest", str(manifest_file(tmp_path))]) == 0

    session = ort.InferenceSession(engine, providers=["CPUExecutionProvider"])
    text = session.get_modelmeta().custom_metadata_map["framegate.manifest"]
    manifest = Manifest.model_validate_json(text)
    frames = np.full((3, 32, 48, 3), 51, np.uint8)
    assert manifest.digest == weights_digest(mean_graph())
    assert head_threshold(manifest.heads[0]) == 0.25
    np.testing.assert_allclose(session.run(["utility"], {"frames": frames})[0], [0.2] * 3, atol=1e-6)


def test_output_leaves_the_original_alone(engine: Path, tmp_path: Path) -> None:
    """With ``--output`` the engine's own file keeps its bytes."""
    before, copy = engine.read_bytes(), tmp_path / "new" / "copy.onnx"

    assert main(["manifest", str(engine), "--manifest", str(manifest_file(tmp_path)), "--output", str(copy)]) == 0

    assert engine.read_bytes() == before
    assert read_manifest(engine) is None
    assert read_manifest(copy) is not None


def test_a_second_manifest_takes_the_place_of_the_first(engine: Path, tmp_path: Path) -> None:
    """A file has one manifest; other metadata stays."""
    model = onnx.load(engine)
    model.metadata_props.add(key="author", value="somebody")
    save_model(model, engine)
    for version in ("7", "8"):
        main(["manifest", str(engine), "--manifest", str(manifest_file(tmp_path, version=version))])

    metadata = [(entry.key, entry.value) for entry in onnx.load(engine).metadata_props]
    assert sorted(key for key, _ in metadata) == ["author", "framegate.manifest"]
    manifest = read_manifest(engine)
    assert manifest is not None
    assert manifest.version == "8"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"inputs": [FRAMES | {"name": "images"}]}, "input 'images' is not in the graph"),
        ({"inputs": [FRAMES | {"name": "images"}]}, "'frames' is not in the manifest"),
        ({"inputs": [FRAMES | {"height": 48}]}, "(batch, 48, 48, 3)"),
        ({"inputs": [FRAMES | {"layout": "NCHW"}]}, "(batch, 3, 32, 48)"),
        (
            {"inputs": [FRAMES | FLOATS]},
            "is uint8 in the graph, not float32",
        ),
        ({"heads": [{"kind": "utility", "output": "score", "threshold": 0.5}]}, "output 'score' is not in the graph"),
        ({"heads": [{"kind": "quality", "output": "utility", "threshold": 2}]}, "not (batch, 5)"),
        ({"digest": "sha256:" + "0" * 64}, "leave it out"),
        ({"heads": [{"kind": "utility", "output": "utility", "threshold": 2}]}, "less than or equal to 1"),
        ({"colour": "RGB"}, "colour"),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_is_written(
    engine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], changes: dict[str, Any], said: str
) -> None:
    """Exit code 2, a message that names the fault, and the file keeps its bytes."""
    before = engine.read_bytes()

    assert main(["manifest", str(engine), "--manifest", str(manifest_file(tmp_path, **changes))]) == 2

    assert said in capsys.readouterr().err
    assert engine.read_bytes() == before


def test_the_refusal_lists_what_is_there(engine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Names, dtypes and shapes of the graph's inputs and outputs are in the message."""
    wrong = manifest_file(tmp_path, inputs=[FRAMES | {"name": "images"}])

    main(["manifest", str(engine), "--manifest", str(wrong)])

    message = capsys.readouterr().err
    assert "inputs: frames uint8 (batch, 32, 48, 3)" in message
    assert "outputs: utility float32 (batch)" in message


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (mean_graph(shape=[1, 32, 48, 3]), "batch fixed at 1"),
        (mean_graph(output=TensorProto.FLOAT16), "is float16 in the graph, not float32"),
    ],
)
def test_graphs_that_cannot_serve_are_refused(tmp_path: Path, model: onnx.ModelProto, said: str) -> None:
    """A fixed batch or a half-precision score is named with the remedy."""
    path = tmp_path / "engine.onnx"
    save_model(model, path)
    manifest = Manifest.model_validate(FIELDS | {"digest": weights_digest(model)})

    with pytest.raises(EngineError, match=said):
        write_manifest(path, manifest)


def test_a_graph_of_any_picture_size_takes_the_manifests(tmp_path: Path) -> None:
    """Dynamic height and width are no fault: the manifest fixes them."""
    path = tmp_path / "engine.onnx"
    save_model(mean_graph(shape=["batch", "height", "width", 3]), path)

    write_manifest(path, Manifest.model_validate(FIELDS | {"digest": weights_digest(onnx.load(path))}))

    assert read_manifest(path) is not None


@pytest.mark.parametrize("content", [None, b"", b"plain text, no protobuf \xff\xff"])
def test_what_is_no_engine_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes | None
) -> None:
    """A missing, empty or foreign file: exit code 2 and the file's name, no traceback."""
    path = tmp_path / "engine.onnx"
    if content is not None:
        path.write_bytes(content)

    assert main(["manifest", str(path)]) == 2

    assert str(path) in capsys.readouterr().err


def test_weights_in_another_file_are_brought_in(tmp_path: Path) -> None:
    """An engine is one file; the digest does not care where the weights lay."""
    path = tmp_path / "engine.onnx"
    onnx.save(mean_graph(), path, save_as_external_data=True, location="weights.bin", size_threshold=0)

    write_manifest(
        path, Manifest.model_validate(FIELDS | {"digest": weights_digest(mean_graph())}), tmp_path / "one.onnx"
    )

    (tmp_path / "weights.bin").unlink()
    assert read_manifest(tmp_path / "one.onnx") is not None
    with pytest.raises(EngineError, match="in another file are missing"):
        read_manifest(path)


def test_template_becomes_a_manifest_once_its_nulls_are_filled(
    engine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a manifest the command prints a template: the graph's facts are in it, the maker's are null."""
    assert main(["manifest", str(engine)]) == 0
    printed = capsys.readouterr()
    template = json.loads(printed.out)
    assert "no manifest" in printed.err
    assert template["inputs"][0]["height"] == 32
    assert template["heads"] == [{"kind": "utility", "output": "utility", "threshold": None}]
    path = tmp_path / "filled.json"

    path.write_text(json.dumps(template), encoding="utf-8")
    assert main(["manifest", str(engine), "--manifest", str(path)]) == 2

    template["heads"][0]["threshold"] = 0.5
    template["provenance"] = FIELDS["provenance"]
    path.write_text(json.dumps(template), encoding="utf-8")
    assert main(["manifest", str(engine), "--manifest", str(path)]) == 0
    assert main(["manifest", str(engine)]) == 0
    assert json.loads(capsys.readouterr().out.partition("\n")[2])["heads"][0]["threshold"] == 0.5


def test_template_leaves_a_float_inputs_normalisation_to_its_maker(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A float NCHW graph: layout and size are read off, mean and std are null."""
    path = tmp_path / "engine.onnx"
    save_model(mean_graph(dtype=TensorProto.FLOAT, shape=["n", 3, 64, 80]), path)

    main(["manifest", str(path)])

    spec = json.loads(capsys.readouterr().out)["inputs"][0]
    assert (spec["layout"], spec["height"], spec["width"]) == ("NCHW", 64, 80)
    assert spec["mean"] is None
    assert spec["std"] is None


def test_template_proposes_what_a_map_and_patches_can_be(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Five dimensions are patches, whose grid the maker knows; a score's kind is its name's, or the maker's to say."""
    model = two_views()
    path = tmp_path / "engine.onnx"
    save_model(model, path)

    main(["manifest", str(path)])

    template = json.loads(capsys.readouterr().out)
    whole, patches = template["inputs"]
    assert "patches" not in whole
    assert (patches["height"], patches["width"], patches["layout"]) == (16, 24, "NHWC")
    assert patches["patches"] == {"rows": None, "columns": None, "least_side": 720}
    assert template["heads"] == [
        {"kind": "clarity", "output": "my_clarity", "threshold": None},
        {"kind": None, "output": "score", "threshold": None},
        {"kind": "saliency", "output": "map", "height": 32, "width": 48},
    ]
    patches["patches"] |= {"rows": 2, "columns": 3}
    del template["heads"][1]
    filled = tmp_path / "filled.json"
    filled.write_text(json.dumps(template | {"provenance": FIELDS["provenance"]}), encoding="utf-8")
    assert main(["manifest", str(path), "--manifest", str(filled)]) == 0


def two_views() -> ModelProto:
    """frames and patches of them -> each picture's mean, twice, and the frame's planes' mean as a map."""
    model = mean_graph()
    graph = model.graph
    nodes = [
        helper.make_node("Cast", ["patches"], ["near"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["near", "all axes"], ["my_clarity"], keepdims=0),
        helper.make_node("Identity", ["my_clarity"], ["score"]),
        helper.make_node("ReduceMean", ["pixels", "last axis"], ["map"], keepdims=0),
    ]
    graph.node.extend(nodes)
    graph.input.append(helper.make_tensor_value_info("patches", TensorProto.UINT8, ["batch", 6, 16, 24, 3]))
    del graph.output[:]
    graph.output.extend(
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", *shape])
        for name, shape in (("my_clarity", ()), ("score", ()), ("map", (32, 48)))
    )
    axes = {"all axes": [1, 2, 3, 4], "last axis": [3]}
    graph.initializer.extend(numpy_helper.from_array(np.array(each), name) for name, each in axes.items())
    return model


def test_manifest_command_needs_no_torch(engine: Path) -> None:
    """Where torch cannot be imported, the command works as anywhere."""
    program = (
        "import sys; sys.modules.update(torch=None, timm=None, onnxruntime=None); "
        "from export.__main__ import main; sys.exit(main(sys.argv[1:]))"
    )

    done = subprocess.run(
        [sys.executable, "-c", program, "manifest", str(engine)], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["name"] == "mean"


def test_baseline_command_names_the_extra(tmp_path: Path) -> None:
    """Where torch is not installed, the message says what to install."""
    program = (
        "import sys; sys.modules.update(torch=None); from export.__main__ import main; sys.exit(main(sys.argv[1:]))"
    )

    done = subprocess.run(
        [sys.executable, "-c", program, "baseline", "--output", str(tmp_path / "x.onnx")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 2
    assert "framegate[cpu,export]" in done.stderr
    assert not (tmp_path / "x.onnx").exists()


@settings(deadline=None, max_examples=50)
@given(order=st.permutations(range(2)), note=st.text(max_size=20))
def test_digest_is_of_the_weights_alone(order: list[int], note: str) -> None:
    """The initialisers' order and what else the file says do not change it."""
    model = mean_graph()
    weights = [model.graph.initializer[index] for index in order]
    reordered = mean_graph()
    del reordered.graph.initializer[:]
    reordered.graph.initializer.extend(weights)
    reordered.doc_string = note
    reordered.graph.name = note

    assert weights_digest(reordered) == weights_digest(model)


@settings(deadline=None, max_examples=50)
@given(scale=st.floats(width=32, allow_nan=False).filter(lambda value: value != np.float32(1 / 255)))
def test_digest_changes_with_a_weight(scale: float) -> None:
    """Another value of one weight, another digest."""
    assert weights_digest(mean_graph(scale=scale)) != weights_digest(mean_graph())


@pytest.mark.parametrize("field", ["name", "dims", "data_type"])
def test_digest_changes_with_name_shape_and_dtype(field: str) -> None:
    """Equal bytes under another name, shape or dtype are other weights."""
    model = mean_graph()
    axes = next(tensor for tensor in model.graph.initializer if tensor.name == "axes")
    if field == "name":
        axes.name = "axis"
    elif field == "dims":
        axes.dims[:] = [3, 1]
    else:
        axes.data_type = TensorProto.UINT64

    assert weights_digest(model) != weights_digest(mean_graph())


def test_manifest_text_of_a_plain_graph_is_none() -> None:
    """No manifest is no error: the caller decides."""
    assert manifest_text(mean_graph()) is None
