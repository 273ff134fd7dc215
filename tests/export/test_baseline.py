"""The engine that ships, as it lies in ``models/``. Needs no torch."""

import re
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from numpy.typing import NDArray

from export.graph import inputs, outputs
from export.manifest import check_manifest, load_model, read_manifest, weights_digest
from runtime.manifest import Manifest, head_threshold


@pytest.fixture(scope="module")
def model(shipped: Path) -> onnx.ModelProto:
    return load_model(shipped)


@pytest.fixture(scope="module")
def manifest(shipped: Path) -> Manifest:
    manifest = read_manifest(shipped)
    assert manifest is not None
    return manifest


@pytest.fixture(scope="module")
def session(shipped: Path) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    return ort.InferenceSession(shipped, options, providers=["CPUExecutionProvider"])


def scores(session: ort.InferenceSession, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
    result: NDArray[np.float32] = session.run(["utility"], {"frames": frames})[0]
    return result


def test_opset_is_20_and_the_graph_is_valid(model: onnx.ModelProto) -> None:
    """One operator set, the one every runtime of ours reads; shapes and types check out."""
    onnx.checker.check_model(model, full_check=True)

    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", 20)]


def test_cast_precedes_transpose(model: onnx.ModelProto) -> None:
    """TensorRT's parser refuses to transpose uint8: nothing but the Cast may touch the input."""
    users = [node.op_type for node in model.graph.node if "frames" in node.input]
    order = [node.op_type for node in model.graph.node]

    assert users == ["Cast"]
    assert order.index("Cast") < order.index("Transpose")


def test_signature(model: onnx.ModelProto) -> None:
    """uint8 NHWC in, one float32 a frame out, the batch dynamic in both."""
    assert list(map(str, inputs(model))) == ["frames uint8 (batch, 224, 224, 3)"]
    assert list(map(str, outputs(model))) == ["utility float32 (batch)"]


def test_one_file_under_20_mb_that_tells_nothing_of_the_machine_it_was_made_on(
    shipped: Path, model: onnx.ModelProto
) -> None:
    """All weights are inside, and no stack trace of the exporter is."""
    assert shipped.stat().st_size < 20_000_000
    assert not any(onnx.external_data_helper.uses_external_data(tensor) for tensor in model.graph.initializer)
    assert not re.search(rb"site-packages|\.py\b|/home/|/tmp/|/root/", shipped.read_bytes())


def test_manifest_fits_the_graph_and_its_weights(model: onnx.ModelProto, manifest: Manifest) -> None:
    """Digest, names, dtypes and shapes are the graph's."""
    check_manifest(model, manifest, "shipped")

    assert manifest.digest == weights_digest(model)
    assert manifest.name == "utility-baseline"


def test_card_names_the_shipped_digest_and_command(shipped: Path, manifest: Manifest) -> None:
    """The card speaks of this very file."""
    card = shipped.with_suffix(".md").read_text(encoding="utf-8")

    assert manifest.digest in card
    assert manifest.provenance.command in card


@pytest.mark.parametrize("size", [1, 2, 5, 12])
def test_batch_is_dynamic(session: ort.InferenceSession, photographs: NDArray[np.uint8], size: int) -> None:
    """Any batch gives one finite score in [0, 1] a frame."""
    result = scores(session, photographs[:size])

    assert result.shape == (size,)
    assert result.dtype == np.float32
    assert np.isfinite(result).all()
    assert ((result >= 0) & (result <= 1)).all()


@pytest.mark.parametrize("value", [0, 114, 255])
def test_flat_frames_score_in_range_and_below_the_threshold(
    session: ort.InferenceSession, manifest: Manifest, value: int
) -> None:
    """Black, grey and white frames have a finite score, and it drops them."""
    result = scores(session, np.full((1, 224, 224, 3), value, np.uint8))

    threshold = head_threshold(manifest.heads[0])
    assert threshold is not None
    assert 0 <= float(result[0]) < threshold


def test_extreme_pixels_give_finite_scores(session: ort.InferenceSession) -> None:
    """Noise of only 0 and 255, the hardest input there is, stays in [0, 1]."""
    frames = np.random.default_rng(0).integers(0, 2, (4, 224, 224, 3), dtype=np.uint8) * np.uint8(255)

    result = scores(session, frames)

    assert np.isfinite(result).all()
    assert ((result >= 0) & (result <= 1)).all()


def test_score_depends_on_its_own_frame_alone(session: ort.InferenceSession, photographs: NDArray[np.uint8]) -> None:
    """Alone, in a batch, in a shuffled batch: the same score."""
    order = np.random.default_rng(1).permutation(len(photographs))
    alone = np.concatenate([scores(session, frame[None]) for frame in photographs])

    np.testing.assert_allclose(scores(session, photographs), alone, rtol=0, atol=1e-6)
    np.testing.assert_allclose(scores(session, photographs[order]), alone[order], rtol=0, atol=1e-6)


def test_colours_are_rgb(session: ort.InferenceSession, photographs: NDArray[np.uint8]) -> None:
    """The network is surer of photographs in RGB than with red and blue swapped."""
    swapped = np.ascontiguousarray(photographs[..., ::-1])

    assert scores(session, photographs).mean() > scores(session, swapped).mean()


def test_photographs_score_above_their_ruins(session: ort.InferenceSession, photographs: NDArray[np.uint8]) -> None:
    """On average a photograph is worth more than itself scrambled."""
    ruins = photographs.copy().reshape(len(photographs), -1, 3)
    np.random.default_rng(2).shuffle(ruins, axis=1)

    assert scores(session, photographs).mean() > 2 * scores(session, ruins.reshape(photographs.shape)).mean()
