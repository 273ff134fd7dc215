"""Readers of the published sets, on small imitations of their folders with the traps of the real ones; and splits."""

import argparse
import dataclasses
import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.io import savemat

from runtime.errors import ConfigError
from runtime.opencv import cv2
from training.__main__ import main
from training.commands.quality_sets import divided, told_of
from training.quality import live
from training.quality.held_out import held_out
from training.quality.rated import Rated, RatedSet
from training.quality.readers import LAYOUTS, read_rated, require_pictures, require_sizes
from training.quality.splits import (
    knows,
    may_know,
    median_and_quartiles,
    paper_split,
    splits,
    with_sides,
    write_splits,
)


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"")
    return path


def draw(path: Path) -> Path:
    """A small picture, in the format of its ending."""
    assert cv2.imwrite(str(touch(path)), np.full((8, 8, 3), 90, np.uint8))
    return path


# --- KonIQ-10k

Z_HEAD = "image_name,c1,c2,c3,c4,c5,c_total,MOS,SD,set"
OPINION_HEAD = "image_name,c1,c2,c3,c4,c5,c_total,MOS,SD,MOS_zscore"


def koniq(root: Path, *, zscore: bool = True, rows: list[str] | None = None) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    if zscore:
        name, head = "koniq10k_distributions_sets.csv", Z_HEAD
        own = rows or [
            "10004473376.jpg,0.0,0.0,0.238095238095,0.695238095238,0.0666666666667,105,77.3836206897,0.527277894494,training",
            "10007357496.jpg,0.0,0.03125,0.46875,0.489583333333,0.0104166666667,96,68.7285714286,0.580003024795,test",
            "8.jpg,0.5,0.5,0,0,0,100,4.2,0.5,validation",
        ]
    else:
        name, head = "koniq10k_scores_and_distributions.csv", OPINION_HEAD
        own = rows or ["10004473376.jpg,0.0,0.0,0.238,0.695,0.067,105,3.83,0.527,77.38"]
    (root / name).write_text("\n".join([head, *own]) + "\n")
    for row in own:
        draw(root / "1024x768" / row.split(",")[0])
    touch(root / "1024x768" / "without-a-row.jpg")
    return root


def test_koniqs_two_tables_are_told_apart_by_their_scale(tmp_path: Path) -> None:
    """MOS is 0..100 in one and 1..5 in the other, which may have the former beside it: then that is what is read.

    SD is of the votes in both; a picture without a row is left out.
    """
    zscores = read_rated(koniq(tmp_path / "z"))
    both = read_rated(koniq(tmp_path / "b", zscore=False))
    table = tmp_path / "b" / "koniq10k_scores_and_distributions.csv"
    table.write_text("".join(f"{line.rpartition(',')[0]}\n" for line in table.read_text().splitlines()))
    opinions = read_rated(tmp_path / "b")
    assert zscores.scale == both.scale == (0, 100)
    assert both.mos5()[0] == pytest.approx(zscores.mos5()[0], abs=1e-3)
    assert opinions.scale == (1, 5)
    assert len(zscores) == 3
    assert [one.split for one in zscores.pictures] == ["train", "test", "validation"]
    assert opinions.pictures[0].split is None
    assert zscores.pictures[0].std == pytest.approx(0.527277894494 * 25)
    assert opinions.pictures[0].std == pytest.approx(0.527)
    assert opinions.mos5()[0] == pytest.approx(3.83)
    assert zscores.mos5()[0] == pytest.approx(1 + 4 * 0.773836206897)
    for one in (*zscores.pictures, *opinions.pictures):
        assert one.distribution is not None
        assert sum(one.distribution) == pytest.approx(1, abs=1e-12)
    require_pictures(zscores)


def test_koniqs_votes_may_be_counts(tmp_path: Path) -> None:
    """Of which there are as many as the table says."""
    (one,) = read_rated(koniq(tmp_path, zscore=False, rows=["a.jpg,0,0,25,73,7,105,3.83,0.527,77.38"])).pictures
    assert one.distribution == pytest.approx([0, 0, 25 / 105, 73 / 105, 7 / 105])


def test_pictures_that_are_missing_or_broken_are_counted_and_one_is_named(tmp_path: Path) -> None:
    """Before long work, and from the beginning of each file alone."""
    found = read_rated(koniq(tmp_path))
    path = tmp_path / "1024x768" / "10007357496.jpg"
    path.write_bytes(path.read_bytes()[:10])
    with pytest.raises(ConfigError, match=r"1 of 3 pictures are broken\. .*10007357496\.jpg cannot be used"):
        require_pictures(found)
    path.unlink()
    with pytest.raises(ConfigError, match=r"1 of 3 pictures are not there, .*10007357496\.jpg among them"):
        require_pictures(found)


def test_scores_that_no_set_can_have_are_refused(tmp_path: Path) -> None:
    """Two of one picture, one that is no number, and none at all: set and picture are named."""
    two = ["4 i01_01_5.bmp", "5 I01_01_5.bmp"]
    files = ["distorted_images/i01_01_5.bmp", "reference_images/I01.BMP"]
    with pytest.raises(ConfigError, match=r"has 2 scores of distorted_images/i01_01_5\.bmp: take out all but one"):
        read_rated(tid(tmp_path / "tid", two, files))
    with pytest.raises(ConfigError, match=r"1 scores that are no numbers, that of distorted_images/i01_01_5\.bmp"):
        read_rated(tid(tmp_path / "tid", ["nan i01_01_5.bmp"], files))
    with pytest.raises(ConfigError, match="CSIQ has scores of no picture"):
        read_rated(csiq(tmp_path / "csiq", []))


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ("a.jpg,0,0,0,0,0,0,50,0.5,test", "line 2: the votes .* sum to 0, where 1 or, counted, 0 is due"),
        ("a.jpg,0.5,0.4,0,0,0,100,50,0.5,test", "line 2: the votes .* sum to 0.9, where 1 or, counted, 100 is due"),
        ("a.jpg,50,40,0,0,0,100,50,0.5,test", "line 2: the votes .* sum to 90, where 1 or, counted, 100 is due"),
        ("a.jpg,-0.1,1.1,0,0,0,100,50,0.5,test", "line 2: the votes"),
        ("a.jpg,1,0,0,0,0,100,none,0.5,test", "line 2: MOS 'none' is not a number"),
        ("a.jpg,1,0,0,0,0,100,130,0.5,test", "line 2: MOS 130 lies outside 0..100"),
        ("a.jpg,1,0,0,0,0,100,50,0.5,tset", "line 2: set 'tset' is none of training, validation, test"),
    ],
)
def test_a_row_of_koniq_that_is_none_is_named(tmp_path: Path, row: str, fault: str) -> None:
    """By file and line."""
    with pytest.raises(ConfigError, match=rf"koniq10k_distributions_sets\.csv, {fault}"):
        read_rated(koniq(tmp_path, rows=[row]))


def test_shares_of_koniq_need_no_count(tmp_path: Path) -> None:
    """``c_total`` may be empty; shares sum to 1 in the end, by how little they missed it."""
    (found,) = read_rated(koniq(tmp_path, rows=["a.jpg,0.5,0.4,0.09,0,0,,50,0.5,test"])).pictures
    assert found.distribution == pytest.approx((0.5 / 0.99, 0.4 / 0.99, 0.09 / 0.99, 0, 0))


def test_pairs_are_of_one_size_and_hold_a_tile(tmp_path: Path) -> None:
    """Before long work; the file is named."""
    sizes = {"small": (100, 200), "wide": (128, 260), "same": (128, 256), "reference": (128, 256)}
    paths = {name: tmp_path / f"{name}.png" for name in sizes}
    for name, (height, width) in sizes.items():
        cv2.imwrite(str(paths[name]), np.zeros((height, width, 3), np.uint8))

    def pair(name: str, reference: str) -> RatedSet:
        return RatedSet("some", (Rated(name, paths[name], paths[reference], name, 3.0),), (1, 5))

    def sized(rated: RatedSet) -> None:
        require_sizes(rated, require_pictures(rated), 128)

    sized(pair("same", "reference"))
    with pytest.raises(
        ConfigError,
        match=r"wide\.png is of 260 x 128 pixels and its reference .*reference\.png of 256 x 128: they must",
    ):
        sized(pair("wide", "reference"))
    with pytest.raises(ConfigError, match=r"small\.png is of 200 x 100 pixels; the network sees tiles of 128"):
        sized(pair("small", "small"))


def test_koniq_without_pictures_or_columns_says_what_is_due(tmp_path: Path) -> None:
    """The folders' names, and the missing columns."""
    (tmp_path / "koniq10k_distributions_sets.csv").write_text("image_name,MOS\na.jpg,3\n")
    with pytest.raises(ConfigError, match="neither of the folders 1024x768 and 512x384"):
        read_rated(tmp_path)
    (tmp_path / "512x384").mkdir()
    with pytest.raises(ConfigError, match="lacks the columns c1, c2, c3, c4, c5, SD"):
        read_rated(tmp_path)


# --- LIVE release 2


def live_set(root: Path, *, references: int = 982, originals: int = 203) -> Path:
    for folder in live.FOLDERS:
        (root / folder).mkdir(parents=True)
    orgs = np.zeros(982, np.uint8)
    orgs[:originals] = 1
    scores = np.linspace(-5, 104, 982)  # realigned ones may leave the scale
    savemat(root / "dmos.mat", {"dmos": np.clip(scores, 0, 100)[None], "orgs": orgs[None]})
    savemat(root / "dmos_realigned.mat", {"dmos_new": scores[None], "dmos_std": scores[None], "orgs": orgs[None]})
    names = np.empty((1, references), object)
    names[0] = [f"Ref{at % 29}.bmp" for at in range(references)]
    savemat(root / "refnames_all.mat", {"refnames_all": names})
    return root


def test_live_has_779_pictures_and_less_is_better(tmp_path: Path) -> None:
    """Of 982, 203 are the references themselves; which scores they are stands in the set's name."""
    root = live_set(tmp_path)
    plain, realigned = read_rated(root), read_rated(root, "live-realigned")
    assert len(plain) == len(realigned) == 779
    assert plain.name == "LIVE release 2 (dmos.mat)"
    assert realigned.name == "LIVE release 2 (dmos_realigned.mat)"
    assert plain.lower_better
    first, last = plain.pictures[0], plain.pictures[-1]
    assert first.name == "jp2k/img204.bmp"
    assert first.reference == root / "refimgs" / "Ref0.bmp"
    assert first.content == "ref0.bmp"
    assert (last.name, last.kind) == ("fastfading/img174.bmp", "fastfading")
    scores = realigned.mos5()
    assert scores[-1] == 1  # beyond the scale's end
    assert realigned.truth()[-1] < 1
    assert (np.diff(scores) <= 0).all()


def test_live_shows_its_plain_scores_where_it_has_them(tmp_path: Path) -> None:
    """Where it has the realigned ones alone, it shows those."""
    root = live_set(tmp_path)
    (root / "dmos.mat").unlink()
    assert read_rated(root).name == "LIVE release 2 (dmos_realigned.mat)"


@pytest.mark.parametrize("task", ["quality", "quality-fr", "deeprn"])
def test_either_scores_of_live_can_be_learned_from(
    task: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """``--layout`` says which; before anything is learned, the folder is found to hold no pictures."""
    words = ["train", task, "--data", str(live_set(tmp_path / "live")), "--output", str(tmp_path / "run")]
    for layout, scores in (([], live.PLAIN), (["--layout", "live-realigned"], live.REALIGNED)):
        assert main([*words, *layout]) == 2
        assert f"error: LIVE release 2 ({scores}): " in capsys.readouterr().err
    assert main([*words, "--layout", "love"]) == 2
    assert "--layout love: there are" in capsys.readouterr().err


def test_live_of_another_length_is_refused(tmp_path: Path) -> None:
    """The counts are told."""
    with pytest.raises(ConfigError, match=r"'refnames_all': 981.*982 of each"):
        read_rated(live_set(tmp_path, references=981))


def test_a_broken_matlab_file_is_named(tmp_path: Path) -> None:
    """And so is a missing variable."""
    root = live_set(tmp_path)
    savemat(root / "dmos.mat", {"other": [1]})
    with pytest.raises(ConfigError, match=r"dmos\.mat has no variable dmos, orgs; it has other"):
        read_rated(root)
    whole = (root / "dmos_realigned.mat").read_bytes()
    for content in (b"not MATLAB at all, and long enough to be read as a header" * 9, whole[:60], whole[: 3 * 982]):
        (root / "dmos.mat").write_bytes(content)
        with pytest.raises(ConfigError, match=r"dmos\.mat cannot be read as a MATLAB file"):
            read_rated(root)


# --- LIVE in the Wild


def test_the_first_seven_of_live_in_the_wild_taught_people_to_vote(tmp_path: Path) -> None:
    """They are left out; scores are 0 to 100, with deviations."""
    names = np.empty((9, 1), object)
    names[:, 0] = [f"t{at}.bmp" if at < 7 else f"{at}.bmp" for at in range(9)]
    values = np.arange(9.0)[None] * 10
    data = touch(tmp_path / "Data" / "x").parent
    savemat(data / "AllImages_release.mat", {"AllImages_release": names})
    savemat(data / "AllMOS_release.mat", {"AllMOS_release": values})
    savemat(data / "AllStdDev_release.mat", {"AllStdDev_release": values / 4})
    found = read_rated(tmp_path)
    assert [one.name for one in found.pictures] == ["Images/7.bmp", "Images/8.bmp"]
    assert found.mos5() == pytest.approx([3.8, 4.2])
    assert found.pictures[1].std == 20
    with pytest.raises(ConfigError, match=r"2 of 2 pictures are not there, .*Images/7\.bmp among them"):
        require_pictures(found)


# --- CSIQ


def csiq(root: Path, rows: list[list[Any]]) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.title = "all_by_image"
    sheet.append(["CSIQ"])
    sheet.append([])
    sheet.append([])
    sheet.append([None, None, None, "image", "dst_idx", "dst_type", "dst_lev", "dmos_std", "dmos"])
    for row in rows:
        sheet.append([None, None, None, *row] if row else [])
    book.save(root / "csiq.DMOS.xlsx")
    return root


def test_csiqs_table_has_numbers_for_names_and_empty_rows(tmp_path: Path) -> None:
    """The picture 1600 is a number there, "jpeg 2000" is a folder without a blank, and 0 is the best score."""
    rows: list[list[Any]] = [
        [1600, 1, "noise", 1, 0.02, 0.062],
        [],
        ["aerial_city", 5, "jpeg 2000", 4, 0.05, 0.9],
        ["aerial_city", 3, "fnoise", 2.0, 0.05, 0.4],
    ]
    found = read_rated(csiq(tmp_path, rows))
    assert [one.name for one in found.pictures] == [
        "dst_imgs/awgn/1600.AWGN.1.png",
        "dst_imgs/jpeg2000/aerial_city.jpeg2000.4.png",
        "dst_imgs/fnoise/aerial_city.fnoise.2.png",
    ]
    assert found.pictures[0].reference == tmp_path / "src_imgs" / "1600.png"
    assert found.lower_better
    assert found.mos5() == pytest.approx([5 - 4 * 0.062, 5 - 4 * 0.9, 5 - 4 * 0.4])


def test_a_fault_in_csiqs_table_is_named(tmp_path: Path) -> None:
    """By its row; and a file that is no table at all."""
    with pytest.raises(ConfigError, match="row 5: 'fog' is none of noise, blur"):
        read_rated(csiq(tmp_path, [["a", 1, "fog", 1, 0.1, 0.2]]))
    with pytest.raises(ConfigError, match="row 5: could not convert"):
        read_rated(csiq(tmp_path, [["a", 1, "blur", 1, 0.1, "bad"]]))
    (tmp_path / "csiq.DMOS.xlsx").write_bytes(b"no table")
    with pytest.raises(ConfigError, match="cannot be read as an Excel file"):
        read_rated(tmp_path)


# --- TID


def tid(root: Path, lines: list[str], files: list[str]) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    (root / "mos_with_names.txt").write_text("\n".join(lines) + "\n")
    for name in files:
        touch(root / name)
    return root


def test_tids_names_are_of_either_case(tmp_path: Path) -> None:
    """``I01.BMP`` beside ``i25.bmp``, and the table's case is not that of the disk."""
    files = ["distorted_images/i01_24_2.bmp", "distorted_images/I25_01_1.BMP"]
    files += ["reference_images/I01.BMP", "reference_images/i25.bmp"]
    root = tid(tmp_path, ["5.5 I01_24_2.bmp", "3.25 i25_01_1.bmp"], files)
    found = read_rated(root)
    first, second = found.pictures
    assert first.path.name == "i01_24_2.bmp"
    assert second.path.name == "I25_01_1.BMP"
    assert (first.reference, second.reference) == (root / files[2], root / files[3])
    assert (first.content, first.kind, first.level) == ("i01", "24", 2)
    assert found.mos5() == pytest.approx([1 + 4 * 5.5 / 9, 1 + 4 * 3.25 / 9])


def test_tids_levels_are_strengths_but_of_three_kinds(tmp_path: Path) -> None:
    """Blocks get fewer and stronger, brightness and contrast go up and down by turns: no ladder is made of them."""
    names = [f"i01_{kind:02}_3.bmp" for kind in (14, 15, 16, 17, 18)]
    files = [*(f"distorted_images/{name}" for name in names), "reference_images/i01.bmp"]
    found = read_rated(tid(tmp_path, [f"5.5 {name}" for name in names], files))
    assert [one.level for one in found.pictures] == [3, None, None, None, 3]


def test_deviations_of_tids_means_are_not_taken_for_those_of_opinions(tmp_path: Path) -> None:
    """A Gaussian of that width would put nearly all votes on one score."""
    files = ["distorted_images/i01_20_2.bmp", "reference_images/I01.BMP"]
    root = tid(tmp_path, ["5.5 I01_20_2.bmp"], files)
    (root / "mos_std.txt").write_text("0.13\n")
    assert read_rated(root).pictures[0].std is None


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("5.5 I02_08_2.bmp", r"line 1: I02_08_2\.bmp is not in distorted_images"),
        ("5.5 I01.bmp", r"line 1: '5\.5 I01\.bmp' is not like"),
        ("x I01_08_2.bmp", "line 1: the score 'x' is not a number"),
        ("5 I01_25_2.bmp", r"line 1: I01_25_2\.bmp is not of TID2013, which has 25 contents, 24 kinds and 5 levels"),
    ],
)
def test_a_line_of_tid_that_is_none_is_named(tmp_path: Path, line: str, fault: str) -> None:
    """And so is a picture that is missing: a part of the set has a part of the table."""
    files = ["distorted_images/i01_08_2.bmp", "reference_images/I01.BMP"]
    with pytest.raises(ConfigError, match=fault):
        read_rated(tid(tmp_path, [line], files), "tid2013")


@pytest.mark.parametrize(("kinds", "levels", "name"), [(17, 4, "TID2008"), (24, 5, "TID2013")])
def test_a_whole_tid_is_known_by_its_size(tmp_path: Path, kinds: int, levels: int, name: str) -> None:
    """25 references; the 17 kinds at 4 levels are the older one's."""
    places = list(itertools.product(range(1, 26), range(1, kinds + 1), range(1, levels + 1)))
    names = [f"i{content:02}_{kind:02}_{level}.bmp" for content, kind, level in places]
    files = [f"distorted_images/{one}" for one in names] + [f"reference_images/I{at:02}.BMP" for at in range(1, 26)]
    found = read_rated(tid(tmp_path, [f"4 {one}" for one in names], files))
    assert found.name == name
    assert len({one.content for one in found.pictures}) == 25


def test_a_part_of_tid_tells_its_size_and_its_release_where_it_can(tmp_path: Path) -> None:
    """A fifth level and a kind above 17 are of TID2013 alone; without them, which it is has to be said."""
    files = [f"distorted_images/i01_{name}.bmp" for name in ("02_1", "02_5", "18_1")] + ["reference_images/I01.BMP"]
    for own in ("02_5", "18_1"):
        assert read_rated(tid(tmp_path, [f"4 i01_{own}.bmp", "5 i01_02_1.bmp"], files)).name == "TID2013 (2 of 3000)"
    root = tid(tmp_path, ["5 i01_02_1.bmp"], files)
    with pytest.raises(ConfigError, match="looks like tid2008 and tid2013: say --layout"):
        read_rated(root)
    assert read_rated(root, "tid2008").name == "TID2008 (1 of 1700)"


# --- Which reader


def test_a_folder_of_nothing_known_is_refused(tmp_path: Path) -> None:
    """The layouts are named; so they are for a layout that does not exist, and where two are shown."""
    with pytest.raises(ConfigError, match=r"are koniq, live, .*; this folder has the files of none of them"):
        read_rated(tmp_path)
    with pytest.raises(ConfigError, match=f"--layout spaq: there are {', '.join(LAYOUTS)}"):
        read_rated(tmp_path, "spaq")
    tid(tmp_path, ["1 i01_01_5.bmp"], [])
    csiq(tmp_path, [])
    with pytest.raises(ConfigError, match="looks like csiq and tid2013: say --layout"):
        read_rated(tmp_path)


# --- Splits


def judged(contents: list[str]) -> RatedSet:
    pictures = tuple(
        Rated(f"{content}-{at}", Path(content), None, content, 3.0) for content in contents for at in range(2)
    )
    return RatedSet("some", pictures, (1, 5), digest="sha256:0")


@given(st.lists(st.text(min_size=1, max_size=6), min_size=4, max_size=40, unique=True), st.randoms())
def test_no_content_is_on_both_sides(contents: list[str], random: Any) -> None:
    """Whatever order the pictures come in, each seed tests on the same contents, as many as the share rounds to."""
    rated = judged(contents)
    mixed = list(rated.pictures)
    random.shuffle(mixed)
    drawn = splits(rated, seeds=3, test_share=0.3)
    assert drawn == splits(dataclasses.replace(rated, pictures=tuple(mixed)), seeds=3, test_share=0.3)
    for one in drawn:
        sides = one.apply(rated)
        tested = {each.content for each in sides.pictures if each.split == "test"}
        learned = {each.content for each in sides.pictures if each.split == "train"}
        assert len(tested) == round(0.3 * len(contents))
        assert not tested & learned
        assert tested | learned == set(contents)


@pytest.mark.parametrize(("contents", "tested"), [(29, 6), (30, 6), (25, 5)])
def test_splits_are_as_large_as_the_fields(contents: int, tested: int) -> None:
    """LIVE 23 and 6, CSIQ 24 and 6, TID 20 and 5; five seeds test on every content, and so do the next."""
    drawn = splits(judged([f"i{at:02}" for at in range(contents)]))
    assert [len(one.test) for one in drawn] == [tested] * 10
    assert len({one.test for one in drawn}) == 10
    for five in (drawn[:5], drawn[5:]):
        assert len({name for one in five for name in one.test}) == contents


def test_others_can_repeat_splits(tmp_path: Path) -> None:
    """A file tells of which set they are, and each content's side."""
    rated = judged(list("abcdefgh"))
    drawn = splits(rated)
    write_splits(tmp_path / "splits.json", rated, drawn)
    document = json.loads((tmp_path / "splits.json").read_bytes())
    assert document["digest"] == "sha256:0"
    assert [one["seed"] for one in document["splits"]] == [one.seed for one in drawn]
    for one, split in zip(document["splits"], drawn, strict=True):
        assert sorted(one["train"] + one["test"]) == list("abcdefgh")
        assert one["test"] == list(split.test)


def test_the_papers_split_learns_from_8073_pictures() -> None:
    """The other 2000 of KonIQ-10k are for the test; a smaller set is refused."""
    rated = judged([str(at) for at in range(10_073)])
    assert len(paper_split(rated, 0).test) == 2000
    with pytest.raises(ConfigError, match="8073 of 10073 pictures, not of 50"):
        paper_split(judged([str(at) for at in range(50)]), 0)
    with pytest.raises(ConfigError, match="leaves one side without any"):
        splits(judged(["a", "b"]))


def test_a_set_has_the_sides_of_its_seed() -> None:
    """Those of ``splits``; sides of its own stay, unless the paper's are asked for; the digest tells which."""
    rated = judged(list("abcdefghij"))
    sides = with_sides(rated, 7, "content")
    assert {one.content for one in sides.pictures if one.split == "test"} == set(splits(rated)[7].test)
    assert sides.digest == "sha256:0 (split content 7)"
    with pytest.raises(ConfigError, match=r"some has sides of its own.* leave --split-seed out"):
        with_sides(sides, 0, "content")
    whole = judged([str(at) for at in range(10_073)])
    large = splits(whole, seeds=1)[0].apply(whole)
    assert sum(one.split == "test" for one in with_sides(large, 0, "paper").pictures) == 2 * 2000


def test_what_is_held_out_is_shared_by_the_sets_that_have_a_side_for_it() -> None:
    """As many of each, one at least; a set without sides takes nothing from the others."""
    whole, sides = judged(list("abcdefghij")), with_sides(judged(list("klmnopqrst")), 1, "content")
    [alone] = held_out([whole, sides], 2, 0)
    assert (len(alone), {one.split for one in alone.pictures}) == (2, {"test"})
    assert [len(one) for one in held_out([sides, whole, sides], 1, 0)] == [1, 1]
    assert held_out([whole], 5, 0) == []


def test_a_gate_knows_what_it_was_trained_on() -> None:
    """The other side of its own split is new to it; that of another split, or of none, is not."""
    rated = judged(list("abcdefghij"))
    three, thirty = (with_sides(rated, seed, "content") for seed in (3, 30))
    told = f"some {three.digest}; code 1"
    assert not knows(three, told, tested=True)
    assert knows(three, told, tested=False)
    assert knows(thirty, told, tested=True)
    assert knows(rated, told, tested=False)
    assert knows(three, f"some {rated.digest}", tested=True)
    assert not knows(rated, "other sha256:1", tested=False)
    assert not knows(rated, f"some {rated.digest}", tested=True)  # of sides of its own
    assert knows(rated, told, tested=True)  # its own sides are others than those that were drawn
    assert knows(three, f"{told}; which learned from: some {rated.digest}", tested=True)
    assert knows(three, f"{told}; which learned from: some {thirty.digest}", tested=True)
    assert not knows(dataclasses.replace(rated, digest="", name="other"), told, tested=False)


def test_a_gate_may_know_scores_that_its_proxy_was_fitted_to() -> None:
    """Told of TID2013 alone, whose scores a proxy is fitted to, and of any part of it."""
    part = dataclasses.replace(judged(["i01"]), name="TID2013 (12 of 3000)")
    told = "quality (proxy) sha256:5 (scores fitted to sha256:6)"
    assert may_know(part, told)
    assert not knows(part, told, tested=False)
    assert not may_know(judged(["i01"]), told)
    assert not may_know(part, "quality (proxy) sha256:5")


def test_a_gate_knows_other_files_and_parts_of_a_published_set() -> None:
    """KonIQ-10k's two tables, LIVE's two scores, a part of TID2013: the name without brackets is what counts.

    A proxy is called after its folder, which says nothing.
    """
    whole = dataclasses.replace(judged(list("abcdefghij")), name="TID2013")
    part = dataclasses.replace(whole, name="TID2013 (286 of 3000)", digest="sha256:7")
    assert knows(part, told_of([whole]), tested=False)
    assert knows(whole, told_of([part]), tested=True)
    assert not knows(dataclasses.replace(part, name="TID2008"), told_of([whole]), tested=False)
    proxies = [dataclasses.replace(one, name="quality", proxy=True) for one in (whole, part)]
    assert not knows(proxies[0], told_of(proxies[1:]), tested=False)


def test_a_gate_knows_the_scores_that_a_proxys_were_fitted_to() -> None:
    """Of TID2013's table; with any side of it."""
    people = judged(list("abcdefghij"))
    told = told_of([dataclasses.replace(people, digest="sha256:1", proxy=True, fitted_to=people.digest)])
    assert told == "some (proxy) sha256:1 (scores fitted to sha256:0)"
    assert knows(people, told, tested=False)
    assert knows(with_sides(people, 0, "content"), told, tested=True)


def test_beside_sets_without_sides_others_keep_theirs() -> None:
    """Nothing else can be meant; alone they are refused, as is the paper's way for what it was not made for."""
    plain = judged(list("abcdefghij"))
    own = dataclasses.replace(with_sides(plain, 3, "content"), name="other", digest="sha256:2")
    options = argparse.Namespace(split_seed=0, split_of="content")
    assert divided(options, [own, plain]) == [own, with_sides(plain, 0, "content")]
    with pytest.raises(ConfigError, match="other has sides of its own"):
        divided(options, [own])
    assert divided(argparse.Namespace(split_seed=None, split_of="content"), [own, plain]) == [own, plain]
    large = judged([str(at) for at in range(10073)])
    proxy = dataclasses.replace(own, proxy=True)
    by_paper = argparse.Namespace(split_seed=0, split_of="paper")
    assert divided(by_paper, [proxy, large]) == [proxy, with_sides(large, 0, "paper")]


def test_results_over_seeds_are_told_by_the_middle() -> None:
    """Median and quartiles, as numpy has them."""
    assert median_and_quartiles([1.0, 2.0, 3.0, 4.0, 100.0]) == (3.0, 2.0, 4.0)
    assert np.isnan(median_and_quartiles([])).all()
