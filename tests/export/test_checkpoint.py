"""A checkpoint comes back as it was saved, or not at all. Needs the export extra, and says so where it is missing."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

REASON = "needs the export extra (pip install 'framegate[export]')"
torch = pytest.importorskip("torch", reason=REASON)
pytest.importorskip("safetensors", reason=REASON)

from runtime.errors import ConfigError  # noqa: E402 - what follows needs torch
from tests.export.networks import pyramid, pyramid_checkpoint  # noqa: E402
from training.checkpoint import load_checkpoint, save_checkpoint  # noqa: E402
from training.files import write_whole  # noqa: E402
from training.models import ARCHITECTURES  # noqa: E402


@pytest.fixture
def stem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A saved checkpoint; its stem has a dot of its own."""
    monkeypatch.setitem(ARCHITECTURES, "pyramid", pyramid)
    stem = tmp_path / "net-1.0"
    save_checkpoint(stem, pyramid_checkpoint(dynamic_size=True))
    return stem


SMALL = {"name": "x", "height": 2, "width": 2}
UTILITY = {"kind": "utility", "output": "usefulness", "threshold": 0.5}


def change(stem: Path, **changes: Any) -> None:
    path = stem.with_name(f"{stem.name}.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_saved_and_loaded_are_the_same(stem: Path) -> None:
    """Description and every weight and buffer, bit for bit; in evaluation mode; two files and nothing else."""
    saved, loaded = pyramid_checkpoint(dynamic_size=True), load_checkpoint(stem)

    weights, others = loaded.network.state_dict(), saved.network.state_dict()
    assert loaded.description == saved.description
    assert weights.keys() == others.keys()
    assert all(torch.equal(weights[name], others[name]) for name in others)
    assert not loaded.network.training
    assert sorted(path.name for path in stem.parent.iterdir()) == ["net-1.0.json", "net-1.0.safetensors"]


@pytest.mark.parametrize("suffix", [".safetensors", ".json"])
def test_either_file_names_the_checkpoint(stem: Path, suffix: str) -> None:
    """People complete file names with a key."""
    assert load_checkpoint(stem.with_name(stem.name + suffix)).description.name == "pyramid"


def weights_of_another_training(stem: Path) -> None:
    path = stem.with_name(f"{stem.name}.safetensors")
    path.write_bytes(path.read_bytes()[:-1] + b"\x42")


def no_weights(stem: Path) -> None:
    stem.with_name(f"{stem.name}.safetensors").unlink()


def no_description(stem: Path) -> None:
    stem.with_name(f"{stem.name}.json").unlink()


def of_an_earlier_version(stem: Path) -> None:
    path = stem.with_name(f"{stem.name}.json")
    document = json.loads(path.read_text())
    [document["input"]] = document.pop("inputs")
    path.write_text(json.dumps(document | {"format": "framegate/checkpoint/1"}))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (no_weights, r"net-1\.0\.safetensors: No such file.*STEM\.safetensors beside STEM\.json"),
        (no_description, r"net-1\.0\.json: No such file"),
        (weights_of_another_training, r"net-1\.0\.safetensors is not the file that net-1\.0\.json speaks of"),
        (lambda stem: change(stem, architecture="resnet-9000"), "unknown architecture 'resnet-9000'.*pyramid"),
        (lambda stem: change(stem, arguments={"depth": 3}), r"pyramid does not take \{'depth': 3\}"),
        (lambda stem: change(stem, arguments={"channels": 4}), r"not the weights of pyramid.*size mismatch"),
        (lambda stem: change(stem, format="framegate/checkpoint/9"), "format: "),
        (lambda stem: change(stem, weight="1 kg"), "weight: Extra inputs"),
        (lambda stem: change(stem, inputs=[SMALL | {"color": "BGR"}]), "input x: uint8, NHWC and RGB are due"),
        (lambda stem: change(stem, inputs=[]), "inputs: .*at least 1"),
        (lambda stem: change(stem, inputs=[SMALL, SMALL]), r"\['x', 'x'\] name one twice"),
        (lambda stem: change(stem, heads=[UTILITY, UTILITY]), "name a kind twice"),
        (of_an_earlier_version, r'earlier version \(framegate/checkpoint/1\): train it anew.*"inputs": \['),
    ],
)
def test_what_does_not_fit_is_refused(stem: Path, spoil: Callable[[Path], None], said: str) -> None:
    """Missing, changed, unknown: an error of the operator's that names the file."""
    spoil(stem)

    with pytest.raises(ConfigError, match=said):
        load_checkpoint(stem)


def test_weights_that_are_no_safetensors_are_refused(stem: Path) -> None:
    """Even where the hash was made to fit: nothing is ever unpickled."""
    import hashlib  # noqa: PLC0415

    content = b"\x80\x04K\x01."  # a pickle
    stem.with_name(f"{stem.name}.safetensors").write_bytes(content)
    change(stem, sha256=hashlib.sha256(content).hexdigest())

    with pytest.raises(ConfigError, match=r"net-1\.0\.safetensors: not the weights of pyramid"):
        load_checkpoint(stem)


def test_every_architecture_answers_in_its_heads_ranges() -> None:
    """A dict of named outputs, the batch first, from pixels in 0..255."""
    pytest.importorskip("timm", reason=REASON)
    for build in [ARCHITECTURES["efficientnet-lite0-confidence"]]:
        network = build().eval()
        with torch.inference_mode():
            answers = network(torch.rand(2, 3, 224, 224) * 255)
        assert {name: tuple(values.shape) for name, values in answers.items()} == {"utility": (2,)}
        assert 0 <= float(answers["utility"].min()) <= float(answers["utility"].max()) <= 1


@pytest.mark.parametrize("name", [".", "/", ".json"])
def test_a_stem_without_a_name_is_refused(name: str) -> None:
    """A folder is no checkpoint: the text says how one is named."""
    with pytest.raises(ConfigError, match="named by STEM"):
        load_checkpoint(Path(name))


def test_what_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    """No half of a file, whatever stops it."""
    (tmp_path / "taken").mkdir()
    with pytest.raises(OSError, match="taken"):
        write_whole(tmp_path / "taken", b"content")
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]
