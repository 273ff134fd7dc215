"""Recipes, the record of a run, and the command: from labels to a checkpoint that is served."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from runtime.errors import ConfigError
from tests.training.small_labels import PHOTOS, small_labels
from training import allocator
from training.__main__ import main
from training.commands.train import read_recipe
from training.run_record import FILE, RunRecord, begin_run, finish_run
from training.utility.recipes import RECIPES

REASON = "needs the train extra (pip install 'framegate[train]')"


def test_the_papers_recipe_is_the_papers() -> None:
    """SGD, 1e-4, momentum .9, weight decay 1e-4, batches of 128, hard labels by agreement, classes balanced."""
    paper = RECIPES["paper"]
    assert (paper.optimizer, paper.learning_rate, paper.momentum, paper.weight_decay) == ("sgd", 1e-4, 0.9, 1e-4)
    assert (paper.batch_size, paper.schedule, paper.target, paper.rule) == (128, "constant", "agreement", "paper")
    assert paper.balance
    assert paper.auxiliary_weight == 0


def test_a_recipe_is_a_preset_or_a_file_with_changes(tmp_path: Path) -> None:
    changed = read_recipe("distilled", ["learning_rate=0.5", "target=majority", "flip=false", "clip_norm=null"], 2.5)
    assert (changed.learning_rate, changed.target, changed.flip, changed.clip_norm) == (0.5, "majority", False, None)
    assert changed.epochs == 2.5
    assert changed.batch_size == RECIPES["distilled"].batch_size

    (tmp_path / "own.json").write_text(changed.model_dump_json())
    assert read_recipe(str(tmp_path / "own.json"), [], None) == changed


@pytest.mark.parametrize(
    ("name", "changes", "fault"),
    [
        ("best", [], "there are paper, distilled"),
        ("paper", ["rate=1"], "NAME one of optimizer, learning_rate"),
        ("paper", ["learning_rate"], "NAME=VALUE is due"),
        ("paper", ["learning_rate=-1"], "learning_rate: Input should be greater than 0"),
        ("paper", ["target=fun"], "target: Input should be 'agreement'"),
    ],
)
def test_what_a_recipe_does_not_have_is_named(name: str, changes: list[str], fault: str) -> None:
    with pytest.raises(ConfigError, match=fault):
        read_recipe(name, changes, None)


def test_a_run_is_gone_on_with_under_the_same_request_only(tmp_path: Path) -> None:
    record = begin_run(tmp_path, {"seed": 0, "labels": ["a", "b"]}, resume=False)
    with pytest.raises(ConfigError, match="--resume goes on with it"):
        begin_run(tmp_path, {"seed": 0, "labels": ["a", "b"]}, resume=False)
    with pytest.raises(ConfigError, match="seed: asked for 1, there is 0"):
        begin_run(tmp_path, {"seed": 1, "labels": ["a", "b"]}, resume=True)
    assert begin_run(tmp_path, {"seed": 0, "labels": ["a", "b"]}, resume=True) == record

    finish_run(tmp_path, record, {"auroc": 0.75, "kept": float("nan")})
    finished = RunRecord.model_validate_json((tmp_path / FILE).read_bytes())
    assert finished.measures == {"auroc": 0.75, "kept": None}
    assert {"python", "numpy"} <= finished.versions.keys()


# --- The command


@pytest.fixture(autouse=True)
def _memory_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command's setting of the allocator is for the whole process, which here runs other tests too."""
    monkeypatch.setattr(allocator, "keep_memory", lambda: False)


def train(labels: Path, output: Path, *more: str) -> int:
    command = ["train", "utility", "--labels", str(labels), "--pictures", str(PHOTOS), "--output", str(output)]
    command += ["--weights", "none", "--set", "batch_size=4", "--steps", "4", "--snapshot-every", "2"]
    return main([*command, "--validate-every", "3", "--threads", "1", "--labelled-by", "keen", "weak", *more])


def test_equal_commands_write_equal_checkpoints_that_serve(tmp_path: Path) -> None:
    """The same bytes; the record names data, recipe, seed and versions; the gateway's form of it gives scores."""
    torch = pytest.importorskip("torch", reason=REASON)
    for package in ("timm", "safetensors", "matplotlib"):
        pytest.importorskip(package, reason=REASON)
    from training.checkpoint import load_checkpoint  # noqa: PLC0415

    digest = small_labels(tmp_path / "labels").digest
    assert train(tmp_path / "labels", tmp_path / "a" / "run") == 0
    assert train(tmp_path / "labels", tmp_path / "b" / "run") == 0
    for name in ("utility.safetensors", "utility.json"):
        assert (tmp_path / "a" / "run" / name).read_bytes() == (tmp_path / "b" / "run" / name).read_bytes()

    record = json.loads((tmp_path / "a" / "run" / FILE).read_bytes())
    asked = record["asked"]
    assert (asked["labels_digest"], asked["labelled_by"], asked["steps"]) == (digest, ["keen", "weak"], 4)
    assert (asked["recipe"]["batch_size"], asked["seed"]) == (4, 0)
    assert {"torch", "timm"} <= record["versions"].keys()
    validations = list(csv.DictReader((tmp_path / "a" / "run" / "validations.csv").read_text().splitlines()))
    assert [row["step"] for row in validations] == ["3", "4"]
    assert float(validations[-1]["auroc_unseen"]) == pytest.approx(record["measures"]["auroc_unseen"])

    checkpoint = load_checkpoint(tmp_path / "a" / "run" / "utility")
    assert "WARNING: begun with random weights" in checkpoint.description.provenance.data
    assert digest in checkpoint.description.provenance.data
    assert str(tmp_path) not in checkpoint.description.model_dump_json()
    with torch.inference_mode():
        scores = checkpoint.network(torch.rand(2, 3, 224, 224) * 255)["utility"]
    assert ((scores > 0) & (scores < 1)).all()


def test_a_resumed_command_ends_as_one_that_was_not_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ctrl-C after a snapshot; then without --resume it is refused, and with it the weights are the same."""
    pytest.importorskip("torch", reason=REASON)
    for package in ("timm", "safetensors", "matplotlib"):
        pytest.importorskip(package, reason=REASON)
    from training.utility.training import Batch, UtilityTask  # noqa: PLC0415

    small_labels(tmp_path / "labels")
    assert train(tmp_path / "labels", tmp_path / "whole") == 0
    take = UtilityTask.batch

    def interrupted(self: UtilityTask, step: int) -> Batch:
        if step == 3:
            raise KeyboardInterrupt
        return take(self, step)

    with monkeypatch.context() as patch:
        patch.setattr(UtilityTask, "batch", interrupted)
        assert train(tmp_path / "labels", tmp_path / "stopped") == 130
    assert not (tmp_path / "stopped" / "utility.safetensors").exists()
    assert train(tmp_path / "labels", tmp_path / "stopped") == 2
    assert "--resume goes on with it" in capsys.readouterr().err
    assert train(tmp_path / "labels", tmp_path / "stopped", "--resume") == 0
    weights = [(tmp_path / name / "utility.safetensors").read_bytes() for name in ("whole", "stopped")]
    assert weights[0] == weights[1]


def test_the_papers_network_learns_from_balanced_labels(tmp_path: Path) -> None:
    """ResNet-18 with the paper's recipe: two epochs' worth of steps, from random weights."""
    for package in ("torch", "torchvision", "timm", "safetensors", "matplotlib"):
        pytest.importorskip(package, reason=REASON)
    small_labels(tmp_path / "labels")
    more = ["--recipe", "paper", "--network", "resnet18", "--set", "rule=relative", "head_rate=10"]
    assert train(tmp_path / "labels", tmp_path / "run", *more) == 0

    losses = [float(row["loss"]) for row in csv.DictReader((tmp_path / "run" / "steps.csv").read_text().splitlines())]
    assert len(losses) == 4
    assert np.isfinite(losses).all()


@pytest.mark.parametrize(
    ("more", "fault"),
    [
        (["--labelled-by", "strange"], "has the networks keen, weak, apart; not strange"),
        (["--weights", "some.pth"], "--weights some.pth: EfficientNet-Lite0 has those of its package"),
        (["--network", "resnet18"], "auxiliary_weight: ResNet-18's last layer"),
    ],
)
def test_what_cannot_be_trained_is_said_before_anything_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], fault: str
) -> None:
    for package in ("torch", "timm", "matplotlib"):
        pytest.importorskip(package, reason=REASON)
    small_labels(tmp_path / "labels")
    assert train(tmp_path / "labels", tmp_path / "run", *more) == 2
    assert fault in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
