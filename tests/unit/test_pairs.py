"""Which reference belongs to which picture."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.errors import ConfigError, FrameError, Reason
from runtime.pairs import SEPARATORS, PairReader, outside, pair_up
from runtime.pictures import Found, find_pictures
from tests.pictures import bmp, jpeg, noise, png


def folder(root: Path, *names: str) -> Path:
    """A folder with files of these names: pairing looks at nothing else."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return root


def found(*names: str) -> list[Found]:
    return [Found(Path("pictures", name), Path(name)) for name in names]


def paired(references: Path, *names: str) -> dict[str, str | None]:
    """By picture's name, the reference's path below its folder."""
    return {
        pair.found.name.as_posix(): None
        if pair.reference is None
        else pair.reference.relative_to(references).as_posix()
        for pair in pair_up(found(*names), references)
    }


@pytest.mark.parametrize(
    ("picture", "reference"),
    [
        ("tree.jpg", "tree.png"),  # the ending may differ
        ("park/tree.jpg", "park/tree.jpg"),
        ("i01_08_3.bmp", "I01.BMP"),  # as TID has them
        ("I01_08_3.BMP", "I01.BMP"),
        ("TREE.JPG", "tree.png"),
        ("tree-2-blur.jpg", "tree-2.png"),  # the longest
        ("tree-blur.jpg", "tree.png"),
        ("tree.q10.jpg", "tree.png"),
        ("park/tree_1.png", "park/tree.jpg"),
        ("trees.jpg", None),  # no separator
        ("park/house.jpg", None),
        ("lake/tree.jpg", None),  # in another folder
        ("tree_2/lake.jpg", None),  # what begins like a reference is the folder's name
        ("park/.jpg", None),
        ("tre.jpg", None),
    ],
)
def test_a_reference_has_its_pictures_name(tmp_path: Path, picture: str, reference: str | None) -> None:
    """The same path and name, or the longest one with which the picture's begins."""
    references = folder(tmp_path, "tree.png", "tree-2.png", "park/tree.jpg", "I01.BMP")

    assert paired(references, picture) == {picture: reference}


def test_the_exact_name_goes_first(tmp_path: Path) -> None:
    """Where only the case of letters parts two references, each picture has its own."""
    references = folder(tmp_path, "A.png", "a.png")

    assert paired(references, "A.jpg", "a.jpg") == {"A.jpg": "A.png", "a.jpg": "a.png"}
    with pytest.raises(ConfigError, match=r"A\.png and .*a\.png could both be the reference of pictures/a_1\.jpg"):
        paired(references, "a_1.jpg")


def test_no_picture_is_its_own_reference(tmp_path: Path) -> None:
    """In a folder of both, distorted ones go to what they are named after, and the references have none."""
    both = folder(tmp_path / "both", "i01.bmp", "I01_08_3.bmp", "i01_08_5.bmp", "tree.jpg", "tree.png")
    pairs = pair_up(find_pictures([both]).found, both)
    named = {pair.found.name.name: pair.reference and pair.reference.name for pair in pairs}
    versions = {"I01_08_3.bmp": "i01.bmp", "i01_08_5.bmp": "i01.bmp"}
    assert named == {**versions, "i01.bmp": None, "tree.jpg": "tree.png", "tree.png": "tree.jpg"}
    linked = tmp_path / "linked"
    linked.symlink_to(both)
    assert [pair.reference for pair in pair_up(find_pictures([linked / "i01.bmp"]).found, both)] == [None]


def test_two_references_of_a_name_are_refused(tmp_path: Path) -> None:
    """Which one is meant nobody can tell; both are named. One that no picture asks for does no harm."""
    references = folder(tmp_path, "a.jpg", "a.png", "b.png")

    assert paired(references, "b.jpg") == {"b.jpg": "b.png"}
    with pytest.raises(ConfigError, match=r"a\.jpg and .*a\.png could both be the reference of pictures/a\.bmp"):
        paired(references, "a.bmp")


@given(st.text("ab", min_size=1, max_size=4), st.sampled_from(SEPARATORS), st.text("ab_-1", max_size=5))
@settings(max_examples=25, deadline=None)
def test_versions_of_a_reference_are_its_own(stem: str, separator: str, version: str) -> None:
    """Whatever follows the separator; among references of which none is another's beginning."""
    name = f"{stem}{separator}{version}.jpg"
    with tempfile.TemporaryDirectory() as root:
        references = folder(Path(root), f"{stem}.png", "c.png")
        assert paired(references, name) == {name: f"{stem}.png"}


def test_one_reference_for_all(tmp_path: Path) -> None:
    """A file, whatever the pictures are called."""
    reference = folder(tmp_path, "original.png") / "original.png"

    assert [pair.reference for pair in pair_up(found("a.jpg", "b/c.png"), reference)] == [reference, reference]


def test_a_missing_or_empty_folder_is_an_error(tmp_path: Path) -> None:
    """The operator's, before any work."""
    with pytest.raises(ConfigError, match=r"--reference .*nowhere: no such file or folder"):
        pair_up(found("a.jpg"), tmp_path / "nowhere")
    with pytest.raises(ConfigError, match="no picture in this folder"):
        pair_up(found("a.jpg"), tmp_path)


def test_references_below_the_pictures_are_not_judged(tmp_path: Path) -> None:
    """Where the folder lies in one that is searched; a reference that is one file is left out wherever it is found."""
    folder(tmp_path, "a.jpg", "references/a.png")
    pictures = find_pictures([tmp_path]).found

    assert [each.name.as_posix() for each in outside(pictures, tmp_path / "references", [tmp_path])] == ["a.jpg"]
    assert outside(pictures, tmp_path, [tmp_path]) == pictures
    assert [each.name.as_posix() for each in outside(pictures, tmp_path / "a.jpg", [])] == ["references/a.png"]
    (tmp_path / "a.jpg").unlink()
    with pytest.raises(ConfigError, match=r"--reference .*references: all pictures found are references"):
        outside(find_pictures([tmp_path]).found, tmp_path / "references", [tmp_path])


def test_pairs_are_read_whole(tmp_path: Path) -> None:
    """At full size; a reference that comes again is the same still."""
    picture, other, reference = noise(40, 30, 1), noise(40, 30, 2), noise(40, 30, 3)
    (tmp_path / "r.png").write_bytes(png(reference))
    pairs = pair_up(found("r_1.png", "r_2.png"), tmp_path)
    reader = PairReader(10_000, tmp_path)

    for pair, pixels in zip(pairs, (picture, other), strict=True):
        seen = reader.read(pair, png(pixels))
        assert not isinstance(seen, FrameError)
        np.testing.assert_array_equal(seen.frame, pixels)
        np.testing.assert_array_equal(seen.reference, reference)


def test_pairs_of_bitmaps(tmp_path: Path) -> None:
    """Sets of judged pictures have them: the picture, its reference, or both."""
    picture, reference = noise(40, 30, 1), noise(40, 30, 3)
    (tmp_path / "I01.BMP").write_bytes(bmp(reference))
    pairs = pair_up(found("i01_08_3.bmp", "i01_08_4.png"), tmp_path)
    reader = PairReader(40 * 30, tmp_path)

    for pair, value in zip(pairs, (bmp(picture), png(picture)), strict=True):
        seen = reader.read(pair, value)
        assert not isinstance(seen, FrameError)
        np.testing.assert_array_equal(seen.frame, picture)
        np.testing.assert_array_equal(seen.reference, reference)


@pytest.mark.parametrize(
    ("name", "value", "reference", "reason", "text"),
    [
        ("b.jpg", jpeg(noise(8, 8)), jpeg(noise(8, 8)), Reason.UNMATCHED, "is called 'b'"),
        ("a.jpg", b"none", jpeg(noise(8, 8)), Reason.UNDECODABLE, "^undecodable"),
        ("a.jpg", b"", jpeg(noise(8, 8)), Reason.EMPTY, "^empty"),
        ("a.jpg", jpeg(noise(8, 8)), b"none", Reason.BAD_REFERENCE, r"a\.png: undecodable"),
        ("a.jpg", jpeg(noise(8, 8)), png(noise(200, 200)), Reason.BAD_REFERENCE, r"a\.png: too-large"),
        ("a.jpg", jpeg(noise(8, 8)), bmp(noise(200, 200)), Reason.BAD_REFERENCE, r"a\.png: too-large"),
        ("a.bmp", bmp(noise(8, 8))[:-9], jpeg(noise(8, 8)), Reason.TRUNCATED, "^truncated: the BMP ends after"),
    ],
)
def test_why_a_pair_cannot_be_compared(
    tmp_path: Path, name: str, value: bytes, reference: bytes, reason: Reason, text: str
) -> None:
    """The picture's fault or its reference's; the detail says which."""
    (tmp_path / "a.png").write_bytes(reference)
    [pair] = pair_up(found(name), tmp_path)

    fault = PairReader(10_000, tmp_path).read(pair, value)
    assert isinstance(fault, FrameError)
    assert fault.reason == reason
    with pytest.raises(FrameError, match=text):
        raise fault
