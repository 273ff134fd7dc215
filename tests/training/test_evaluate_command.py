"""``python -m training evaluate utility``: report, curves, and errors that name what is wrong."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.route import write_brightness_engine
from tests.training.labels_by_hand import NAMES, detectors, four_classifiers
from training.__main__ import main
from training.utility.evaluation import ALL
from training.utility.header import PSEUDO_TRUTH
from training.utility.label_set import LabelSet


@pytest.fixture
def labels() -> LabelSet:
    return four_classifiers()


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Utility is the mean brightness at 64 x 64, threshold .3."""
    path = tmp_path_factory.mktemp("engine") / "brightness.onnx"
    write_brightness_engine(path)
    return path


def test_report_and_curves(labels: LabelSet, engine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Tables, JSON and pictures say truth and unseen networks; a second run, without pictures, repeats them."""
    labels.save(tmp_path / "labels")
    arguments = ["evaluate", "utility", "--labels", str(tmp_path / "labels"), "--gates", str(engine)]
    arguments += ["--no-baseline", "--trained-on", "old", "--resamples", "20", "--output", str(tmp_path / "out")]

    assert main(arguments) == 0

    assert "30 samples, 7 judges" in capsys.readouterr().out
    text = (tmp_path / "out" / "REPORT.md").read_text()
    assert "- Truth: **true labels**" in text
    assert "- Unseen (no network of its family gave training labels): young, younger" in text
    assert "- Kin (it gave no training labels, but a network of its family did): older" in text
    document = json.loads((tmp_path / "out" / "REPORT.json").read_bytes(), parse_constant=pytest.fail)
    [row] = [r for r in document["rows"] if (r["scoring"], r["judge"], r["kind"]) == ("brightness", "young", ALL)]
    assert f"| brightness | {row['measures']['auroc']:.3f} [" in text
    assert document["trained_on"] == ["old"]
    assert [len(document["filtered"]), document["filtered"][0]["gate"]] == [4, "brightness"]
    for name in document["curves"]:
        picture = cv2.imread(str(tmp_path / "out" / name))
        assert picture is not None
        assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 20
    assert len(document["curves"]) == 3

    assert main([*arguments, "--pictures", str(tmp_path / "gone")]) == 0
    assert json.loads((tmp_path / "out" / "REPORT.json").read_bytes()) == document


def test_the_spread_over_seeds_is_told(labels: LabelSet, engine: Path, tmp_path: Path) -> None:
    """Of two gates with equal scores there is none."""
    labels.save(tmp_path / "labels")
    other = tmp_path / "other.onnx"
    write_brightness_engine(other)
    arguments = ["evaluate", "utility", "--labels", str(tmp_path / "labels"), "--gates", str(engine), str(other)]
    arguments += ["--no-baseline", "--trained-on", "--resamples", "0", "--no-curves"]

    assert main([*arguments, "--output", str(tmp_path / "out")]) == 0

    text = (tmp_path / "out" / "REPORT.md").read_text()
    document = json.loads((tmp_path / "out" / "REPORT.json").read_bytes())
    [auroc] = {
        f"{row['measures']['auroc']:.3f}"
        for row in document["rows"]
        if (row["judge"], row["kind"]) == ("young", ALL) and row["scoring"] in ("brightness", "other")
    }
    assert f"| young | {auroc} ± 0.000 [{auroc}, {auroc}] |" in text


def test_detectors_and_pseudo_truth_are_named(engine: Path, tmp_path: Path) -> None:
    """A gate of quite another training: no network gave labels, all are unseen."""
    scores = [[0.9], [0.8], [0.1], [], [0.6]] * len(NAMES)
    detectors({"young": scores, "old": scores}, PSEUDO_TRUTH).save(tmp_path / "labels")
    arguments = ["evaluate", "utility", "--labels", str(tmp_path / "labels"), "--gates", str(engine)]
    arguments += ["--no-baseline", "--trained-on", "--resamples", "0", "--no-curves"]

    assert main([*arguments, "--output", str(tmp_path / "out")]) == 0

    text = (tmp_path / "out" / "REPORT.md").read_text()
    assert f"**{PSEUDO_TRUTH}**; no number here is about true labels" in text
    assert "- None of these networks gave training labels" in text
    assert "| young | unseen | brightness |" in text
    assert not list((tmp_path / "out").glob("*.png"))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (["--trained-on", "yuong"], "yuong"),
        (["--trained-on", "--split", "train"], "--split train"),
        (["--trained-on", "--resamples", "-1"], "--resamples -1"),
        (["--trained-on", "--labels", "nowhere"], "nowhere"),
        (["--trained-on", "--gates", "nowhere.onnx"], "nowhere.onnx"),
        (["--trained-on", "--gates", "nothing"], "nothing.json"),
        (["--trained-on", "--pictures", "elsewhere"], "elsewhere"),
    ],
)
def test_what_is_wrong_is_named(
    wrong: list[str],
    said: str,
    labels: LabelSet,
    engine: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Exit code 2."""
    labels.save(tmp_path / "labels")
    arguments = ["evaluate", "utility", "--labels", str(tmp_path / "labels"), "--gates", str(engine)]
    arguments += ["--no-baseline", "--no-curves", "--output", str(tmp_path / "out")]

    assert main([*arguments, *wrong]) == 2

    assert said in capsys.readouterr().err
    assert not (tmp_path / "out" / "REPORT.md").exists()


def test_a_gate_given_twice_is_refused(
    labels: LabelSet, engine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The baseline counts as one; two files of one name are told apart by their paths."""
    labels.save(tmp_path / "labels")
    arguments = ["evaluate", "utility", "--labels", str(tmp_path / "labels"), "--trained-on", "--no-curves"]
    arguments += ["--resamples", "0", "--output", str(tmp_path / "out"), "--baseline", str(engine)]
    other = tmp_path / engine.name
    write_brightness_engine(other)

    assert main([*arguments, "--gates", str(engine)]) == 2
    assert "--no-baseline" in capsys.readouterr().err
    assert main([*arguments, "--gates", str(other)]) == 0
    text = (tmp_path / "out" / "REPORT.md").read_text()
    assert f"- Gate `{other}`" in text
    assert f"- Baseline `{engine}`" in text
