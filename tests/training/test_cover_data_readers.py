"""Readers of pictures with masks, on small imitations of the real layouts."""

from pathlib import Path

import numpy as np
import pytest

from runtime.errors import ConfigError
from tests.training.cover_folders import (
    CHAIR,
    HEIGHT,
    PERSON,
    VOID,
    WIDTH,
    cutout_png,
    grey_png,
    jpeg,
    palette_png,
    put,
    salient_set,
    subject,
)
from training.data.cutouts import read_cutouts, read_unmarked
from training.data.layouts import read_masked
from training.data.mask import IGNORE, decode_cutout, decode_mask, encode_mask, flattened
from training.data.picture import PictureError
from training.data.salient import read_salient
from training.data.voc import read_voc

PATH = Path("mask.png")


# --- Salient-object sets


@pytest.mark.parametrize(
    ("images", "masks"),
    [
        ("DUTS-TR-Image", "DUTS-TR-Mask"),
        ("images", "ground_truth_mask"),
        ("Imgs", "GT"),
        ("Image", "Mask"),
        ("img", "gt"),
    ],
)
def test_pictures_and_masks_are_matched_by_name_in_every_published_layout(
    tmp_path: Path, images: str, masks: str
) -> None:
    """The reader knows the folders by their names, whatever case they are in."""
    salient_set(tmp_path, ["0002", "0001"], images=images, masks=masks)
    found = read_salient(tmp_path)
    assert [one.name for one in found] == [f"{images}/0001.jpg", f"{images}/0002.jpg"]
    assert [one.mask for one in found] == [tmp_path / masks / "0001.png", tmp_path / masks / "0002.png"]
    assert all(one.split is None for one in found)


def test_pictures_and_masks_may_lie_in_one_folder(tmp_path: Path) -> None:
    """The masks are the PNG files, then."""
    salient_set(tmp_path, ["a", "b"], images=".", masks=".")
    found = read_salient(tmp_path)
    assert [(one.name, one.mask) for one in found] == [("a.jpg", tmp_path / "a.png"), ("b.jpg", tmp_path / "b.png")]


def test_endings_may_be_of_any_case(tmp_path: Path) -> None:
    put(tmp_path / "Imgs/a.JPG", jpeg(0))
    put(tmp_path / "GT/a.PNG", grey_png(subject()))
    assert [one.mask for one in read_salient(tmp_path)] == [tmp_path / "GT/a.PNG"]


def test_the_folder_above_gives_each_set_the_side_that_its_name_tells(tmp_path: Path) -> None:
    """DUTS has a split of its own."""
    salient_set(tmp_path / "DUTS-TR", ["a"], images="DUTS-TR-Image", masks="DUTS-TR-Mask")
    salient_set(tmp_path / "DUTS-TE", ["a"], images="DUTS-TE-Image", masks="DUTS-TE-Mask")
    assert [(one.name, one.split) for one in read_salient(tmp_path)] == [
        ("DUTS-TE/DUTS-TE-Image/a.jpg", "test"),
        ("DUTS-TR/DUTS-TR-Image/a.jpg", "train"),
    ]


def test_a_set_below_whose_name_tells_no_side_must_be_given_itself(tmp_path: Path) -> None:
    salient_set(tmp_path / "ECSSD", ["a"])
    with pytest.raises(ConfigError, match=r"ECSSD: give .*ECSSD"):
        read_salient(tmp_path)


@pytest.mark.parametrize(("gone", "what"), [("images/b.jpg", "masks without"), ("ground_truth_mask/b.png", "a mask")])
def test_missing_partners_are_named(tmp_path: Path, gone: str, what: str) -> None:
    """A picture without a mask is a picture without a subject to whoever does not look: refused."""
    salient_set(tmp_path, ["a", "b"])
    (tmp_path / gone).unlink()
    with pytest.raises(ConfigError, match=rf"1 .*{what}.* such as b"):
        read_salient(tmp_path)


def test_two_pictures_of_one_name_are_refused(tmp_path: Path) -> None:
    salient_set(tmp_path, ["a"])
    put(tmp_path / "images/a.png", jpeg(1))
    with pytest.raises(ConfigError, match="have one name"):
        read_salient(tmp_path)


def test_two_folders_of_masks_are_refused(tmp_path: Path) -> None:
    salient_set(tmp_path, ["a"])
    (tmp_path / "GT").mkdir()
    with pytest.raises(ConfigError, match=r"GT, ground_truth_mask: it cannot be told"):
        read_salient(tmp_path)


def test_masks_are_foreground_from_128_up() -> None:
    """Published masks have soft edges, and some were JPEG once."""
    levels = np.array([[0, 1, 127], [128, 200, 255]])
    assert decode_mask(grey_png(levels), "grey", PATH).tolist() == [[0, 0, 0], [1, 1, 1]]


@pytest.mark.parametrize("brightest", [1, 127])
def test_a_grey_mask_that_foreground_is_nowhere_in_is_refused(brightest: int) -> None:
    """A mask of 0 and 1 would read as empty, and teach that there is no subject; one of 0 alone says so."""
    with pytest.raises(ConfigError, match=rf"mask\.png.* brightest pixel is {brightest}\. Write the subject as 255"):
        decode_mask(grey_png(np.array([[0, brightest]])), "grey", PATH)
    assert not decode_mask(grey_png(np.zeros((2, 3))), "grey", PATH).any()


def test_what_is_no_mask_is_named() -> None:
    for content in (b"", b"no picture"):
        with pytest.raises(PictureError, match=r"mask\.png"):
            decode_mask(content, "grey", PATH)


# --- PASCAL VOC


def voc_set(root: Path) -> Path:
    indices = np.zeros((HEIGHT, WIDTH), np.uint8)
    indices[4:9, 4:20], indices[10:20, 30:40], indices[3, 4:20] = PERSON, CHAIR, VOID
    for seed, stem in enumerate(("2007_000032", "2007_000033", "2007_000039")):
        put(root / f"JPEGImages/{stem}.jpg", jpeg(seed))
        put(root / f"SegmentationClass/{stem}.png", palette_png(indices))
    put(root / "JPEGImages/2007_000001.jpg", jpeg(9))  # most pictures have no mask
    put(root / "ImageSets/Segmentation/train.txt", b"2007_000032\n")
    put(root / "ImageSets/Segmentation/val.txt", b"2007_000039\n")
    put(root / "ImageSets/Segmentation/trainval.txt", b"2007_000039\n2007_000032\n")
    return root


def test_voc_takes_the_pictures_of_a_list(tmp_path: Path) -> None:
    """Only listed pictures have a mask that may be used."""
    voc_set(tmp_path)
    assert [one.name for one in read_voc(tmp_path)] == ["JPEGImages/2007_000032.jpg", "JPEGImages/2007_000039.jpg"]
    assert [one.picture.stem for one in read_voc(tmp_path, "val")] == ["2007_000039"]
    with pytest.raises(ConfigError, match=r"test\.txt is not there; the lists are: train, trainval, val"):
        read_voc(tmp_path, "test")


def test_a_palettes_indices_count_not_its_colours(tmp_path: Path) -> None:
    """Any class is foreground, void is ignored; here every colour of a class is the background's."""
    source = read_voc(voc_set(tmp_path))[0]
    assert source.mask is not None
    mask = decode_mask(source.mask.read_bytes(), "palette", source.mask)
    assert (mask[4:9, 4:20] == 1).all()
    assert (mask[10:20, 30:40] == 1).all()
    assert (mask[3, 4:20] == IGNORE).all()
    assert int((mask != 0).sum()) == 5 * 16 + 10 * 10 + 16


def test_a_coloured_picture_is_no_mask_of_voc() -> None:
    """As they come when somebody has opened and saved them: the indices are lost."""
    with pytest.raises(PictureError, match="no palette"):
        decode_mask(jpeg(0), "palette", PATH)


def test_a_missing_mask_of_voc_is_named(tmp_path: Path) -> None:
    voc_set(tmp_path)
    (tmp_path / "SegmentationClass/2007_000039.png").unlink()
    with pytest.raises(ConfigError, match=r"1 pictures and masks .*SegmentationClass/2007_000039\.png"):
        read_voc(tmp_path)


def test_a_written_mask_reads_as_it_was() -> None:
    mask = np.random.default_rng(1).choice(np.array([0, 1, IGNORE], np.uint8), (9, 14))
    assert np.array_equal(decode_mask(encode_mask(mask), "palette", PATH), mask)


# --- Cut-outs and plain folders


def test_a_cutouts_alpha_is_its_mask(tmp_path: Path) -> None:
    """Foreground from 128 up; where it is transparent, the picture is grey."""
    alpha = np.zeros((HEIGHT, WIDTH), np.uint8)
    alpha[5:10, 5:10], alpha[12, 3], alpha[13, 3] = 255, 128, 127
    put(tmp_path / "deep/a.png", cutout_png(alpha))
    source = read_cutouts(tmp_path)[0]
    assert (source.name, source.mask) == ("deep/a.png", source.picture)
    content = source.picture.read_bytes()
    assert np.array_equal(decode_mask(content, "alpha", PATH), alpha >= 128)
    pixels, own = decode_cutout(content, PATH)
    assert np.array_equal(own, alpha)
    laid = flattened(pixels, own)
    assert (laid[0, 0] == 114).all()
    assert np.array_equal(laid[5:10, 5:10], pixels[5:10, 5:10])


def test_a_picture_without_alpha_is_no_cutout(tmp_path: Path) -> None:
    put(tmp_path / "a.png", cutout_png(subject()))
    put(tmp_path / "b.png", grey_png(subject()))
    with pytest.raises(ConfigError, match=r"1 of the 2 .* such as b\.png"):
        read_cutouts(tmp_path)


def test_plain_pictures_have_no_masks(tmp_path: Path) -> None:
    put(tmp_path / "a/b.jpg", jpeg(0))
    assert [(one.name, one.mask) for one in read_unmarked(tmp_path)] == [("a/b.jpg", None)]


# --- Which layout


def test_the_layout_is_told_by_what_is_there(tmp_path: Path) -> None:
    """And the answer says which was taken."""
    salient_set(tmp_path / "salient", ["a"])
    voc_set(tmp_path / "voc")
    put(tmp_path / "alpha/a.png", cutout_png(subject()))
    put(tmp_path / "pictures/a.jpg", jpeg(0))
    for name, masks in (("salient", "grey"), ("voc", "palette"), ("alpha", "alpha"), ("pictures", None)):
        found = read_masked(tmp_path / name)
        assert (found.layout, found.masks) == (name, masks)


def test_a_folder_that_shows_two_layouts_is_not_guessed_at(tmp_path: Path) -> None:
    put(tmp_path / "a.png", cutout_png(subject()))
    put(tmp_path / "b.jpg", jpeg(0))
    with pytest.raises(ConfigError, match="1 of 2 pictures have alpha"):
        read_masked(tmp_path)


def test_half_a_salient_set_is_not_taken_for_plain_pictures(tmp_path: Path) -> None:
    """Its masks would be learnt from as pictures."""
    salient_set(tmp_path, ["a"], masks="elsewhere")
    with pytest.raises(ConfigError, match="no salient-object set"):
        read_masked(tmp_path)


def test_a_list_is_for_voc_alone(tmp_path: Path) -> None:
    salient_set(tmp_path, ["a"])
    with pytest.raises(ConfigError, match="read as salient"):
        read_masked(tmp_path, subset="train")
