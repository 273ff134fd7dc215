"""``python -m training evaluate cover``: what is measured, over which samples, and errors that name what is wrong."""

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.training.cover_gates import (
    CLARITY,
    LEVELS,
    SALIENCY,
    clarity_of,
    write_anchor,
    write_cover_set,
    write_engine,
)
from training.__main__ import main
from training.cover.cover_set import CoverSet
from training.cover.evaluation import ALL, GATED, Answers, answers_of
from training.cover.gate import CoverGate, open_cover_gate
from training.cover.levels import blurred
from training.cover.manifest import CoverSample
from training.cover.markdown import DASH
from training.cover.measures import by_level, measures
from training.cover.pairs import FurtherBlurs, framed, pairs_beside, pairs_in_set
from training.cover.report import Judged, Report
from training.cover.report_text import markdown
from training.cover.selection import select
from training.cover.timing import Cost


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A set of 6 pictures under 4 blurs in ``set``, and the engine ``red.onnx``."""
    folder = tmp_path_factory.mktemp("covers")
    write_cover_set(folder)
    write_engine(folder / "red.onnx")
    return folder


def evaluated(folder: Path, output: Path, *more: str, gates: tuple[str, ...] = ("red.onnx",)) -> dict[str, Any]:
    """REPORT.json."""
    paths = [str(folder / name) for name in gates]
    arguments = ["evaluate", "cover", "--set", str(folder / "set"), "--gates", *paths, "--output", str(output)]
    assert main([*arguments, "--resamples", "20", "--panels", "0", "--timed", "0", *more]) == 0
    document: dict[str, Any] = json.loads((output / "REPORT.json").read_bytes(), parse_constant=pytest.fail)
    return document


def f_of(found: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    """With beta² = 0.3; nothing found is 0."""
    right = (found & truth).sum()
    if not right:
        return 0.0
    precision, recall = right / found.sum(), right / truth.sum()
    return float(1.3 * precision * recall / (0.3 * precision + recall))


def test_measures_are_of_the_pictures_and_masks_themselves(folder: Path, tmp_path: Path) -> None:
    """LCC, IoUs, proportion, MAE and F as worked out from the pictures without the evaluation's own code."""
    chosen = CoverSet.load(folder / "set")
    sharp_enough = [one for one in chosen.samples if one.score is not None and one.score > 2.3]
    assert len(sharp_enough) == 18
    for samples, which in ((chosen.samples, ALL), (sharp_enough, GATED)):
        scores, clarity, counts, ious, shares, maes, curves = [], [], np.zeros((2, 2)), [], [], [], []
        for sample in samples:
            picture = chosen.read(sample)
            assert picture.mask is not None
            red, truth = picture.pixels[..., 0], picture.mask == 1
            found = red >= 128
            scores.append(sample.score)
            clarity.append(clarity_of(picture.pixels))
            counts += [
                [(~found & ~truth).sum(), (found & ~truth).sum()],
                [(~found & truth).sum(), (found & truth).sum()],
            ]
            ious.append((found & truth).sum() / (found | truth).sum())
            shares.append(100 * abs(found.mean() - truth.mean()))
            maes.append(np.abs(red / 255 - truth).mean())
            curves.append([f_of(red >= level, truth) for level in range(256)])

        document = evaluated(folder, tmp_path / which)

        [gate] = document["gates"]
        own = gate["measures"][which]
        assert own["samples"] == len(samples)
        assert own["sources"] == 6
        assert own["lcc"] == pytest.approx(np.corrcoef(np.array(scores, float), np.array(clarity))[0, 1], abs=1e-5)
        iou = counts[1, 1] / (counts.sum() - counts[0, 0])
        assert own["foreground_iou"] == pytest.approx(iou)
        assert own["mean_image_iou"] == pytest.approx(np.mean(ious))
        assert own["two_class_miou"] == pytest.approx((iou + counts[0, 0] / (counts.sum() - counts[1, 1])) / 2)
        assert own["proportion_error"] == pytest.approx(np.mean(shares))
        assert own["mae"] == pytest.approx(np.mean(maes), abs=1e-6)
        mean_curve = np.mean(curves, axis=0)
        assert own["max_f"] == pytest.approx(mean_curve.max())
        assert own["mean_f"] == pytest.approx(mean_curve.mean())
        low, high = own["foreground_iou_interval"]
        assert low <= own["foreground_iou"] <= high


def test_each_sample_has_its_row(folder: Path, tmp_path: Path) -> None:
    """In the set's order; what the report says of a level can be worked out from it."""
    document = evaluated(folder, tmp_path / "out")

    rows = list(csv.DictReader((tmp_path / "out" / "red.csv").read_text().splitlines()))
    chosen = CoverSet.load(folder / "set")
    assert [(row["image"], int(row["level"])) for row in rows] == [(one.image, one.level) for one in chosen.samples]
    [gate] = document["gates"]
    assert [level["score"] for level in gate["levels"]] == [level.score for level in LEVELS]
    for level in gate["levels"]:
        own = [row for row in rows if int(row["level"]) == level["level"]]
        assert level["clarity"] == pytest.approx(np.mean([float(row["clarity"]) for row in own]), abs=1e-4)
        assert level["mean_image_iou"] == pytest.approx(np.mean([float(row["iou"]) for row in own]), abs=1e-4)


def test_pairs_hold_each_blur_against_the_sharp_picture(folder: Path) -> None:
    """The set's own blurs, and further ones; a picture that scores the same counts as not below."""
    chosen = CoverSet.load(folder / "set")
    gate = open_cover_gate(folder / "red.onnx", name="red", provider="cpu", threads=1)
    further = FurtherBlurs((1.0, 2.5))

    [answers] = answers_of(chosen, [gate], further, 1)

    sharp = [place for place, one in enumerate(chosen.samples) if one.level == 0]
    for sigma, scores in answers.further.items():
        expected = [clarity_of(blurred(chosen.read(chosen.samples[place]).pixels, sigma)) for place in sharp]
        assert scores[sharp] == pytest.approx(expected, abs=1e-4)
        assert np.isnan(np.delete(scores, sharp)).all()
    own = pairs_in_set(chosen.samples, answers.clarity)
    assert [(one.sigma_px, one.pictures, one.below, one.further) for one in own] == [
        (0.7, 6, 1, False),
        (1.5, 6, 1, False),
        (4, 6, 1, False),
    ]
    answers.further[1.0][sharp[0]] = answers.further[0][sharp[0]]
    answers.further[1.0][sharp[1]] = answers.further[0][sharp[1]] + 0.1
    beside = pairs_beside(further, answers.further)
    assert [(one.sigma_px, one.pictures, one.below) for one in beside] == [(1, 6, pytest.approx(4 / 6)), (2.5, 6, 1)]


def test_pairs_are_of_cameras_frames(tmp_path: Path) -> None:
    """Scaled down by area until it just covers the frame, the middle cut out; a smaller picture is left out."""
    wide = np.zeros((40, 160, 3), np.uint8)
    wide[:, 60:100] = 255

    frame = framed(wide, (20, 20))

    assert frame is not None
    assert frame.shape == (20, 20, 3)
    assert (frame == 255).all()
    assert framed(wide, (161, 20)) is None
    assert framed(wide, (160, 40)) is not None
    write_cover_set(tmp_path, count=2, size=(60, 80))
    write_engine(tmp_path / "red.onnx")
    document = evaluated(tmp_path, tmp_path / "out", "--pairs", "1", "--frame", "60x40")
    assert document["gates"][0]["pairs"][-1] == {
        "sigma_px": 1,
        "frame": [60, 40],
        "further": True,
        "pictures": 2,
        "below": 1,
    }
    assert "1, frames of 60x40" in (tmp_path / "out" / "REPORT.md").read_text()
    document = evaluated(tmp_path, tmp_path / "none", "--pairs", "1", "--frame", "80x61")
    assert [pairs["further"] for pairs in document["gates"][0]["pairs"]] == [False] * 3


def sample(number: int, level: int, score: float | None, mask: str | None = "mask.png") -> CoverSample:
    return CoverSample(f"{number}.png", mask, f"source {number}", level, float(level), score, "test")


def test_samples_without_a_score_or_a_mask_count_for_what_they_have() -> None:
    """No score: its mask counts above the gate, too. No mask: only its clarity does."""
    samples = [sample(0, 0, 10), sample(1, 0, None), sample(2, 0, 8, None), sample(3, 1, 2)]
    right, wrong = [[5, 0], [0, 5]], [[5, 5], [0, 0]]
    answers = Answers(
        np.array([9, np.nan, 8, 4]),
        np.array([right, wrong, np.zeros((2, 2)), wrong], np.int64),
        np.array([0, 1, np.nan, 1]),
    )

    everything, gated = measures(samples, answers, ALL, 0), measures(samples, answers, GATED, 0)

    assert (everything.samples, gated.samples) == (4, 3)
    assert everything.lcc == pytest.approx(np.corrcoef([10, 8, 2], [9, 8, 4])[0, 1])
    assert everything.foreground_iou == pytest.approx(5 / 15)
    assert gated.foreground_iou == pytest.approx(5 / 10)
    assert gated.mean_image_iou == pytest.approx(0.5)
    assert [level.samples for level in by_level(samples, answers)] == [3, 1]


def test_a_gate_with_one_head_leaves_the_other_untold(folder: Path, tmp_path: Path) -> None:
    """Null in the JSON, a dash in the table; the measures of the head that is there are those of both."""
    write_engine(tmp_path / "sharp.onnx", heads=(CLARITY,))
    write_engine(tmp_path / "mask.onnx", heads=(SALIENCY,))
    (tmp_path / "set").symlink_to(folder / "set")
    (tmp_path / "red.onnx").symlink_to(folder / "red.onnx")

    document = evaluated(tmp_path, tmp_path / "out", gates=("red.onnx", "sharp.onnx", "mask.onnx"))

    both, sharp, mask = (gate["measures"][GATED] for gate in document["gates"])
    assert sharp["lcc"] == both["lcc"]
    assert mask["foreground_iou"] == both["foreground_iou"]
    assert sharp["foreground_iou"] is None
    assert sharp["max_f"] is None
    assert mask["lcc"] is None
    assert document["gates"][2]["pairs"] == []
    text = (tmp_path / "out" / "REPORT.md").read_text()
    assert f"| mask | {mask['samples']} | {DASH} | {mask['foreground_iou']:.3f} [" in text


def test_an_anchor_stands_beside_with_its_time(folder: Path, tmp_path: Path) -> None:
    """Masks only; the report has each gate's share of its IoU and of its time, and the examples are drawn."""
    anchor = write_anchor(folder / "anchor.onnx")

    document = evaluated(
        folder, tmp_path / "out", "--anchor", str(anchor), "--timed", "3", "--panels", "4", "--pairs", "1"
    )

    red, other = document["gates"]
    assert (red["anchor"], other["anchor"]) == (False, True)
    assert other["measures"][ALL]["lcc"] is None
    assert other["measures"][ALL]["mean_image_iou"] > 0.9
    assert {gate["cost"]["pictures"] for gate in (red, other)} == {3}
    text = (tmp_path / "out" / "REPORT.md").read_text()
    share = red["measures"][ALL]["mean_image_iou"] / other["measures"][ALL]["mean_image_iou"]
    assert f"Mean image IoU of `red`: {share:.3f} of `anchor`'s." in text
    ratio = red["cost"]["median_ms"] / other["cost"]["median_ms"]
    assert f"| red | ONNX Runtime, cpu | {red['cost']['median_ms']:.1f} | {ratio:.3f} |" in text
    for gate in (red, other):
        assert f"]({gate['panels']})" in text
        picture = cv2.imread(str(tmp_path / "out" / gate["panels"]))
        assert picture is not None
        assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 100


def test_equal_runs_give_equal_reports(folder: Path, tmp_path: Path) -> None:
    """Intervals and examples are seeded; only times differ, which are left out here."""
    for name in ("one", "other"):
        evaluated(folder, tmp_path / name, "--panels", "2")

    for name in ("REPORT.json", "REPORT.md", "red.csv", "examples-red.png"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "other" / name).read_bytes()


def test_a_part_is_whole_sources_and_named_levels(folder: Path, tmp_path: Path) -> None:
    """--every leaves out sources with all their levels; the report says what it is on, its digest too."""
    whole = evaluated(folder, tmp_path / "whole")

    part = evaluated(folder, tmp_path / "part", "--every", "2", "--levels", "0,2")

    assert part["set"]["samples"] == 6
    assert part["set"]["levels"] == [0, 2]
    assert part["gates"][0]["measures"][ALL]["sources"] == 3
    assert part["set"]["digest"] == whole["set"]["digest"]
    assert part["set"]["selection"] != whole["set"]["selection"]
    chosen = select(CoverSet.load(folder / "set"), "test", 2, None).chosen
    assert {one.level for one in chosen.samples if one.source == chosen.samples[0].source} == {0, 1, 2, 3}


def test_a_proxy_and_a_split_by_image_are_told(folder: Path, tmp_path: Path) -> None:
    """No number of a stand-in passes for one of the real set, nor one of leaked copies for an honest one."""
    (tmp_path / "set").mkdir()
    (tmp_path / "red.onnx").symlink_to(folder / "red.onnx")
    header = json.loads((folder / "set" / "set.json").read_bytes())
    (tmp_path / "set" / "set.json").write_text(json.dumps(header | {"proxy": True, "split": "image"}))
    (tmp_path / "set" / "manifest.csv").write_bytes((folder / "set" / "manifest.csv").read_bytes())

    document = evaluated(tmp_path, tmp_path / "out", "--pictures", str(folder / "pictures"))

    text = (tmp_path / "out" / "REPORT.md").read_text()
    assert document["set"]["proxy"] is True
    assert "- **A proxy**: it stands in for a set that cannot be had" in text
    assert "**by image, as in the paper: blurred copies of one picture are on both sides**" in text


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (["--split", "train"], "--split train: the cover set set has no such picture"),
        (["--levels", "0,7"], "--levels 7: the cover set set has the levels 0, 1, 2, 3"),
        (["--set", "nowhere"], "nowhere"),
        (["--gates", "nowhere.onnx"], "nowhere.onnx: no such file"),
        (["--gates", "nothing"], "nothing.json"),
        (["--pictures", "elsewhere"], "12 of the 12 pictures and masks"),
        (["--tile", "513"], "--tile is for checkpoints that see frames at their own size"),
        (["--frame", "1280x720"], "--frame is for --pairs"),
        (["--anchor", "nowhere.onnx"], "--anchor nowhere.onnx: No such file"),
        (["--gates", "some/net.json", "some/net"], "the same gate is given twice"),
    ],
)
def test_what_is_wrong_is_named(
    wrong: list[str], said: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2, before the long work."""
    arguments = ["evaluate", "cover", "--set", str(folder / "set"), "--gates", str(folder / "red.onnx")]

    assert main([*arguments, "--output", str(tmp_path / "out"), *wrong]) == 2

    assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (["evaluate", "cover", "--set", "s", "--gates", "g", "--output", "o", "--pairs", "much"], "much: a number of"),
        (["evaluate", "cover", "--set", "s", "--gates", "g", "--output", "o", "--pairs", "nan"], "nan: a number of"),
        (["evaluate", "cover", "--set", "s", "--gates", "g", "--output", "o", "--frame", "1280"], "1280: write width"),
        (["build", "compose", "--cutouts", "c", "--scenery", "s", "--output", "o", "--size", "1x2x3"], "1x2x3: write"),
        (
            ["build", "compose", "--cutouts", "c", "--scenery", "s", "--output", "o", "--size", "axb"],
            "axb: write width",
        ),
    ],
)
def test_a_size_or_a_blur_that_is_none_is_told(wrong: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """With what is due, not with a function's name."""
    with pytest.raises(SystemExit):
        main(wrong)

    assert said in capsys.readouterr().err


def judged(gate: CoverGate, iou: float, milliseconds: float, *, anchor: bool = False) -> Judged:
    """With empty answers, but for these numbers."""
    nothing = Answers(np.zeros(0), np.zeros((0, 2, 2), np.int64), np.zeros(0))
    own = replace(measures([], nothing, ALL, 0), mean_image_iou=iou)
    return Judged(gate, anchor, nothing, {ALL: own, GATED: own}, (), (), Cost(3, milliseconds), None)


@pytest.mark.parametrize(
    ("base", "said"),
    [
        (0.0, "Mean image IoU of `anchor` is 0: nothing is held against it."),
        (float("nan"), None),
        (0.8, "Mean image IoU of `red`: 0.500 of `anchor`'s."),
    ],
)
def test_an_anchor_that_finds_nothing_is_no_measure(folder: Path, base: float, said: str | None) -> None:
    """Nor one whose IoU cannot be told; the rest of the report stands."""
    gate = open_cover_gate(folder / "red.onnx", name="red", provider="cpu", threads=1)
    selection = select(CoverSet.load(folder / "set"), "test", 1, None)
    both = (judged(gate, 0.4, 5), judged(replace(gate, name="anchor"), base, 10, anchor=True))

    text = "\n".join(markdown(Report(selection, both, 0)))

    assert ("Mean image IoU of" in text) == (said is not None)
    assert said is None or said in text
    assert "| red | ONNX Runtime, cpu | 5.0 | 0.500 |" in text


def test_times_on_two_devices_have_no_ratio(folder: Path) -> None:
    """A GPU's milliseconds over a CPU's say nothing of the networks; what each ran on stands beside them."""
    gate = open_cover_gate(folder / "red.onnx", name="red", provider="cpu", threads=1)
    selection = select(CoverSet.load(folder / "set"), "test", 1, None)
    fast = replace(gate, name="fast", runs_on="PyTorch, cuda", device="cuda")
    both = (judged(gate, 0.4, 5), judged(fast, 0.4, 1), judged(replace(gate, name="anchor"), 0.5, 10, anchor=True))

    text = "\n".join(markdown(Report(selection, both, 0)))

    assert "| red | ONNX Runtime, cpu | 5.0 | 0.500 |" in text
    assert f"| fast | PyTorch, cuda | 1.0 | {DASH} |" in text
    assert "| anchor | ONNX Runtime, cpu | 10.0 | 1.000 |" in text
