"""``python -m training evaluate utility``: report, curves, and errors that name what is wrong."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.route import write_brightness_engine
from tests.training.labels_by_hand import NAMES, detectors, four_classifiers
from training.__main__ import main
from training.utility.evaluation import ALL, DAMAGED
from training.utility.header import PSEUDO_TRUTH
from training.utility.label_set import LabelSet


@pytest.fixture
def labels() -> LabelSet:
    return four_classifiers()


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
    assert f"| young | all | {auroc} ± 0.000 [{auroc}, {auroc}] |" in text


def test_damaged_samples_stand_alone_too(labels: LabelSet, engine: Path, tmp_path: Path) -> None:
    """AUROC and the gains at 10, 20 and 30 %, of each judge: the undamaged samples are easy."""
    labels.save(tmp_path / "labels")
    arguments = ["evaluate", "utility", "--labels", str(tmp_path / "labels"), "--gates", str(engine)]
    arguments += ["--no-baseline", "--trained-on", "old", "--resamples", "0", "--no-curves"]

    assert main([*arguments, "--output", str(tmp_path / "out")]) == 0

    text = (tmp_path / "out" / "REPORT.md").read_text()
    document = json.loads((tmp_path / "out" / "REPORT.json").read_bytes())
    told = {(r["judge"], r["kind"]): r["measures"] for r in document["rows"] if r["scoring"] == "brightness"}
    for judge in ("pooled: young, younger", "young"):
        for kind in (ALL, DAMAGED):
            numbers = [told[judge, kind]["auroc"], *told[judge, kind]["gains"].values()]
            assert f"| brightness | {' | '.join(f'{number:.3f}' for number in numbers)} |" in text


def test_a_gate_that_was_trained_on_the_pictures_is_told(labels: LabelSet, tmp_path: Path) -> None:
    """By the label set's digest in what the gate says that it learned from; not on the split that it did not see."""
    labels = labels.save(tmp_path / "labels")
    write_brightness_engine(tmp_path / "gate.onnx", data=f"labels by-hand ({labels.digest}): blend of old")
    arguments = ["evaluate", "utility", "--labels", str(tmp_path / "labels"), "--gates", str(tmp_path / "gate.onnx")]
    arguments += ["--no-baseline", "--trained-on", "old", "--resamples", "0", "--no-curves"]
    for split, warned in (("all", True), ("test", False)):
        assert main([*arguments, "--split", split, "--output", str(tmp_path / split)]) == 0
        text = (tmp_path / split / "REPORT.md").read_text()
        assert f"It learned from: labels by-hand ({labels.digest}): blend of old" in text
        assert ("Pictures that it was trained on are among these" in text) == warned


def test_no_network_passes_for_unseen_that_a_gate_names(
    labels: LabelSet, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A forgotten name would make the gate better than it is."""
    labels.save(tmp_path / "labels")
    write_brightness_engine(tmp_path / "gate.onnx", data="labels elsewhere: blend of old, young; true labels")
    arguments = ["evaluate", "utility", "--labels", str(tmp_path / "labels"), "--gates", str(tmp_path / "gate.onnx")]
    arguments += ["--no-baseline", "--resamples", "0", "--no-curves", "--output", str(tmp_path / "out")]

    assert main([*arguments, "--trained-on", "old"]) == 2
    assert "--trained-on lacks young: the gate gate says that it learned from" in capsys.readouterr().err
    assert main([*arguments, "--trained-on", "young", "old"]) == 0


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
    assert "recognises a picture if it finds anything in it" in text
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
        (["--trained-on", "--pictures", "elsewhere"], "elsewhere: 6 of the 6 pictures"),
        (["--trained-on", "--baseline", "nowhere.onnx"], "--baseline nowhere.onnx: no such file; --no-baseline"),
        (["--trained-on", "--gates", "some/net.json", "some/net"], "the same gate is given twice"),
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
