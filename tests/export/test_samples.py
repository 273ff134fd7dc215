"""Samples for the gate are the samples that serving makes."""

from pathlib import Path

import numpy as np
import pytest

from export.samples import Samples, draw_samples, find_pictures, load_samples
from runtime.decode import Decoder
from runtime.errors import ConfigError
from runtime.manifest import Input, Patches, Resize
from runtime.preprocess import Preprocessor, common_least
from tests.export.conftest import ROOT

PHOTOS = ROOT / "demo" / "photos"
SPEC = Input(name="frames", height=96, width=120, resize=Resize(fit="crop", scaled_decode=True))
FLOATS = Input(
    name="frames", dtype="float32", layout="NCHW", height=40, width=40, color="BGR", mean=(1, 2, 3), std=(4, 5, 6)
)


@pytest.mark.parametrize("spec", [SPEC, FLOATS])
def test_samples_are_what_serving_feeds(spec: Input) -> None:
    """The runtime's decoder and preprocessing, with the scaled decode that the manifest allows."""
    samples = load_samples([PHOTOS], [spec])

    paths = sorted(PHOTOS.glob("*.jpg"))
    preprocessor = Preprocessor(spec)
    expected = preprocessor.batch(len(paths))
    for path, slot in zip(paths, expected, strict=True):
        preprocessor.fill(Decoder().decode(path.read_bytes(), preprocessor.least).pixels, slot)
    np.testing.assert_array_equal(samples.inputs["frames"], expected)
    assert samples.inputs["frames"].dtype == spec.dtype


def test_every_input_shows_the_same_pictures() -> None:
    """The whole and its patches, each by the runtime's rule; decoded once, as little as both allow."""
    patches = Input(
        name="patches",
        height=24,
        width=16,
        resize=Resize(scaled_decode=True),
        patches=Patches(rows=2, columns=3, least_side=100),
    )
    specs = (SPEC, patches)

    samples = load_samples([PHOTOS], specs)

    preprocessors = [Preprocessor(spec) for spec in specs]
    least = common_least(preprocessors)
    paths = sorted(PHOTOS.glob("*.jpg"))
    assert least == (100, 120)
    assert len(samples) == len(paths)
    for index, path in enumerate(paths):
        picture = Decoder().decode(path.read_bytes(), least)
        assert picture.pixels.shape[0] < picture.height
        for preprocessor, spec in zip(preprocessors, specs, strict=True):
            [slot] = preprocessor.batch(1)
            preprocessor.fill(picture.pixels, slot, (picture.height, picture.width))
            np.testing.assert_array_equal(samples.inputs[spec.name][index], slot)


def test_damaged_copies_follow_their_picture() -> None:
    """Each picture, then JPEG 10, JPEG 5, blurred and dark; all differ, and dark is darkest."""
    whole, damaged = load_samples([PHOTOS], [SPEC]), load_samples([PHOTOS], [SPEC], damaged=True)

    groups = damaged.inputs["frames"].reshape(len(whole), 5, *SPEC.shape)
    np.testing.assert_array_equal(groups[:, 0], whole.inputs["frames"])
    for group in groups:
        assert len({copy.tobytes() for copy in group}) == 5
        assert group.reshape(5, -1).mean(axis=1).argmin() == 4


def test_files_and_folders_in_the_order_given(tmp_path: Path) -> None:
    """Files as they are named, folders with their subfolders, other files left out."""
    content = (PHOTOS / "canyon-wren.jpg").read_bytes()
    for name in ("b/two.JPG", "b/one.jpeg", "b/notes.txt", "a/deep/three.png", "picture"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)

    found = find_pictures([tmp_path / "picture", tmp_path / "b", tmp_path / "a"])

    assert [path.name for path in found] == ["picture", "one.jpeg", "two.JPG", "three.png"]


def test_no_pictures_is_an_error(tmp_path: Path) -> None:
    """An empty folder, a missing path, a broken picture: the text names it."""
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    (tmp_path / "empty").mkdir()

    with pytest.raises(ConfigError, match="no pictures"):
        load_samples([tmp_path / "empty"], [SPEC])
    with pytest.raises(ConfigError, match="nothing given"):
        load_samples([], [SPEC])
    with pytest.raises(ConfigError, match=r"gone.*no such file"):
        load_samples([tmp_path / "gone"], [SPEC])
    with pytest.raises(ConfigError, match=r"broken\.jpg.*leave it out"):
        load_samples([tmp_path], [SPEC])


def test_a_picture_that_is_named_twice_is_taken_once(tmp_path: Path) -> None:
    """By its file, its folder and a link: it must not both calibrate and be held out. A folder is no picture."""
    (tmp_path / "one.jpg").write_bytes((PHOTOS / "canyon-wren.jpg").read_bytes())
    (tmp_path / "link.jpg").symlink_to(tmp_path / "one.jpg")
    (tmp_path / "folder.jpg").mkdir()

    assert len(find_pictures([tmp_path / "one.jpg", tmp_path, tmp_path / "." / "one.jpg"])) == 1


def test_drawn_samples_are_of_every_kind() -> None:
    """Each n-th of pictures with their copies would be undamaged pictures alone."""
    kinds = Samples({"frames": np.tile(np.arange(5), 12), "patches": np.tile(np.arange(5), 12) + 10})

    few, all_of_them = draw_samples(kinds, 12).inputs, draw_samples(kinds, 100).inputs

    assert len(set(few["frames"])) >= 3
    np.testing.assert_array_equal(few["frames"] + 10, few["patches"])  # of the same pictures
    np.testing.assert_array_equal(all_of_them["frames"], kinds.inputs["frames"])
