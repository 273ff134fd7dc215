"""``evaluate quality`` and ``evaluate quality-fr``: the numbers of their tables, and errors that name what is wrong."""

import csv
import dataclasses
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from runtime.decode import Pixels
from runtime.engine import peek_manifest
from runtime.errors import ConfigError, EngineError
from runtime.heads import OPINIONS
from runtime.manifest import Provenance
from runtime.preprocess import Preprocessor
from tests import pictures
from tests.engines import fitting_manifest, make_engine, opinions
from tests.full_reference_engine import TILE, make_comparing_engine, tile_score
from tests.training.judged_pictures import write_koniq
from tests.training.quality_sets import GREY, grey, row, write_set
from training.__main__ import main
from training.checkpoint import Checkpoint, Description, save_checkpoint
from training.commands.quality_sets import told_of
from training.cover.markdown import DASH
from training.data.picture import PictureError, read_picture
from training.metrics.distribution import distribution_errors
from training.models.full_reference import full_reference
from training.models.quality_light import quality_light
from training.quality import evaluation
from training.quality.brisque import WEIGHTS, open_brisque
from training.quality.evaluation import Plain, Said, ask, chosen
from training.quality.examples import choose
from training.quality.fits import Fit, columns_of, fit_of, without_seed
from training.quality.fr_gate import open_full_reference_gate
from training.quality.fr_training import full_reference_heads, full_reference_inputs
from training.quality.gate import QualityGate, open_quality_gate
from training.quality.light_training import light_heads, light_inputs
from training.quality.measures import judged
from training.quality.monotony import ALL_KINDS, monotony
from training.quality.over_splits import over_splits
from training.quality.people import people_fall
from training.quality.proxy_set import read_proxy
from training.quality.rated import Rated, RatedSet
from training.quality.readers import read_rated
from training.quality.reference_metrics import MEAN_RANK, METRICS, measure, with_mean_rank
from training.quality.splits import SplitOfSeed, splits, with_sides
from training.quality.spreads import spreads
from training.quality.told_apart import blur_test, middle, through
from training.quality.within import by_content, by_kind, mean_within

LEVELS = range(1, 6)
MOS = {level: 5 - 0.8 * level for level in LEVELS}
DARKER = {level: 220 - 35 * level for level in LEVELS}


def brightness_mos(level: int) -> float:
    """What the engine of brightness says of a grey."""
    return float(opinions(level / 255) @ OPINIONS)


def rated(*, kind: str = "noise", contents: str = "ab", levels: int = 5, **other: Any) -> RatedSet:
    """Contents under one kind at several levels, the true score falling; no files."""
    found = tuple(
        Rated(f"{content}{level}", Path(), None, content, 5 - 0.8 * level, kind=kind, level=level, **other)
        for content in contents
        for level in range(1, levels + 1)
    )
    return RatedSet("made", found, (1, 5), proxy=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``set``: kind ``dark`` the darker the stronger, ``light`` the lighter the stronger; ``bright.onnx``."""
    folder = tmp_path_factory.mktemp("quality")
    rows = []
    for content in ("a", "b", "c"):
        shift = 5 * "abc".index(content)
        rows += [(row(content, "dark", at, MOS[at]), grey(DARKER[at] + shift)) for at in LEVELS]
        rows += [(row(content, "light", at, MOS[at]), grey(DARKER[6 - at] + shift)) for at in LEVELS]
    rows += [(row("t", "dark", at, 2.0 + 0.4 * at, "train"), grey(DARKER[at])) for at in LEVELS]
    write_set(folder / "set", rows)
    make_engine(folder / "bright.onnx", "quality")
    return folder


@pytest.fixture(scope="module")
def report(folder: Path) -> dict[str, Any]:
    """``report.json`` beside ``report.md``, plots and scores, in ``out``."""
    out = folder / "out"
    arguments = ["evaluate", "quality", "--set", str(folder / "set"), "--gates", str(folder / "bright.onnx")]
    assert main([*arguments, "--output", str(out), "--threads", "1", "--resamples", "20", "--examples", "1"]) == 0
    document: dict[str, Any] = json.loads((out / "report.json").read_bytes(), parse_constant=pytest.fail)
    return document


def scores_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


# --- No reference: the command


@pytest.mark.usefixtures("report")
def test_every_picture_of_the_side_is_judged_through_the_engine(folder: Path) -> None:
    """The scores are the engine's own answers to the pictures, and pictures of other sides are left out."""
    rows = scores_of(folder / "out" / "scores-set.csv")
    assert len(rows) == 30
    assert {one["content"] for one in rows} == {"a", "b", "c"}
    for one in rows:
        at = int(one["level"])
        level = DARKER[at if one["kind"] == "dark" else 6 - at] + 5 * "abc".index(one["content"])
        assert float(one["bright"]) == pytest.approx(brightness_mos(level), abs=1e-4)
        assert float(one["mos"]) == pytest.approx(row("a", "dark", at, MOS[at]).mos, abs=1e-4)


def test_agreement_is_that_of_the_scores(folder: Path, report: dict[str, Any]) -> None:
    """The table's numbers are what scipy finds in the scores that are written beside it."""
    rows = scores_of(folder / "out" / "scores-set.csv")
    truth, said = (np.array([float(one[key]) for one in rows]) for key in ("mos", "bright"))
    found = report["sets"][0]["methods"][0]["agreement"]
    assert found["srocc"] == pytest.approx(stats.spearmanr(truth, said).statistic, abs=1e-6)
    assert found["plcc"] == pytest.approx(stats.pearsonr(truth, said).statistic, abs=1e-4)
    assert found["krcc"] == pytest.approx(stats.kendalltau(truth, said).statistic, abs=1e-6)
    assert found["rmse"] == pytest.approx(np.sqrt(np.mean((truth - said) ** 2)), abs=1e-4)


def test_a_raw_error_is_of_opinions() -> None:
    """A perfect distribution has none, though a set's own scores are others than the votes' means: z-scores."""
    rng = np.random.default_rng(0)
    shares = rng.dirichlet(np.ones(5), 30)
    named = [(str(place), tuple(map(float, row))) for place, row in enumerate(shares)]
    one = RatedSet(
        "z",
        tuple(
            Rated(name, Path(name), None, name, float(rng.uniform(0, 100)), None, votes)  # type: ignore[arg-type] # five
            for name, votes in named
        ),
        (0, 100),
    )
    found = judged(one, Said("perfect", shares @ OPINIONS, shares)).agreement
    assert found.rmse == pytest.approx(0, abs=1e-12)
    assert found.rmse_fitted > 0.5


def test_kinds_that_fail_are_named(folder: Path, report: dict[str, Any]) -> None:
    """Light pictures get better scores the stronger that kind is: it fails, and the report says so."""
    kinds = {one["name"]: one for one in report["sets"][0]["methods"][0]["kinds"]}
    assert kinds["dark"]["within"] == pytest.approx(1)
    assert kinds["light"]["within"] == pytest.approx(-1)
    text = (folder / "out" / "report.md").read_text()
    assert f"`bright` fails (SROCC below 0.5) at 1 of 2 kinds: light ({kinds['light']['srocc']:.2f})." in text


def test_ladders_tell_which_kinds_fall(folder: Path, report: dict[str, Any]) -> None:
    """Every content's score falls with ``dark`` and rises with ``light``; true scores fall with both."""
    ladders = {one["kind"]: one for one in report["sets"][0]["methods"][0]["ladders"]}
    assert [ladders[kind]["strict"] for kind in ("dark", "light", ALL_KINDS)] == [1, 0, 0.5]
    assert {one["true_strict"] for one in ladders.values()} == {1}
    assert "below 90.0 % strictly at 1 of 2 kinds: light 0.0 %." in (folder / "out" / "report.md").read_text()


def test_distributions_stand_beside_both_baselines(folder: Path, report: dict[str, Any]) -> None:
    """The first baseline is the mean distribution of the training side, for every picture."""
    errors = report["sets"][0]["distributions"]["errors"]
    assert list(errors) == ["bright", "mean distribution", "bright: MOS, fixed SD"]
    whole = read_proxy(folder / "set")
    shares = {
        side: np.array([one.distribution for one in whole.pictures if one.split == side]) for side in ("test", "train")
    }
    mean = np.broadcast_to(shares["train"].mean(axis=0), shares["test"].shape)
    assert errors["mean distribution"]["ks"] == pytest.approx(distribution_errors(shares["test"], mean).ks)
    bright = np.array([opinions(float(read_picture(one.path).mean()) / 255) for one in _test_side(whole)])
    assert errors["bright"]["emd1"] == pytest.approx(distribution_errors(shares["test"], bright).emd1, abs=1e-5)


def _test_side(whole: RatedSet) -> list[Rated]:
    return [one for one in whole.pictures if one.split == "test"]


def test_a_proxy_is_named_one(folder: Path, report: dict[str, Any]) -> None:
    """No number of metrics may be read as one of people."""
    text = (folder / "out" / "report.md").read_text()
    assert report["sets"][0]["proxy"] is True
    assert "| set (proxy) | bright | 30 |" in text
    assert "**A proxy**" in text


def test_plots_are_pictures_that_the_report_shows(folder: Path, report: dict[str, Any]) -> None:
    """A scatter and the distributions, each a file that the report links to, not of one colour."""
    names = list(report["sets"][0]["plots"].values())
    assert names == ["scatter-set-bright.png", "distributions-set-bright.png"]
    for name in names:
        assert f"]({name})" in (folder / "out" / "report.md").read_text()
        assert np.ptp(read_picture(folder / "out" / name)) > 100


def test_a_part_of_a_set_is_called_one(folder: Path, tmp_path: Path) -> None:
    """``--every 2``: in words and as a number; and an engine's digest is the manifest's, as in its decisions."""
    words = ["evaluate", "quality", "--set", str(folder / "set"), "--gates", str(folder / "bright.onnx")]
    words += ["--every", "2", "--threads", "1", "--resamples", "0", "--examples", "0", "--output", str(tmp_path)]
    assert main(words) == 0
    document = json.loads((tmp_path / "report.json").read_bytes())
    assert (document["sets"][0]["every"], document["sets"][0]["contents"]) == (2, 2)
    assert document["gates"][0]["digest"] == peek_manifest(folder / "bright.onnx").digest
    assert "test side, one content of 2: 20 pictures of 2 contents" in (tmp_path / "report.md").read_text()


def test_two_gates_are_compared(folder: Path, tmp_path: Path) -> None:
    """Gates that say the same differ by nothing, and no draw of contents says otherwise."""
    make_engine(tmp_path / "other.onnx", "quality")
    gates = [str(folder / "bright.onnx"), str(tmp_path / "other.onnx")]
    arguments = ["evaluate", "quality", "--set", str(folder / "set"), "--gates", *gates, "--output", str(tmp_path)]
    assert main([*arguments, "--threads", "1", "--resamples", "20", "--examples", "0"]) == 0
    [difference] = json.loads((tmp_path / "report.json").read_bytes())["sets"][0]["differences"]
    assert (difference["method"], difference["other"]) == ("bright", "other")
    assert (difference["difference"], difference["interval"], difference["p"]) == (0, [0, 0], 1)
    assert "set (proxy) has 3 contents alone: its intervals say little." in (tmp_path / "report.md").read_text()


def test_over_splits_are_medians_of_the_test_sides() -> None:
    """Each seed's correlation is of its own test side's pictures alone."""
    one = rated(contents="abcd")
    truth, scores = one.mos5(), np.random.default_rng(0).normal(size=20)
    drawn = [SplitOfSeed(0, ("a",)), SplitOfSeed(1, ("b", "d")), SplitOfSeed(2, ("c",))]
    sides = [np.r_[0:5], np.r_[5:10, 15:20], np.r_[10:15]]
    [found] = over_splits(one, [Said("gate", scores)], drawn)
    own = [stats.spearmanr(truth[side], scores[side]).statistic for side in sides]
    assert found.seeds == 3
    np.testing.assert_allclose(found.srocc, np.quantile(own, [0.5, 0.25, 0.75]))


def trained_on_splits(folder: Path, rated: RatedSet, *seeds: int, more: str = "") -> list[str]:
    """Engines that tell that they learned from these splits of a set, and of more."""
    folder.mkdir()
    paths = []
    for seed in seeds:
        provenance = Provenance(
            data=f"{told_of([with_sides(rated, seed, 'content')])}; code 1{more}",
            licence="none",
            command=f"python -m training train quality --split-seed {seed}",
        )
        manifest = fitting_manifest("quality", ["quality"], provenance=provenance)
        paths.append(str(make_engine(folder / f"run-{seed}.onnx", "quality", manifest=manifest)))
    return paths


def test_each_gate_is_held_to_its_own_split(tmp_path: Path) -> None:
    """The papers' tables: the median over trainings, of each on the pictures that it did not learn from."""
    root = write_koniq(tmp_path / "koniq", sides=False)
    whole = read_rated(root)
    gates = trained_on_splits(tmp_path / "gates", whole, 0, 3, 5)
    arguments = ["evaluate", "quality", "--set", str(root), "--own-splits", "--resamples", "0", "--examples", "0"]
    assert main([*arguments, "--threads", "1", "--gates", *gates, "--output", str(tmp_path / "out")]) == 0
    [one] = json.loads((tmp_path / "out" / "report.json").read_bytes())["sets"]
    rows = scores_of(next((tmp_path / "out").glob("scores-*.csv")))
    own = []
    for seed in (0, 3, 5):
        test = [row for row in rows if row["content"] in splits(whole, seeds=seed + 1)[seed].test]
        assert len(test) == round(len(rows) / 5)
        own.append(stats.spearmanr(*([float(row[key]) for row in test] for key in ("mos", f"run-{seed}"))).statistic)
    assert not np.isnan(own).any()
    [found] = one["over_splits"]
    assert (found["method"], found["seeds"]) == ("quality", 3)
    np.testing.assert_allclose(found["srocc"], np.quantile(own, [0.5, 0.25, 0.75]), atol=1e-6)


@pytest.mark.parametrize(
    ("more", "fault"),
    [
        (["--gates", "PLAIN"], "takes gates of `train --split-seed` on KonIQ-10k (512x384); bright learned from none"),
        (["--gates", "OWN", "--split-seed", "0"], "--own-splits, without --split-seed, takes gates"),
        (["--gates", "OWN", "--every", "2"], "to pictures that are left out: say --split all, no --every"),
    ],
)
def test_gates_without_a_split_are_held_to_none(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], fault: str
) -> None:
    """Nothing is judged: what they would be held to is what they may have learned from."""
    root = write_koniq(tmp_path / "koniq", sides=False)
    [own] = trained_on_splits(tmp_path / "gates", read_rated(root), 0)
    words = [{"PLAIN": str(folder / "bright.onnx"), "OWN": own}.get(word, word) for word in more]
    arguments = ["evaluate", "quality", "--set", str(root), "--own-splits", *words]
    assert main([*arguments, "--output", str(tmp_path / "out")]) == 2
    assert fault in capsys.readouterr().err


@pytest.mark.parametrize(
    "more",
    [
        "; begun with trunk.safetensors, which learned from: {name} {digest} (split content 0)",
        "; head calibrated on 20 pictures of {name} {digest}",
        "; begun with a, which learned from: KonIQ-10k (1024x768) sha256:other",
    ],
)
def test_a_gate_that_saw_more_than_its_split_is_not_held_to_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], more: str
) -> None:
    """By a trunk of another split, a calibration on all of the set, or weights that learned from its other table."""
    root = write_koniq(tmp_path / "koniq", sides=False)
    whole = read_rated(root)
    told = more.format(name=whole.name, digest=whole.digest)
    [gate] = trained_on_splits(tmp_path / "gates", whole, 3, more=told)
    arguments = ["evaluate", "quality", "--set", str(root), "--own-splits", "--gates", gate]
    assert main([*arguments, "--output", str(tmp_path / "out")]) == 2
    assert "--own-splits: run-3 has seen more of KonIQ-10k (512x384) than one split" in capsys.readouterr().err


def test_over_seeds_writes_the_splits_beside_the_report(folder: Path, tmp_path: Path) -> None:
    """So that others can repeat them; of three contents one is tested on."""
    arguments = ["evaluate", "quality", "--set", str(folder / "set"), "--gates", str(folder / "bright.onnx")]
    more = ["--over-seeds", "4", "--examples", "0", "--resamples", "0", "--threads", "1"]
    assert main([*arguments, *more, "--output", str(tmp_path)]) == 0
    one = json.loads((tmp_path / "report.json").read_bytes())["sets"][0]
    drawn = json.loads((tmp_path / "splits-set.json").read_bytes())["splits"]
    assert [len(split["test"]) for split in drawn] == [1] * 4
    assert one["over_splits"][0]["seeds"] == 4
    assert "| set (proxy) | bright | 4 |" in (tmp_path / "report.md").read_text()


@pytest.mark.parametrize(
    ("more", "fault"),
    [
        ([], "nothing to evaluate on: give --set, --photographs, or both"),
        (["--set", "SET", "--split", "validation"], "has no picture there; it has test, train, and all"),
        (["--set", "SET", "SET"], "two sets are called alike"),
        (["--set", "SET", "--train-set", "nowhere"], "nowhere: sets of judged pictures are"),
        (["--set", "KONIQ", "--opinions", "nowhere"], "--opinions is told beside a proxy, and no --set is one"),
        (["--set", "SET", "--opinions", "nowhere"], "nowhere cannot be read as TID's mos_with_names.txt"),
        (["--set", "SET", "--every", "3", "--over-seeds", "2"], "leaves one side without any"),
        (["--set", "SET", "--gates", "FR"], "has no head 'quality', only quality_fr; evaluate quality-fr is for that"),
    ],
)
def test_what_cannot_be_evaluated_is_said(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], fault: str
) -> None:
    """One line that says what was asked for, what is there, and what to do."""
    comparing = make_comparing_engine(tmp_path / "fr.onnx")
    write_koniq(tmp_path / "koniq", pictures=2)
    names = {"SET": str(folder / "set"), "FR": str(comparing), "KONIQ": str(tmp_path / "koniq")}
    words = [names.get(word, word) for word in more]
    gates = [] if "--gates" in words else ["--gates", str(folder / "bright.onnx")]
    assert main(["evaluate", "quality", *gates, *words, "--output", str(tmp_path / "out")]) == 2
    assert fault in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


# --- People's own ladders


def people_table(path: Path, scores: Callable[[int, int, int], float]) -> Path:
    """TID2013's table of two contents: what ``scores`` gives to a content, a kind and a level."""
    lines = [
        f"{scores(content, kind, level):.4f} i{content:02}_{kind:02}_{level}.bmp"
        for content in (1, 2)
        for kind in range(1, 25)
        for level in range(1, 6)
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


def test_people_fall_where_each_step_is_worse(tmp_path: Path) -> None:
    """By content; kind 15 counts its levels backwards, and 16 goes down, up, down, up, down: two kinds."""

    def scores(content: int, kind: int, level: int) -> float:
        if kind == 2 and content == 2 and level == 4:
            return 3.2  # as good as level 3
        if kind == 15:
            return level
        if kind == 16:
            return {1: 5, 2: 4, 3: 5, 4: 3, 5: 2}[level]
        return 5 - 0.6 * level

    found = people_fall(people_table(tmp_path / "table.txt", scores))
    others = {kind: share for kind, share in found.items() if share not in {0, 1}}
    assert found["noise"] == found["local_blocks"] == found["brighter"] == 1
    assert found["darker"] == 0
    assert others == {"chroma_noise": 0.5, ALL_KINDS: pytest.approx(1 - 3 / 52)}


def test_people_stand_beside_a_proxys_ladders(folder: Path, tmp_path: Path) -> None:
    """``--opinions``: a column for the kinds that TID2013 has, and at how many of them people fall themselves."""
    write_set(
        tmp_path / "set",
        [(row(name, kind, at, MOS[at]), grey(DARKER[at])) for name in "ab" for kind in ("noise", "x") for at in LEVELS],
    )
    table = people_table(tmp_path / "table.txt", lambda _, kind, level: level if kind == 1 else -level)
    words = ["evaluate", "quality", "--set", str(tmp_path / "set"), "--gates", str(folder / "bright.onnx")]
    words += ["--opinions", str(table), "--threads", "1", "--resamples", "0", "--output", str(tmp_path / "out")]
    assert main(words) == 0
    text = (tmp_path / "out" / "report.md").read_text()
    assert "| noise | 2 | 0.0 % | 100.0 % | 100.0 % (100.0 %) |" in text
    assert f"| x | 2 | {DASH} | 100.0 % | 100.0 % (100.0 %) |" in text
    assert "they fall strictly on 90.0 % of its contents at 24 of 26 kinds" in text


# --- Gates


def test_a_checkpoint_is_judged_as_the_engine_made_of_it(tmp_path: Path) -> None:
    """The gate shows a checkpoint what its inputs say, and gives its network's shares."""
    torch.manual_seed(0)
    network = quality_light()
    what = Description(
        name="light",
        version="1",
        architecture="quality-light",
        inputs=light_inputs(),
        heads=light_heads(),
        provenance=Provenance(data="none", licence="Apache-2.0", command="none"),
    )
    save_checkpoint(tmp_path / "light", Checkpoint(what, network))
    gate = open_quality_gate(tmp_path / "light", name="light", provider="cpu", threads=1)
    pixels = pictures.scene(320, 240, 1)
    shown = []
    for spec in what.inputs:
        view = Preprocessor(spec)
        batch = view.batch(1)
        view.fill(pixels, batch[0])
        shown.append(torch.from_numpy(batch).movedim(-1, -3).float())
    with torch.inference_mode():
        expected = network(*shown)["quality"].numpy()
    np.testing.assert_allclose(gate.judge([pixels]), expected, atol=1e-6)
    np.testing.assert_allclose(gate.mos([pixels]), expected @ OPINIONS, atol=1e-5)


# --- Within contents and kinds


def test_within_content_is_the_mean_of_contents() -> None:
    """A method that orders each content rightly has 1 within, though it tells contents apart wrongly."""
    one = rated()
    truth = one.mos5()
    scores = truth.copy()
    scores[5:] = scores[5:] / 10 - 9
    groups = by_content(one, truth, scores)
    assert [group.srocc for group in groups] == pytest.approx([1, 1])
    assert mean_within(groups) == pytest.approx(1)
    assert stats.spearmanr(truth, scores).statistic < 0.6


def test_a_kind_is_correlated_over_all_contents_and_within_each() -> None:
    """Both numbers are scipy's of the same pictures; scores that are all equal fail."""
    one = rated()
    truth = one.mos5()
    scores = np.random.default_rng(0).normal(size=10)
    [kind] = by_kind(one, truth, scores)
    own = [stats.spearmanr(truth[part], scores[part]).statistic for part in (slice(5), slice(5, 10))]
    assert kind.srocc == pytest.approx(stats.spearmanr(truth, scores).statistic)
    assert kind.within == pytest.approx(np.mean(own))
    assert by_kind(one, truth, np.ones(10))[0].fails


def test_undistorted_pictures_are_no_kind() -> None:
    """Of one content they are one picture, and what its drawn votes differ in no gate can know."""
    one = rated()
    same = dataclasses.replace(one, pictures=tuple(dataclasses.replace(each, level=0.0) for each in one.pictures))
    assert by_kind(one, one.mos5(), one.mos5())
    assert by_kind(same, one.mos5(), one.mos5()) == []


# --- Ladders


@settings(deadline=None)
@given(st.lists(st.floats(-1, 1).filter(lambda step: abs(abs(step) - 0.05) > 1e-6), min_size=4, max_size=4))
def test_a_ladder_is_strict_only_if_every_step_falls(steps: list[float]) -> None:
    """And tolerant where no step rises by more than 0.05: what is strict is tolerant, too."""
    one = rated(contents="a")
    scores = 3 + np.concatenate([[0.0], np.cumsum(steps)])
    [found] = monotony(one, one.mos5(), scores)
    rises = np.diff(scores)
    assert found.strict == float((rises < 0).all())
    assert found.tolerant == float((rises <= 0.05).all())
    assert found.drop == pytest.approx(-sum(steps))
    assert found.tolerant >= found.strict


def test_the_order_of_pictures_does_not_matter_to_a_ladder() -> None:
    """Levels are put in order by their number."""
    one = rated()
    scores = one.mos5()
    order = np.random.default_rng(1).permutation(len(one))
    shuffled = replace(one, pictures=tuple(one.pictures[place] for place in order))
    assert monotony(shuffled, shuffled.mos5(), scores[order]) == monotony(one, one.mos5(), scores)


def test_pictures_of_one_level_count_by_their_mean() -> None:
    """Two draws of a level are one step, and a kind of one level has no ladder."""
    twice = rated(contents="a", levels=2)
    doubled = replace(twice, pictures=twice.pictures * 2)
    scores = np.array([3.0, 2.9, 3.2, 3.1])
    [found] = monotony(doubled, doubled.mos5(), scores)
    assert (found.ladders, found.strict) == (1, 1)
    assert found.drop == pytest.approx(0.1)
    assert monotony(rated(levels=1), np.array([4.2, 4.2]), np.zeros(2)) == []


def test_scores_of_another_scale_have_no_tolerance() -> None:
    """0.05 of a score says nothing of BRISQUE's."""
    one = rated(contents="a")
    [found] = monotony(one, one.mos5(), 100 * one.mos5(), on_scale=False)
    assert found.strict == 1
    assert np.isnan(found.tolerant)


# --- Distributions


def test_a_set_without_votes_has_no_table_of_them() -> None:
    """TID2013 has means alone."""
    one = rated()
    said = Said("gate", one.mos5(), np.full((10, 5), 0.2))
    assert spreads(one, [said], one) is None


def test_a_perfect_answer_has_no_error_and_the_baselines_do() -> None:
    """Shares that are the true ones are at distance 0; the mean of the training side is not."""
    shares = [(0.1, 0.2, 0.4, 0.2, 0.1), (0.0, 0.1, 0.2, 0.4, 0.3)]
    found = tuple(Rated(f"{at}", Path(), None, f"{at}", 3, distribution=own) for at, own in enumerate(shares))
    one = RatedSet("made", found, (1, 5))
    truth = np.array(shares)
    result = spreads(one, [Said("exact", truth @ OPINIONS, truth)], one)
    assert result is not None
    assert result.errors["exact"].ks == 0
    gap = np.abs(np.cumsum(truth - truth.mean(axis=0), axis=1))
    assert result.errors["mean distribution"].ks == pytest.approx(gap.max(axis=1).mean())
    assert "KonIQ-10k's curve" in result.baselines  # two pictures fit no parabola


def test_examples_are_the_best_the_median_and_the_worst() -> None:
    """By the distance; row by row one of each."""
    one = rated(distribution=(0.2,) * 5)
    shares = np.full((10, 5), 0.2)
    distances = np.array([0.5, 0.1, 0.9, 0.3, 0.2, 0.8, 0.4, 0.6, 0.7, 0.0])
    found = choose(one, shares, shares, distances, 2)
    assert [example.title for example in found] == ["best", "median", "worst"] * 2
    assert [example.distance for example in found] == [0.0, 0.4, 0.9, 0.1, 0.5, 0.8]


# --- A side of a set


def test_a_set_without_sides_is_taken_whole() -> None:
    """TID2013 has none; with ``--every`` whole contents are left out."""
    assert len(chosen(rated(), "test")) == 10
    assert {one.content for one in chosen(rated(contents="abcd"), "test", 2).pictures} == {"a", "c"}


# --- A slight blur


def steepness(shown: list[Pixels]) -> NDArray[np.float64]:
    """(n, 5): votes for 5 by how steep a picture is, the others for 1."""
    steep = [float(np.abs(np.diff(pixels[..., 1].astype(np.int16), axis=1)).mean()) / 255 for pixels in shown]
    return np.array([[1 - share, 0, 0, 0, share] for share in steep])


def test_a_blur_that_is_seen_at_full_size_is_lost_by_shrinking(tmp_path: Path) -> None:
    """What the test is for: the same frames, told apart as they are, are hardly so when they come from 1/8 of it."""
    for seed in range(3):
        cv2.imwrite(str(tmp_path / f"{seed}.png"), pictures.noise(96, 80, seed))
    cv2.imwrite(str(tmp_path / "small.png"), pictures.noise(63, 80, 9))
    gate = QualityGate("steep", "", "", "", Fit("", ""), lambda shown: steepness(list(shown)))
    found = blur_test(tmp_path, [gate], frame=(64, 48), shrunk=((8, 6),))
    full, shrunk = found.rows["steep"]
    assert (found.photographs, found.too_small) == (3, 1)
    assert (full.size, shrunk.size) == ((64, 48), (8, 6))
    assert full.told == 1
    assert full.difference > 20 * abs(shrunk.difference)


def test_the_frame_is_the_middle_at_its_own_resolution() -> None:
    """Nothing is scaled; a photograph that does not fill the frame gives none."""
    pixels = pictures.noise(101, 60, 0)
    found = middle(pixels, (41, 20))
    assert found is not None
    np.testing.assert_array_equal(found, pixels[20:40, 30:71])
    assert middle(pixels, (41, 61)) is None
    assert through(found, (41, 20)) is found


def test_no_photograph_that_fills_the_frame_is_an_error(tmp_path: Path) -> None:
    """It names the folder and the frame."""
    cv2.imwrite(str(tmp_path / "small.png"), pictures.noise(32, 24, 0))
    with pytest.raises(ConfigError, match="none of its 1 pictures fills a frame of 1280x720 pixels"):
        blur_test(tmp_path, [])


def test_photographs_that_are_not_there_are_told_before_a_set_is_judged(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Judging can take an hour, and what it found would be lost."""
    monkeypatch.setattr(evaluation, "ask", pytest.fail)
    arguments = ["--gates", str(folder / "bright.onnx"), "--set", str(folder / "set")]
    assert main(["evaluate", "quality", *arguments, "--photographs", "nowhere", "--output", str(tmp_path)]) == 2
    assert "nowhere" in capsys.readouterr().err


def test_photographs_alone_make_a_report(folder: Path, tmp_path: Path) -> None:
    """Without ``--set``; the engine of brightness cannot tell a blur, and says about the same of both."""
    (tmp_path / "photographs").mkdir()
    cv2.imwrite(str(tmp_path / "photographs" / "one.png"), pictures.scene(1280, 720, 0))
    arguments = ["--gates", str(folder / "bright.onnx"), "--photographs", str(tmp_path / "photographs")]
    assert main(["evaluate", "quality", *arguments, "--threads", "1", "--output", str(tmp_path / "out")]) == 0
    found = json.loads((tmp_path / "out" / "report.json").read_bytes())["blur"]
    assert [one["size"] for one in found["rows"]["bright"]] == [[1280, 720], [640, 360], [320, 180], [224, 126]]
    assert all(abs(one["difference"]) < 0.01 for one in found["rows"]["bright"])
    assert "| bright | through 224x126 |" in (tmp_path / "out" / "report.md").read_text()


# --- BRISQUE


@pytest.fixture
def brisque(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plain:
    """With weights of one support vector, whose answer can be computed: -(coefficient x kernel - rho)."""
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    torch.save((torch.zeros(1), torch.zeros(1, 36)), tmp_path / "hub" / "checkpoints" / WEIGHTS)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    return open_brisque()


def test_brisque_is_turned_so_that_higher_is_better(brisque: Plain) -> None:
    """-rho, with a coefficient of nothing."""
    assert brisque.rate(pictures.noise(64, 48, 0)) == pytest.approx(-153.591, abs=1e-3)


def test_brisque_names_a_picture_that_it_cannot_judge(brisque: Plain, tmp_path: Path) -> None:
    """One of one colour, or nearly so, has no spread of neighbouring pixels: the error names its file among others."""
    black = np.zeros((64, 64, 3), np.uint8)
    nearly = black.copy()
    nearly[5, 5, 0] = 1
    for pixels in (np.full_like(black, 7), black, nearly):
        for name, shown in (("sound", pictures.noise(64, 48, 0)), ("even", pixels)):
            cv2.imwrite(str(tmp_path / f"{name}.png"), shown)
        both = tuple(Rated(name, tmp_path / f"{name}.png", None, name, 3.0) for name in ("sound", "even"))
        with pytest.raises(PictureError, match=r"even\.png: .*of one colour, which BRISQUE cannot judge"):
            ask(RatedSet("some", both, (1, 5)), [], [brisque])


def test_brisque_without_weights_says_where_they_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``piq`` would take them from the network."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with pytest.raises(ConfigError, match=r"put piq's brisque_svm_weights.pt at .*checkpoints") as caught:
        open_brisque()
    assert "or leave --baselines out" in str(caught.value)


# --- Full reference


@pytest.fixture(scope="module")
def beside(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A folder of noisy pictures of 40 x 32 in ``set``, two engines of two seeds, and ``report.json``."""
    folder = tmp_path_factory.mktemp("fr")
    reference = pictures.scene(40, 32, 0)
    rows = []
    for place, content in enumerate("ab"):
        for at in LEVELS:
            noise = np.random.default_rng(place).normal(size=reference.shape) * 8 * at
            pixels = np.clip(reference + noise, 0, 255).astype(np.uint8)
            rows.append((row(content, "noise", at, MOS[at]), pixels))
    write_set(folder / "set", rows, reference)
    gates = [str(make_comparing_engine(folder / f"proposed-seed{seed}.onnx")) for seed in (1, 2)]
    arguments = ["evaluate", "quality-fr", "--set", str(folder / "set"), "--gates", *gates, "--metrics"]
    assert main([*arguments, "--threads", "1", "--resamples", "10", "--output", str(folder / "out")]) == 0
    return folder, json.loads((folder / "out" / "report.json").read_bytes(), parse_constant=pytest.fail)


def test_a_pictures_score_is_the_mean_over_its_tiles(beside: tuple[Path, dict[str, Any]]) -> None:
    """Tiles side by side, the last ones moved back to the edge."""
    folder, _ = beside
    whole = read_proxy(folder / "set")
    for one, scores in zip(whole.pictures, scores_of(folder / "out" / "scores-set.csv"), strict=True):
        assert one.reference is not None
        pixels, reference = (read_picture(path) for path in (one.path, one.reference))
        corners = [(top, left) for top in (0, 16) for left in (0, 16, 24)]
        tiles = [(slice(top, top + TILE), slice(left, left + TILE)) for top, left in corners]
        expected = np.mean([tile_score(pixels[tile], reference[tile]) for tile in tiles])
        assert float(scores["proposed-seed1"]) == pytest.approx(expected, abs=1e-4)


def test_seeds_of_one_variant_make_one_column(beside: tuple[Path, dict[str, Any]]) -> None:
    """Table II: the median over seeds, with their number and spread."""
    folder, report = beside
    assert [gate["group"] for gate in report["gates"]] == ["proposed", "proposed"]
    text = (folder / "out" / "report.md").read_text()
    assert "|  | set | Proposed |" in text
    srocc = report["sets"][0]["methods"][0]["agreement"]["srocc"]
    assert f"| SROCC | set (proxy) | {srocc:.3f} (2: {srocc:.3f} to {srocc:.3f}) |" in text


def test_metrics_stand_beside_the_gates(beside: tuple[Path, dict[str, Any]]) -> None:
    """More noise is worse to each of them; their errors are not on the scale of scores, so none is told."""
    folder, report = beside
    methods = {one["name"]: one for one in report["sets"][0]["methods"]}
    assert list(methods)[2:] == [*METRICS, MEAN_RANK]
    assert all(methods[name]["within_content"] == pytest.approx(1) for name in ("PSNR", "SSIM", MEAN_RANK))
    [line] = [line for line in (folder / "out" / "report.md").read_text().splitlines() if "| PSNR | 10 |" in line]
    assert line.split("|")[8].strip() == "–"  # noqa: RUF001


def test_metrics_are_the_better_the_higher() -> None:
    """Of equal pictures each is at its best; a grey square beside a lighter one has the PSNR of its one difference."""
    same = measure(grey(GREY), grey(GREY))
    assert same == (100, 1, 1, 0, 1)
    lighter = measure(grey(GREY), grey(GREY + 10))
    assert lighter[0] == pytest.approx(20 * np.log10(255 / 10), abs=1e-3)
    scene = pictures.scene(96, 64, 0)
    noisy = np.clip(scene + np.random.default_rng(0).normal(size=scene.shape) * 20, 0, 255).astype(np.uint8)
    assert all(worse < best for worse, best in zip(measure(noisy, scene), measure(scene, scene), strict=True))


def test_the_mean_rank_is_of_three_metrics() -> None:
    """Ranks of all pictures, ties sharing theirs."""
    values = np.array([[9, 9, 1, 1, 2], [8, 8, 2, 3, 2], [7, 7, 3, 2, 5]], np.float64)
    np.testing.assert_allclose(
        with_mean_rank(values)[MEAN_RANK], [(1 + 1 + 1.5) / 3, (2 + 3 + 1.5) / 3, (3 + 2 + 3) / 3]
    )


@pytest.mark.parametrize(
    ("name", "group"),
    [("proposed-seed3", "proposed"), ("concat_s12", "concat"), ("class2", "class2"), ("-s1", "-s1")],
)
def test_a_seed_at_a_names_end_is_left_out(name: str, group: str) -> None:
    """Only where it is set off from the name."""
    assert without_seed(name) == group


def fit(command: str, data: str = "set sha256:1; code 1") -> Fit:
    return fit_of("proposed", Provenance(data=data, licence="none", command=command))


def test_a_column_is_of_one_fit() -> None:
    """Runs that differ in their seed, or in their split, alone make one column; other fits are told apart by name."""
    calibrated = "&& python -m training calibrate quality"
    runs = {
        "a/s1": fit(
            f"train --steps 9 --seed 1 --name a --output b {calibrated} a-s1 --seed 0 --output d",
            "set sha256:1 (split content 3); code 1",
        ),
        "a/s2": fit(
            f"train --steps 9 --seed 2 --split-seed 7 {calibrated} a-s2 --seed 0 --output e",
            "set sha256:1 (split content 7); code 2",
        ),
    }
    assert columns_of(runs) == {"a/s1": "proposed", "a/s2": "proposed"}
    for other in (fit("train --steps 8 --seed 1"), fit("train --steps 9 --seed 1", "set sha256:2")):
        both = {"a/s1": "proposed: a/s1", "a/s2": "proposed: a/s1"}
        assert columns_of({**runs, "b": other}) == {**both, "b": "proposed: b"}
    assert columns_of({"a-s1": fit("train --steps 8"), "a-s2": fit("train --steps 9")}) == {
        "a-s1": "proposed: a-s1",
        "a-s2": "proposed: a-s2",
    }
    assert columns_of({"a-s1": fit("train --steps 8"), "b-s1": fit("train --steps 9")}) == {
        "a-s1": "proposed: a",
        "b-s1": "proposed: b",
    }


def test_a_command_may_be_any_text() -> None:
    """An engine from elsewhere tells of its making in its maker's words."""
    assert fit("see the author's page") == fit("see the author's page --seed 3")


def test_a_checkpoints_column_is_its_variant_and_its_score_the_mean_over_tiles(tmp_path: Path) -> None:
    """Whatever the file is called; a picture smaller than a tile is an error that says so."""
    torch.manual_seed(0)
    network = full_reference(variant="residual_only")
    what = Description(
        name="anything",
        version="1",
        architecture="full-reference",
        arguments={"variant": "residual_only", "pyramid": "psp"},
        inputs=full_reference_inputs(),
        heads=full_reference_heads(),
        provenance=Provenance(data="none", licence="Apache-2.0", command="none"),
    )
    save_checkpoint(tmp_path / "net", Checkpoint(what, network))
    gate = open_full_reference_gate(tmp_path / "net", name="net", provider="cpu", threads=1)
    assert gate.fit.variant == "residual_only"
    reference, pixels = pictures.scene(200, 128, 0), pictures.noise(200, 128, 1)
    planes = [torch.from_numpy(one).movedim(-1, 0)[None].float() for one in (pixels, reference)]
    with torch.inference_mode():
        parts = [[plane[..., left : left + 128] for plane in planes] for left in (0, 72)]
        expected = [float(network(*part)["quality_fr"]) for part in parts]
    np.testing.assert_allclose(list(gate.compare([(pixels, reference)])), np.mean(expected), atol=1e-3)
    with pytest.raises(EngineError, match="at least a tile of 128 x 128"):
        list(gate.compare([(pixels[:100], reference[:100])]))


def test_a_gate_that_does_not_compare_is_refused(
    folder: Path, beside: tuple[Path, dict[str, Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The error names the command that takes it."""
    arguments = ["--set", str(beside[0] / "set"), "--gates", str(folder / "bright.onnx"), "--output", str(tmp_path)]
    assert main(["evaluate", "quality-fr", *arguments]) == 2
    assert "bright has no head 'quality_fr', only quality; evaluate quality is for that" in capsys.readouterr().err
