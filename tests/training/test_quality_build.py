"""From photographs to the proxy set: references, metrics, opinions, the fit to them, votes, and the folder."""

import dataclasses
import itertools
from collections import defaultdict
from pathlib import Path

import cv2
import numpy as np
import pytest

from runtime.errors import ConfigError
from tests import pictures
from tests.training.cover_folders import Silent
from training.__main__ import main
from training.damage.blur import gaussian
from training.damage.tid import KINDS_OF_TID
from training.metrics.votes import koniq_deviation, mean_and_deviation, voted
from training.quality.build import JOURNAL, Plan, build, rescore
from training.quality.calibration import TRUST, Calibration, calibrate
from training.quality.fidelity import IDENTICAL, Fidelity, fidelity
from training.quality.ladders import LADDERS, strength_at
from training.quality.opinions import Opinions, read_opinions
from training.quality.proxy_scoring import CALIBRATION
from training.quality.proxy_set import RATINGS, read_header, read_proxy, read_rows
from training.quality.references import cuts, find_photographs

HEIGHT, WIDTH = 140, 180


def photograph(path: Path, seed: int, size: tuple[int, int] = (WIDTH, HEIGHT)) -> Path:
    """A scene with detail everywhere."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = pictures.scene(*size, seed).astype(np.int16) + pictures.noise(*size, seed) // 8
    assert cv2.imwrite(str(path), np.clip(pixels, 0, 255).astype(np.uint8)[:, :, ::-1])
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("photographs")
    for seed in range(4):
        photograph(root / f"{seed}.png", seed)
    return root


@pytest.fixture(scope="module")
def opinions_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As TID2013's: three contents, harsher levels worse, contents that differ a little."""
    lines = [
        f"{7 - 0.9 * level - 0.02 * number + 0.1 * content:.5f} "
        f"{'I' if level > 2 else 'i'}{content:02}_{number:02}_{level}.bmp"
        for content, number, level in itertools.product((1, 2, 25), range(1, 25), range(1, 6))
    ]
    path = tmp_path_factory.mktemp("tid") / "mos_with_names.txt"
    path.write_text("\n".join(lines) + "\n")
    return path


# --- References


def test_a_photograph_is_found_once_and_named_with_its_folder(folder: Path, tmp_path: Path) -> None:
    """A copy under another name is the same content: it would lie on both sides of a split."""
    photograph(tmp_path / "a" / "copy.png", 0)
    photograph(tmp_path / "a" / "new.png", 9)
    found = find_photographs([folder, tmp_path / "a"], None, 0)
    assert [one.name for one in found] == [*(f"{folder.name}/{seed}.png" for seed in range(4)), "a/new.png"]


def test_folders_of_one_name_are_refused(tmp_path: Path) -> None:
    """A photograph goes by its folder's name and its own: two would be taken for one content."""
    for side in ("a", "b"):
        photograph(tmp_path / side / "sharp" / "1.png", ord(side))
    with pytest.raises(ConfigError, match=r"two folders are called alike \(sharp, sharp\).* rename one"):
        find_photographs([tmp_path / "a" / "sharp", tmp_path / "b" / "sharp"], None, 0)


def test_a_limit_takes_so_many_of_each_folder(folder: Path) -> None:
    """The seed says which; the same ones each time."""
    first, again = (find_photographs([folder], 2, 1) for _ in range(2))
    assert first == again
    assert len(first) == 2


def test_a_photograph_that_is_too_small_is_named(tmp_path: Path) -> None:
    """128 pixels are what a tile of the full-reference network needs."""
    photograph(tmp_path / "small.png", 0, (200, 127))
    with pytest.raises(ConfigError, match=r"1 smaller than 128 x 128 pixels.* take out .*small\.png \(200 x 127\)"):
        find_photographs([tmp_path], None, 0)


def test_cuts_are_parts_of_the_photograph_where_there_is_detail(tmp_path: Path) -> None:
    """Sky is not taken while there is something else; an upright photograph gives upright cuts."""
    pixels = np.full((600, 400, 3), 180, np.uint8)
    pixels[300:] = pictures.noise(400, 300)
    cv2.imwrite(str(tmp_path / "a.png"), pixels[:, :, ::-1])
    (found,) = find_photographs([tmp_path], None, 0)
    (cut,) = cuts(found, (150, 200), 1, 0)
    assert cut.shape == (200, 150, 3)
    assert (cut == 180).all(axis=2).mean() < 0.5
    assert any(
        np.array_equal(cut, pixels[top : top + 200, left : left + 150]) for top in range(401) for left in range(251)
    )


def test_cuts_overlap_by_half_at_most(folder: Path) -> None:
    """What is cut twice teaches once; where there is no room there are fewer."""
    (found, *_) = find_photographs([folder], None, 0)
    assert len(cuts(found, (HEIGHT, WIDTH), 4, 0)) == 1
    assert 1 <= len(cuts(found, (70, 90), 4, 0)) <= 4


# --- Metrics


def test_a_picture_is_as_near_as_can_be_to_itself_alone() -> None:
    """And the metrics fall, each in its own direction, with the strength of a blur."""
    reference = pictures.scene(420, 400)
    blurred = (gaussian(reference, sigma) for sigma in (0.7, 1.5, 3))
    seen = [fidelity(reference, reference), *(fidelity(one, reference) for one in blurred)]
    assert seen[0] == IDENTICAL
    for mild, harsh in itertools.pairwise(seen):
        assert mild.vsi > harsh.vsi
        assert mild.mdsi < harsh.mdsi
        assert mild.haarpsi > harsh.haarpsi


@pytest.mark.parametrize("size", [(200, 130), (384, 384), (700, 650), (1280, 720)])
def test_the_scale_at_which_pictures_are_compared_is_one(size: tuple[int, int]) -> None:
    """The metrics shrink a picture by its shorter side over 256, rounded: always to 1/2 here, whatever its size."""
    tile = pictures.noise(64, 64)
    reference = np.ascontiguousarray(np.tile(tile, (12, 21, 1))[: size[1], : size[0]])
    known = np.ascontiguousarray(np.tile(tile, (6, 8, 1)))
    expected = fidelity(gaussian(known, 0.6), known)
    assert fidelity(gaussian(reference, 0.6), reference).mdsi == pytest.approx(expected.mdsi, abs=0.02)


def test_pictures_of_two_sizes_are_not_compared() -> None:
    """The text tells both sizes."""
    with pytest.raises(ConfigError, match="140 x 130 pixels has a reference of 150 x 130"):
        fidelity(pictures.scene(140, 130), pictures.scene(150, 130))


# --- Opinions and the fit to them


def test_opinions_are_means_over_contents_that_may_be_seen(opinions_file: Path) -> None:
    """A content that is left out changes nothing; names are of either case."""
    found = read_opinions(opinions_file, ["I25"])
    assert found.contents == ("i01", "i02")
    assert found.left_out == ("i25",)
    assert found.mos[3, 2] == pytest.approx(7 - 1.8 - 0.06 + 0.15)


@pytest.mark.parametrize(
    ("text", "without", "fault"),
    [
        ("5.1 I01_01_1.bmp\nbad line\n", [], "line 2: 'bad line' is not like"),
        ("5.1 I01_01_1.bmp\n", [], "lacks scores of 119 kinds and levels, such as 01_2"),
        ("5.1 I01_01_1.bmp\n", ["i07"], "has no scores of i07; it has i01"),
    ],
)
def test_opinions_that_are_none_are_refused(tmp_path: Path, text: str, without: list[str], fault: str) -> None:
    """The text says what is there and what is due."""
    (tmp_path / "mos.txt").write_text(text)
    with pytest.raises(ConfigError, match=fault):
        read_opinions(tmp_path / "mos.txt", without)


def cells_of(biased: str, bias: float) -> tuple[dict[tuple[str, int], list[Fidelity]], Opinions]:
    """Metrics that say at once what people would, but of one kind, which they see worse than people do."""
    cells: dict[tuple[str, int], list[Fidelity]] = defaultdict(list)
    mos = {}
    for number, kinds in KINDS_OF_TID.items():
        for kind in kinds:
            for level in range(1, 6):
                true = 6.5 - level - number / 50
                seen = (true - (bias if kind == biased else 0)) / 7
                cells[kind, level].append(Fidelity(0.5 + seen / 2, 0.5 - seen / 3, seen))
                mos[number, level] = true
    return cells, Opinions(mos, ("i04",), (), "sha256:1")


def test_a_fit_goes_half_of_the_way_to_what_people_said_of_a_kind() -> None:
    """A kind that metrics misjudge gets half of what they are wrong by; the others keep their scores.

    An undistorted picture has the best. (At the fifth level the metrics are at their end.)
    """
    bias = 1.5
    cells, opinions = cells_of("aberration", bias)
    plain = calibrate(*cells_of("aberration", 0))
    fitted = calibrate(cells, opinions)
    number = {kind: number for number, kinds in KINDS_OF_TID.items() for kind in kinds}
    for kind in ("aberration", "noise", "jpeg"):
        found = fitted.mos([kind] * 4, [cells[kind, level][0] for level in range(1, 5)])
        wanted = 1 + 4 * np.array([opinions.mos[number[kind], level] for level in range(1, 5)]) / 7
        lack = TRUST * bias * 4 / 7 if kind == "aberration" else 0
        assert found == pytest.approx(wanted - lack, abs=0.25)
    helped, left = (own.lines["aberration"] for own in (fitted, plain))
    assert helped.offset + 3 * helped.slope == pytest.approx(left.offset + 3 * left.slope + TRUST * bias, abs=0.2)
    assert fitted.mos(["none"], [IDENTICAL])[0] == 5


def test_a_fit_needs_every_kind() -> None:
    """And says which is missing."""
    cells, opinions = cells_of("noise", 0)
    del cells["jpeg", 3]
    with pytest.raises(ConfigError, match="jpeg at level 3"):
        calibrate(cells, opinions)


def test_a_fit_comes_back_from_its_file(tmp_path: Path) -> None:
    """A second set is scored on the same scale."""
    fitted = calibrate(*cells_of("noise", 1))
    (tmp_path / "c.json").write_text(fitted.model_dump_json())
    assert Calibration.load(tmp_path / "c.json") == fitted
    (tmp_path / "c.json").write_text("{}")
    with pytest.raises(ConfigError, match=r"c\.json is no calibration"):
        Calibration.load(tmp_path / "c.json")


# --- Votes


def test_votes_have_the_mean_and_the_spread_of_koniq() -> None:
    """As many shares as votes can make; over many pictures the noise goes out."""
    mos = np.repeat([2.0, 3.0, 4.0], 2000)
    shares = voted(mos, 107, np.random.default_rng(0))
    assert np.abs(shares * 107 - np.rint(shares * 107)).max() < 1e-9
    assert shares.sum(axis=1) == pytest.approx(1)
    means, deviations = mean_and_deviation(shares)
    for score in (2.0, 3.0, 4.0):
        assert means[mos == score].mean() == pytest.approx(score, abs=0.05)
        assert means[mos == score].std() == pytest.approx(deviations[mos == score].mean() / np.sqrt(107), rel=0.15)
        # Cut into five, a Gaussian is wider by the twelfth of a score's width.
        assert deviations[mos == score].mean() == pytest.approx(float(koniq_deviation(np.array([score]))[0]), abs=0.08)


# --- The set


@pytest.mark.parametrize("kind", LADDERS)
def test_a_ladder_is_climbed_without_a_step_back(kind: str) -> None:
    """From level to level the strength moves one way, at the ladder's steps through its own numbers."""
    strengths = [strength_at(kind, level) for level in np.arange(0.5, 5.51, 0.25)]
    steps = np.diff(strengths)
    assert (steps >= 0).all() or (steps <= 0).all()
    assert strengths[0] != strengths[-1]
    for level, wanted in LADDERS[kind].items():
        assert strength_at(kind, level) == pytest.approx(wanted, rel=0.01)


@pytest.fixture(scope="module")
def built(folder: Path, opinions_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("built") / "proxy"
    plan = Plan((folder,), size=(HEIGHT, WIDTH), cuts=1, draws=4, test_share=0.4, seed=3)
    build(output, plan, Silent(), scores=read_opinions(opinions_file, ["i25"]))
    return output


def test_opinions_without_a_test_side_are_told_before_the_work(
    folder: Path, opinions_file: Path, tmp_path: Path
) -> None:
    """They are fitted to the test side's pictures, and nothing is distorted where there are none."""
    plan = Plan((folder,), size=(HEIGHT, WIDTH), cuts=1, draws=4, test_share=0.0, seed=3)
    with pytest.raises(ConfigError, match=r"none of 4 photographs is on it \(--test-share 0\)"):
        build(tmp_path / "proxy", plan, Silent(), scores=read_opinions(opinions_file, ["i25"]))
    assert not (tmp_path / "proxy" / "pictures").exists()


def test_a_name_that_is_not_utf8_is_told_before_the_work(tmp_path: Path) -> None:
    """A set's table is UTF-8: the name could not stand in it."""
    photograph(tmp_path / "a.png", 0).rename(tmp_path / "a\udcff.png")
    with pytest.raises(ConfigError, match="a name that is not UTF-8"):
        find_photographs([tmp_path], None, 0)


def test_a_built_set_has_every_kind_at_every_level_to_test_on(built: Path) -> None:
    """Of the test's photographs; the others have two strengths of half as many kinds as draws. No content is both."""
    rated = read_proxy(built)
    assert rated.proxy
    test, train = rated.where(lambda one: one.split == "test"), rated.where(lambda one: one.split == "train")
    assert not {one.content for one in test.pictures} & {one.content for one in train.pictures}
    assert len(test) == len({one.content for one in test.pictures}) * (1 + sum(map(len, LADDERS.values())))
    assert len(train) == len({one.content for one in train.pictures}) * (1 + 4)
    for one in rated.pictures:
        assert one.path.is_file()
        assert one.reference is not None
        assert one.reference.is_file()


def test_a_built_sets_scores_follow_the_votes(built: Path) -> None:
    """The mean opinion is that of the shares; an undistorted picture stands above harsh distortions."""
    rows = read_rows(built / RATINGS)
    shares = np.array([[row.c1, row.c2, row.c3, row.c4, row.c5] for row in rows])
    assert np.array([row.mos for row in rows]) == pytest.approx(shares @ np.arange(1, 6), abs=1e-3)
    best = min(row.mos for row in rows if row.kind == "none")
    assert best > max(row.mos for row in rows if row.level == 5 and row.kind in {"gaussian", "jpeg2000", "noise"})
    assert read_rows(built / RATINGS)[0].kind == "none"


def test_a_built_set_is_not_built_over(built: Path, folder: Path) -> None:
    """What is there may have taken an hour."""
    with pytest.raises(ConfigError, match="holds a quality set already"):
        build(built, Plan((folder,)), Silent())
    assert not (built / JOURNAL).exists()


def test_a_build_that_was_stopped_goes_on_to_the_same_set(folder: Path, tmp_path: Path) -> None:
    """What was measured is not measured again, and the scores, here ranks, are as of one go."""

    class StoppedError(Exception):
        pass

    class Stopper(Silent):
        def advance(self) -> None:
            raise StoppedError

    plan = Plan((folder,), size=(HEIGHT, WIDTH), cuts=1, draws=2, test_share=0.0)
    build(tmp_path / "whole", plan, Silent())
    with pytest.raises(StoppedError):
        build(tmp_path / "stopped", plan, Stopper(), workers=1)
    measured = list((tmp_path / "stopped" / JOURNAL).rglob("*.json"))
    assert measured
    assert not (tmp_path / "stopped" / RATINGS).exists()
    build(tmp_path / "stopped", dataclasses.replace(plan), Silent())
    assert (tmp_path / "stopped" / RATINGS).read_bytes() == (tmp_path / "whole" / RATINGS).read_bytes()
    mos = [row.mos for row in read_rows(tmp_path / "whole" / RATINGS)]
    assert min(mos) < 1.6
    assert max(mos) > 4.4


def test_a_build_is_not_gone_on_with_otherwise(folder: Path, tmp_path: Path) -> None:
    """Its pictures have the same names, and would stand beside references of the other build."""
    plan = Plan((folder,), size=(HEIGHT, WIDTH), cuts=1, draws=2, test_share=0.0)
    (tmp_path / "set" / JOURNAL / plan.digest).mkdir(parents=True)
    with pytest.raises(ConfigError, match="holds a build that was begun with other options"):
        build(tmp_path / "set", dataclasses.replace(plan, seed=1), Silent())
    assert not (tmp_path / "set" / "pictures").exists()


@pytest.mark.parametrize("place", ["", "below/set"])
def test_a_set_does_not_lie_among_its_photographs(tmp_path: Path, place: str) -> None:
    """Another build would take its distorted pictures for photographs."""
    photograph(tmp_path / "photographs" / "a.png", 0)
    output = tmp_path / "photographs" / place
    with pytest.raises(ConfigError, match=r"--output .* lies in --pictures"):
        build(output, Plan((tmp_path / "photographs",)), Silent())
    assert [one.name for one in (tmp_path / "photographs").iterdir()] == ["a.png"]


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (["--rescore", "--output", "SET", "--votes", "5"], "--rescore keeps a set's pictures and votes"),
        (["--rescore", "--output", "SET", "--size", "256x192"], "--rescore keeps a set's pictures and votes"),
        (["--rescore", "--output", "nowhere"], "nowhere holds no quality set"),
        (["--rescore", "--output", "SET", "--calibration", "SET/set.json"], "give calibration.json of a set"),
        (["--rescore", "--output", "SET", "--calibration", "SET"], "cannot be read (Is a directory)"),
        (["--rescore", "--output", "SET", "--opinions", "SET"], "mos_with_names.txt: Is a directory: give that file"),
        (["--pictures", "SET", "--output", "other", "--draws", "3"], "--draws 3: two strengths are drawn of each kind"),
    ],
)
def test_what_cannot_be_built_is_said(
    built: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    fault: str,
) -> None:
    """One line, and nothing is made or changed."""
    monkeypatch.chdir(tmp_path)
    before = (built / RATINGS).read_bytes()
    assert main(["build", "quality", *(word.replace("SET", str(built)) for word in words)]) == 2
    said = capsys.readouterr().err
    assert fault in said
    assert "pydantic" not in said
    assert (built / RATINGS).read_bytes() == before
    assert list(tmp_path.iterdir()) == []


def test_a_set_that_is_scored_anew_is_as_if_it_had_been_built_so(
    built: Path, folder: Path, opinions_file: Path, tmp_path: Path
) -> None:
    """From ranks to opinions and back: the same bytes."""
    plan = Plan((folder,), size=(HEIGHT, WIDTH), cuts=1, draws=4, test_share=0.4, seed=3)
    build(tmp_path / "proxy", plan, Silent())
    ranks = (tmp_path / "proxy" / RATINGS).read_bytes()
    rescore(tmp_path / "proxy", read_opinions(opinions_file, ["i25"]))
    assert (tmp_path / "proxy" / RATINGS).read_bytes() == (built / RATINGS).read_bytes()
    assert read_header(tmp_path / "proxy") == read_header(built)
    rescore(tmp_path / "proxy", None)
    assert (tmp_path / "proxy" / RATINGS).read_bytes() == ranks
    assert not (tmp_path / "proxy" / CALIBRATION).exists()


def test_a_row_that_is_none_is_named_by_its_line(built: Path, tmp_path: Path) -> None:
    """Numbers and sides are held to what they may be."""
    text = (built / RATINGS).read_text().splitlines()
    (tmp_path / RATINGS).write_text(
        "\n".join([text[0], text[1], text[2].replace("train", "both").replace("test", "both")])
    )
    with pytest.raises(ConfigError, match="line 3 is no rating: split 'both'"):
        read_rows(tmp_path / RATINGS)
    names, sound = text[0].split(","), text[2].split(",")
    for column, value, fault in (
        ("mos", "40", "mos 40 lies outside 1..5"),
        ("sd", "nan", "sd is nan"),
        ("c2", "3", "the shares .* sum to .*, where 1 is due"),
        ("c3", "-0.5", "the shares .*, and none is below 0"),
    ):
        row = [value if name == column else own for name, own in zip(names, sound, strict=True)]
        (tmp_path / RATINGS).write_text("\n".join([text[0], text[1], ",".join(row)]))
        with pytest.raises(ConfigError, match=f"line 3 is no rating: {fault}"):
            read_rows(tmp_path / RATINGS)
    (tmp_path / RATINGS).write_text("name,mos\na,3\n")
    with pytest.raises(ConfigError, match=r"has the columns \['name', 'mos'\]"):
        read_rows(tmp_path / RATINGS)
