"""The ladder of blurs, the manifest, and the set that is built and read."""

import shutil
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from runtime.errors import ConfigError
from tests import pictures
from tests.training.cover_folders import (
    HEIGHT,
    WIDTH,
    Silent,
    cutout_png,
    grey_png,
    jpeg,
    palette_png,
    put,
    salient_set,
    subject,
)
from training.cover import halving
from training.cover.build import Plan, build
from training.cover.cover_set import CoverSet
from training.cover.halving import halved, halved_mask, halvings
from training.cover.header import read_header
from training.cover.levels import GATE, LEVELS, Level, blurred, parse_levels
from training.cover.manifest import CoverSample, manifest_bytes, read_manifest
from training.data.mask import IGNORE
from training.data.split import Split

SHORT = (Level(0, 10), Level(1, 5), Level(3, 2))


def built(folder: Path, plan: Plan) -> CoverSet:
    return build(folder, plan, Silent())


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    return salient_set(tmp_path / "ECSSD", [f"{number:04}" for number in range(12)])


# --- The ladder


def test_the_ladder_has_the_papers_scores() -> None:
    """9.5, 7.5, 5.625 and 4.2188 are printed with its figures; the gate lies just below the seventh."""
    assert [level.score for level in LEVELS[:5]] == [10, 9.5, 7.5, 5.625, 4.2188]
    assert len(LEVELS) == 10
    assert LEVELS[6].score > GATE > LEVELS[7].score
    assert (LEVELS[0].sigma_px, LEVELS[1].sigma_px, LEVELS[-1].sigma_px) == (0, 0.6, 8)
    sigmas = np.array([level.sigma_px for level in LEVELS[1:]])
    assert sigmas[1:] / sigmas[:-1] == pytest.approx(np.full(8, (8 / 0.6) ** (1 / 8)), rel=1e-3)


def test_a_ladder_is_written_as_sigmas_and_scores() -> None:
    assert parse_levels("0:10,1:5,3:2") == SHORT


@pytest.mark.parametrize("text", ["", "1", "0:10,x:5", "0:10,1:11", "1:5,0:10", "0:5,1:5", "0:10:3"])
def test_what_is_no_ladder_is_refused(text: str) -> None:
    """More blur must score less, within 1 to 10."""
    with pytest.raises(ConfigError, match=r"level|SIGMA:SCORE"):
        parse_levels(text)


def test_no_blur_changes_nothing_and_blur_is_a_gaussian() -> None:
    """A single white pixel spreads by the sigma asked for; the picture's mean stays."""
    pixels = np.zeros((41, 41, 3), np.uint8)
    pixels[20, 20] = 255
    assert blurred(pixels, 0) is pixels
    spread = blurred(pixels, 1.2)[..., 0].astype(float)
    rows = np.arange(41) - 20
    weights = spread.sum(1) / spread.sum()
    assert float((weights * rows**2).sum()) == pytest.approx(1.2**2, rel=0.12)
    flat = np.full((9, 9, 3), 77, np.uint8)
    assert (blurred(flat, 8) == 77).all()  # the border brings in no black


# --- Halving


@pytest.mark.parametrize(
    ("height", "width", "times"),
    [(719, 5000, 1), (1439, 1439, 0), (1440, 1440, 1), (2880, 3000, 2), (1000, 3001, 1), (1000, 3000, 0)],
)
def test_large_pictures_are_halved_down_to_720_px_and_above_3_megapixels_at_least_once(
    height: int, width: int, times: int
) -> None:
    assert halvings(height, width) == times


def test_halving_is_the_mean_of_four_rounded_half_up() -> None:
    pixels = np.array([[0, 1, 9], [1, 0, 9], [9, 9, 9]], np.uint8)[..., None].repeat(3, -1)
    assert halved(pixels, 1).tolist() == [[[1, 1, 1]]]  # 2 / 4, half up; the odd row and column are left out


def test_half_a_mask_is_foreground_and_anything_unknown_stays_unknown() -> None:
    mask = np.array([[1, 0, 1, 0, IGNORE, 1], [1, 0, 0, 0, 1, 1]], np.uint8)
    assert halved_mask(mask, 1).tolist() == [[1, 0, IGNORE]]


# --- The manifest


def test_a_manifest_reads_as_it_was_written(tmp_path: Path) -> None:
    samples = (
        CoverSample("a b/ü,1.jpg", "m.png", "a", 0, 0, 10, "train"),
        CoverSample("a.jpg", None, "a", 3, 1.1465, 5.625, "test"),
        CoverSample("b.jpg", "m.png", "b", 0, 0, None, "train"),
    )
    path = put(tmp_path / "manifest.csv", manifest_bytes(samples))
    assert read_manifest(path).samples == samples
    assert manifest_bytes(read_manifest(path).samples) == path.read_bytes()


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ("a.jpg,,a,0,0,10,both", "the split is 'both'"),
        ("a.jpg,,a,0,0,11,train", "score 11"),
        ("a.jpg,,a,0,-1,10,train", "sigma -1"),
        ("a.jpg,,a,0,0,,train", "neither a mask nor a score"),
        ("a.jpg,,,0,0,10,train", "source is empty"),
        ("/etc/a.jpg,,a,0,0,10,train", "below the set's root"),
        ("b/../../a.jpg,,a,0,0,10,train", "below the set's root"),
        ("a.jpg,,a,zero,0,10,train", "zero"),
        ("a.jpg,a", "2 fields"),
    ],
)
def test_a_row_that_is_no_sample_is_named(tmp_path: Path, row: str, fault: str) -> None:
    head = "image,mask,source,level,sigma,score,split\ngood.jpg,,g,0,0,10,train\n"
    path = put(tmp_path / "manifest.csv", f"{head}{row}\n".encode())
    with pytest.raises(ConfigError, match=rf"row 3: .*{fault}"):
        read_manifest(path)


def test_a_manifest_without_the_columns_is_refused(tmp_path: Path) -> None:
    path = put(tmp_path / "manifest.csv", b"image,mask,source\n")
    with pytest.raises(ConfigError, match="no column level, sigma, score"):
        read_manifest(path)


def test_a_folder_with_a_manifest_alone_holds_blurred_pictures(tmp_path: Path) -> None:
    """Another's set in the columns of the paper's: nothing is blurred again, and sources keep to one side."""
    rows = ["image,mask,source,level,sigma,score"]
    for source in range(30):
        put(tmp_path / f"m/{source}.png", grey_png(subject()))
        for level, (sigma, score) in enumerate(((0, 10), (2, 4.0))):
            put(tmp_path / f"p/{source}-{level}.jpg", jpeg(source))
            rows.append(f"p/{source}-{level}.jpg,m/{source}.png,{source},{level},{sigma},{score}")
    put(tmp_path / "manifest.csv", "\n".join(rows).encode())
    found = CoverSet.load(tmp_path)
    assert (found.header.blur, found.header.split) == ("written", "source")
    assert found.header.levels == (Level(0, 10), Level(2, 4))
    sharp, soft = (found.read(sample) for sample in found.samples[:2])
    assert np.array_equal(sharp.pixels, soft.pixels)
    assert sharp.mask is not None
    assert np.array_equal(sharp.mask, subject() // 255)
    train, test = ({one.source for one in side.samples} for side in (found.of_split("train"), found.of_split("test")))
    assert train
    assert test
    assert not train & test


# --- Building and reading


def test_a_set_has_every_source_under_every_blur(sources: Path, tmp_path: Path) -> None:
    made = built(tmp_path / "set", Plan(sources))
    assert len(made) == 12 * 10
    assert [(one.level, one.sigma_px, one.score) for one in made.samples[:10]] == [
        (number, level.sigma_px, level.score) for number, level in enumerate(LEVELS)
    ]
    assert {path.name for path in (tmp_path / "set").iterdir()} == {"manifest.csv", "set.json"}
    sample = made.samples[4]
    seen, sharp = made.read(sample), made.read(made.samples[0])
    assert np.array_equal(seen.pixels, blurred(sharp.pixels, sample.sigma_px))
    assert seen.mask is not None
    assert np.array_equal(seen.mask, subject() // 255)


def test_blur_on_reading_equals_written_blur(sources: Path, tmp_path: Path) -> None:
    """The two kinds of set are the same data."""
    plan = Plan(sources, levels=SHORT, halve=True)
    read, written = built(tmp_path / "read", plan), built(tmp_path / "written", replace(plan, written=True))
    assert (read.header.blur, written.header.blur) == ("on-read", "written")
    for one, other in zip(read.samples, written.samples, strict=True):
        assert replace(other, image=one.image, mask=one.mask) == one
        seen, stored = read.read(one), written.read(other)
        assert np.array_equal(seen.pixels, stored.pixels)
        assert seen.mask is not None
        assert stored.mask is not None
        assert np.array_equal(seen.mask, stored.mask)


def test_what_is_written_is_halved_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A panorama that is still large after it was halved is not halved again when the written set is read."""
    monkeypatch.setattr(halving, "LARGE_PIXELS", 100_000)
    put(tmp_path / "pictures/large.png", pictures.png(pictures.noise(4000, 200)))
    plan = Plan(tmp_path / "pictures", levels=SHORT, halve=True)
    read, written = built(tmp_path / "read", plan), built(tmp_path / "written", replace(plan, written=True))

    for one, other in zip(read.samples, written.samples, strict=True):
        stored = written.read(other).pixels
        assert stored.shape == (100, 2000, 3)
        assert np.array_equal(read.read(one).pixels, stored)


def test_pictures_of_one_stem_are_written_as_two(tmp_path: Path) -> None:
    """a.jpg and a.png are two pictures: neither file takes the other's place."""
    put(tmp_path / "pictures/a.jpg", jpeg(1))
    put(tmp_path / "pictures/a.png", pictures.png(pictures.noise(WIDTH, HEIGHT)))
    plan = Plan(tmp_path / "pictures", "pictures", levels=SHORT)
    read, written = built(tmp_path / "read", plan), built(tmp_path / "written", replace(plan, written=True))

    assert len({one.image for one in written.samples}) == len(written) == 2 * len(SHORT)
    for one, other in zip(read.samples, written.samples, strict=True):
        assert np.array_equal(read.read(one).pixels, written.read(other).pixels)


def test_a_mask_that_says_nothing_is_found_when_the_set_is_built(sources: Path, tmp_path: Path) -> None:
    """Not after hours of training."""
    put(sources / "ground_truth_mask/0003.png", grey_png(subject() // 255))
    with pytest.raises(ConfigError, match=r"0003\.png.* brightest pixel is 1\."):
        built(tmp_path / "set", Plan(sources))


def test_a_written_set_needs_its_sources_no_longer(sources: Path, tmp_path: Path) -> None:
    made = built(tmp_path / "set", Plan(sources, levels=SHORT, written=True))
    shutil.rmtree(sources)
    moved = CoverSet.load((tmp_path / "set").rename(tmp_path / "moved"))
    moved.require_files()
    assert moved.read(moved.samples[1]).pixels.shape == (HEIGHT, WIDTH, 3)
    assert moved.digest == made.digest


def test_the_digest_is_of_the_content_alone(sources: Path, tmp_path: Path) -> None:
    """The same for a copy elsewhere, another for another seed, level or picture."""
    plan = Plan(sources)
    first = built(tmp_path / "one", plan).digest
    copied = Path(shutil.copytree(sources, tmp_path / "copied"))
    assert built(tmp_path / "two", replace(plan, pictures=copied)).digest == first
    others = [built(tmp_path / "three", replace(plan, seed=1)), built(tmp_path / "four", replace(plan, levels=SHORT))]
    put(copied / "images/0003.jpg", jpeg(99))
    others.append(built(tmp_path / "five", replace(plan, pictures=copied)))
    assert len({first, *(other.digest for other in others)}) == 4


def test_a_split_by_source_shares_none_and_a_split_by_image_does(sources: Path, tmp_path: Path) -> None:
    """The paper's split puts copies of one picture on both sides; the default never does."""

    def shared(made: CoverSet) -> int:
        sides: defaultdict[str, set[str]] = defaultdict(set)
        for one in made.samples:
            sides[one.source].add(one.split)
        return sum(len(both) == 2 for both in sides.values())

    plan = Plan(sources, test_share=0.4)
    by_source = built(tmp_path / "source", plan)
    assert shared(by_source) == 0
    assert {one.split for one in by_source.samples} == {"train", "test"}
    by_image = built(tmp_path / "image", replace(plan, split="image"))
    assert shared(by_image) > 6
    assert by_image.header.split == "image"


def test_a_picture_is_on_one_side_in_every_set_of_a_seed(sources: Path, tmp_path: Path) -> None:
    """Whatever else is in the set: a network may be trained on one and tested on another."""
    few = built(tmp_path / "few", Plan(sources, every=2, test_share=0.4))
    sides = {one.source: one.split for one in built(tmp_path / "all", Plan(sources, test_share=0.4)).samples}
    assert len(few) == 60
    assert all(one.split == sides[one.source] for one in few.samples)


@pytest.mark.parametrize("side", ["train", "test"])
def test_all_can_lie_on_one_side(sources: Path, tmp_path: Path, side: Split) -> None:
    made = built(tmp_path / "set", Plan(sources, split=side))
    assert {one.split for one in made.samples} == {side}


def test_the_split_that_a_set_has_itself_is_kept(tmp_path: Path) -> None:
    for side in ("TR", "TE"):
        salient_set(tmp_path / f"DUTS/DUTS-{side}", ["a"], images=f"DUTS-{side}-Image", masks=f"DUTS-{side}-Mask")
    made = built(tmp_path / "set", Plan(tmp_path / "DUTS"))
    assert made.header.split == "given"
    assert {(one.source.split("/")[0], one.split) for one in made.samples} == {
        ("DUTS-TR", "train"),
        ("DUTS-TE", "test"),
    }


def test_pictures_of_another_set_are_left_out(tmp_path: Path) -> None:
    """By content, for names differ: a picture to train on must not be one of the test."""
    test = built(tmp_path / "test", Plan(salient_set(tmp_path / "TE", ["x"]), split="test"))
    kept = Plan(salient_set(tmp_path / "TR", ["a", "b"]), split="train", without=(tmp_path / "test",))
    made = built(tmp_path / "train", kept)
    assert {one.source for one in made.samples} == {"images/b.jpg"}
    assert made.header.left_out == {"images/a.jpg": "the set test has the same picture"}
    assert made.header.without == (test.digest,)


def test_a_mask_of_another_size_is_refused_with_both_files(sources: Path, tmp_path: Path) -> None:
    put(sources / "ground_truth_mask/0004.png", grey_png(subject(WIDTH + 1, HEIGHT)))
    with pytest.raises(ConfigError, match=r"images/0004\.jpg has 48 x 36 .*ground_truth_mask/0004\.png 49 x 36"):
        built(tmp_path / "set", Plan(sources))
    assert not (tmp_path / "set/manifest.csv").exists()


def test_a_sideways_picture_has_an_upright_mask(tmp_path: Path) -> None:
    """Cameras store portraits sideways with a note; masks are drawn on what is seen."""
    upright = pictures.scene(HEIGHT, WIDTH)
    put(tmp_path / "P/images/a.jpg", pictures.with_exif(pictures.jpeg(pictures.stored(upright, 6)), 6))
    put(tmp_path / "P/masks/a.png", grey_png(subject(HEIGHT, WIDTH)))
    made = built(tmp_path / "set", Plan(tmp_path / "P", levels=SHORT))
    assert made.read(made.samples[0]).pixels.shape == (WIDTH, HEIGHT, 3)


def test_void_stays_void_in_a_written_set(tmp_path: Path) -> None:
    indices = np.zeros((HEIGHT, WIDTH), np.uint8)
    indices[5:9], indices[9] = 3, IGNORE
    put(tmp_path / "VOC/JPEGImages/a.jpg", jpeg(0))
    put(tmp_path / "VOC/SegmentationClass/a.png", palette_png(indices))
    put(tmp_path / "VOC/ImageSets/Segmentation/trainval.txt", b"a\n")
    made = built(tmp_path / "set", Plan(tmp_path / "VOC", levels=SHORT, written=True))
    mask = made.read(made.samples[2]).mask
    assert mask is not None
    assert np.array_equal(mask, np.where(indices == IGNORE, IGNORE, indices > 0))


def test_cutouts_and_plain_pictures_make_sets(tmp_path: Path) -> None:
    """Cut-outs lie on grey; plain pictures have a score alone, unscored ones of masks no score."""
    alpha = subject()
    put(tmp_path / "alpha/a.png", cutout_png(alpha))
    made = built(tmp_path / "cutouts", Plan(tmp_path / "alpha", levels=SHORT))
    seen = made.read(made.samples[0])
    assert seen.mask is not None
    assert np.array_equal(seen.mask, alpha // 255)
    assert (seen.pixels[alpha == 0] == 114).all()
    put(tmp_path / "plain/a.jpg", jpeg(0))
    plain = built(tmp_path / "plain-set", Plan(tmp_path / "plain", levels=SHORT))
    assert [(one.mask, one.score) for one in plain.samples] == [(None, 10), (None, 5), (None, 2)]
    assert plain.read(plain.samples[0]).mask is None
    masks = built(tmp_path / "masks", Plan(tmp_path / "alpha", levels=()))
    assert [(one.sigma_px, one.score) for one in masks.samples] == [(0, None)]


def test_a_limit_draws_by_the_seed(sources: Path, tmp_path: Path) -> None:
    drawn = [built(tmp_path / name, Plan(sources, limit=4, seed=seed)) for name, seed in (("a", 0), ("b", 0), ("c", 1))]
    chosen = [sorted({one.source for one in made.samples}) for made in drawn]
    assert len(chosen[0]) == 4
    assert chosen[0] == chosen[1] != chosen[2]


def test_a_set_is_not_overwritten(sources: Path, tmp_path: Path) -> None:
    built(tmp_path / "set", Plan(sources))
    with pytest.raises(ConfigError, match="holds a cover set already"):
        built(tmp_path / "set", Plan(sources))


def test_missing_files_are_named_before_long_work(sources: Path, tmp_path: Path) -> None:
    made = built(tmp_path / "set", Plan(sources))
    (sources / "images/0007.jpg").unlink()
    with pytest.raises(ConfigError, match=r"1 of the 24 .* such as images/0007\.jpg"):
        made.require_files()


def test_a_changed_picture_is_refused(sources: Path, tmp_path: Path) -> None:
    """It would be trained on under another's digest."""
    made = built(tmp_path / "set", Plan(sources))
    put(sources / "images/0000.jpg", jpeg(50))
    with pytest.raises(ConfigError, match=r"images/0000\.jpg is not the file"):
        made.read(made.samples[0])


def test_the_pictures_may_have_moved(sources: Path, tmp_path: Path) -> None:
    made = built(tmp_path / "set", Plan(sources))
    moved = sources.rename(tmp_path / "moved")
    found = CoverSet.load(tmp_path / "set", pictures=moved)
    found.require_files()
    assert found.read(found.samples[0]).pixels.shape == (HEIGHT, WIDTH, 3)
    assert found.digest == made.digest


def test_threads_read_what_one_reads(sources: Path, tmp_path: Path) -> None:
    made = built(tmp_path / "set", Plan(sources))
    alone = [made.read(sample).pixels for sample in made.samples]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda sample: made.read(sample).pixels, made.samples))
    assert all(np.array_equal(one, other) for one, other in zip(alone, together, strict=True))


def test_pictures_are_halved_before_they_are_blurred(
    sources: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sigma counts in pixels of the halved picture."""
    monkeypatch.setattr(halving, "LEAST_SIDE", 18)
    whole = built(tmp_path / "whole", Plan(sources, levels=SHORT))
    half = built(tmp_path / "half", Plan(sources, levels=SHORT, halve=True))
    seen = half.read(half.samples[1])
    assert np.array_equal(seen.pixels, blurred(halved(whole.read(whole.samples[0]).pixels, 1), 1))
    assert seen.mask is not None
    assert seen.mask.shape == (HEIGHT // 2, WIDTH // 2)


def test_a_header_of_another_format_is_refused(sources: Path, tmp_path: Path) -> None:
    built(tmp_path / "set", Plan(sources))
    path = tmp_path / "set/set.json"
    path.write_text(path.read_text().replace("cover-set/1", "cover-set/2"))
    with pytest.raises(ConfigError, match=r"set\.json does not follow framegate/cover-set/1: format"):
        read_header(tmp_path / "set")
