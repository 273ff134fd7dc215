"""Recipes, the record of a run, and the command: from labels to a checkpoint that is served."""

import csv
import dataclasses
import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from runtime.errors import ConfigError
from runtime.manifest import head_threshold
from tests.training.small_labels import PHOTOS, small_labels
from training import allocator, commit
from training.__main__ import main
from training.commands import fitting
from training.commands.fitting import read_recipe
from training.lock import only_writer
from training.quality.deeprn_recipes import RECIPES as DEEPRN_RECIPES
from training.run_record import FILE, RunRecord, begin_run, finish_run
from training.utility.recipes import RECIPES

ROOT = Path(__file__).parents[2]
REASON = "needs the train extra (pip install 'framegate[train]')"


def test_the_papers_recipe_is_the_papers() -> None:
    """SGD, 1e-4, momentum .9, weight decay 1e-4, batches of 128, hard labels by agreement, classes balanced."""
    paper = RECIPES["paper"]
    assert (paper.optimizer, paper.learning_rate, paper.momentum, paper.weight_decay) == ("sgd", 1e-4, 0.9, 1e-4)
    assert (paper.batch_size, paper.schedule, paper.target, paper.rule) == (128, "constant", "agreement", "paper")
    assert paper.balance
    assert paper.auxiliary_weight == 0


def test_a_recipe_is_a_preset_or_a_file_with_changes(tmp_path: Path) -> None:
    changed = read_recipe(
        RECIPES, "distilled", ["learning_rate=0.5", "target=majority", "flip=false", "clip_norm=null"], 2.5
    )
    assert (changed.learning_rate, changed.target, changed.flip, changed.clip_norm) == (0.5, "majority", False, None)
    assert changed.epochs == 2.5
    assert changed.batch_size == RECIPES["distilled"].batch_size

    (tmp_path / "own.json").write_text(changed.model_dump_json())
    assert read_recipe(RECIPES, str(tmp_path / "own.json"), [], None) == changed


def test_bfloat16_is_float32_where_it_is_emulated(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In a recipe's parts, too, and standard error says so; who asks for it gets it; elsewhere recipes stay."""
    monkeypatch.setattr(fitting, "computes_bfloat16", lambda device: device != "cpu")
    assert read_recipe(RECIPES, "distilled", [], None, "cpu").precision == "float32"
    assert "in float32, since this CPU only emulates its bfloat16" in capsys.readouterr().err
    parts = read_recipe(DEEPRN_RECIPES, "small", [], None, "cpu")
    assert (parts.classes.precision, parts.shares.precision) == ("float32", "float32")
    assert "in float32" in capsys.readouterr().err

    assert read_recipe(RECIPES, "distilled", [], None, "cuda").precision == "bfloat16"
    assert read_recipe(RECIPES, "paper", [], None, "cpu").precision == "float32"
    assert not capsys.readouterr().err
    assert read_recipe(RECIPES, "distilled", ["precision=bfloat16"], None, "cpu").precision == "bfloat16"


@pytest.mark.parametrize(
    ("name", "changes", "fault"),
    [
        ("best", [], "there are paper, distilled"),
        ("paper", ["rate=1"], "NAME one of optimizer, learning_rate"),
        ("paper", ["learning_rate"], "NAME=VALUE is due"),
        ("paper", ["learning_rate=-1"], "learning_rate: Input should be greater than 0"),
        ("paper", ["target=fun"], "target: Input should be 'agreement'"),
        ("paper", ["schedule=plateau"], "nothing is chosen by these; it can be constant"),
        ("distilled", ["statistics=0"], "the head needs the classifier's probabilities"),
    ],
)
def test_what_a_recipe_does_not_have_is_named(name: str, changes: list[str], fault: str) -> None:
    with pytest.raises(ConfigError, match=fault):
        read_recipe(RECIPES, name, changes, None)


def test_a_run_is_gone_on_with_under_the_same_request_only(tmp_path: Path) -> None:
    record = begin_run(tmp_path, {"seed": 0, "labels": ["a", "b"]}, resume=False)
    with pytest.raises(ConfigError, match="--resume goes on with it"):
        begin_run(tmp_path, {"seed": 0, "labels": ["a", "b"]}, resume=False)
    with pytest.raises(ConfigError, match="seed: asked for 1, there is 0"):
        begin_run(tmp_path, {"seed": 1, "labels": ["a", "b"]}, resume=True)
    assert begin_run(tmp_path, {"seed": 0, "labels": ["a", "b"]}, resume=True) == record
    begin_run(tmp_path / "nested", {"recipe": {"epochs": 1, "batch_size": 8}}, resume=False)
    with pytest.raises(ConfigError, match=r"run: recipe\.batch_size: asked for 4, there is 8; name another"):
        begin_run(tmp_path / "nested", {"recipe": {"epochs": 1, "batch_size": 4}}, resume=True)

    finish_run(tmp_path, record, {"auroc": 0.75, "kept": float("nan")})
    finished = RunRecord.model_validate_json((tmp_path / FILE).read_bytes())
    assert finished.measures == {"auroc": 0.75, "kept": None}
    assert {"python", "numpy"} <= finished.versions.keys()


def test_the_commit_is_this_projects(tmp_path: Path) -> None:
    """Installed inside of another project's checkout, the code has none; changed files are told."""

    def git(*words: str) -> str:
        command = ["git", "-C", str(tmp_path), "-c", "user.name=n", "-c", "user.email=e", *words]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    (tmp_path / ".gitignore").write_text("installed.py\n")
    (tmp_path / "own.py").write_text("1\n")
    (tmp_path / "installed.py").write_text("1\n")
    assert commit.current_commit(tmp_path / "own.py") is None
    git("init")
    git("add", ".")
    git("commit", "-m", "first")
    head = git("rev-parse", "HEAD")

    assert commit.current_commit(tmp_path / "own.py") == head
    assert commit.current_commit(tmp_path / "installed.py") is None
    (tmp_path / "own.py").write_text("2\n")
    assert commit.current_commit(tmp_path / "own.py") == f"{head}-dirty"


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
    assert train(tmp_path / "labels", tmp_path / "a" / "run", "--threshold", "0.25") == 0
    assert train(tmp_path / "labels", tmp_path / "b" / "run", "--threshold", "0.25") == 0
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
    assert all(commit in checkpoint.description.provenance.data for commit in record["commits"])
    assert str(tmp_path) not in checkpoint.description.model_dump_json()
    assert head_threshold(checkpoint.description.heads[0]) == 0.25
    assert "--threshold 0.25" in checkpoint.description.provenance.command
    with torch.inference_mode():
        scores = checkpoint.network(torch.rand(2, 3, 224, 224) * 255)["utility"]
    assert ((scores > 0) & (scores < 1)).all()


def test_two_runs_never_write_to_one_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The second is refused with the remedy and leaves the first's files alone."""
    for package in ("torch", "timm", "safetensors", "matplotlib"):
        pytest.importorskip(package, reason=REASON)
    small_labels(tmp_path / "labels")
    with only_writer(tmp_path / "run"):
        assert train(tmp_path / "labels", tmp_path / "run") == 2
    assert "another run is writing there" in capsys.readouterr().err
    assert list((tmp_path / "run").iterdir()) == []


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
    assert "(train: with --resume)" in capsys.readouterr().err
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


def test_labels_that_are_all_for_the_test_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A set that was held out for the evaluation is not one to learn from."""
    for package in ("torch", "timm", "matplotlib"):
        pytest.importorskip(package, reason=REASON)
    labels = small_labels()
    held_out = tuple(dataclasses.replace(source, split="test") for source in labels.sources)
    dataclasses.replace(labels, sources=held_out).save(tmp_path / "labels")
    assert train(tmp_path / "labels", tmp_path / "run") == 2
    assert "small has no picture to learn from: all are of its test split" in capsys.readouterr().err


def test_a_seed_is_a_natural_number(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        train(tmp_path, tmp_path / "run", "--seed", "-1")
    assert "argument --seed: -1 is not at least 0" in capsys.readouterr().err


@pytest.mark.parametrize(("asked", "spins"), [({}, False), ({"OMP_WAIT_POLICY": "active"}, True)])
def test_threads_that_wait_leave_the_cores_to_others(tmp_path: Path, asked: dict[str, str], spins: bool) -> None:
    """GNU's OpenMP says how often a thread looks before it sleeps, as PyTorch loads it; what the user set stays."""
    pytest.importorskip("torch", reason=REASON)
    pytest.importorskip("matplotlib", reason=REASON)
    if platform.libc_ver()[0] != "glibc":
        pytest.skip("PyTorch's OpenMP is not GNU's")
    own = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "GOMP_"))}
    command = [sys.executable, "-m", "training", "train", "utility", "--labels", "gone", "--output", str(tmp_path)]
    environment = {**own, **asked, "OMP_DISPLAY_ENV": "verbose"}
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "GOMP_SPINCOUNT = " in done.stderr
    assert ("GOMP_SPINCOUNT = '0'" not in done.stderr) == spins


@pytest.mark.parametrize(
    ("more", "fault"),
    [
        (["--labelled-by", "strange"], "has the networks keen, weak, apart; not strange"),
        (["--weights", "some.pth"], "--weights some.pth: EfficientNet-Lite0 has those of its package"),
        (["--network", "resnet18"], "auxiliary_weight: ResNet-18's last layer"),
        (["--pictures", "elsewhere"], "elsewhere: 8 of the 8 pictures that were labelled are not there"),
        (["--device", "abacus"], "--device abacus: PyTorch has none here"),
        (["--name", "run"], "--name run: a file's bare name is due"),
        (["--name", "../utility"], "--name ../utility: a file's bare name is due"),
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
