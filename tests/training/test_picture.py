"""Pictures on disk: the gateway's own decoder, WebP and BMP besides; what cannot be read is named."""

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from runtime.errors import ConfigError
from tests import pictures
from training.data.picture import PictureError, find_pictures, picture_size, read_picture, shrink

Pixels = pictures.Pixels
SCENE = pictures.scene(90, 60)


def encoded(ending: str, pixels: Pixels, *flags: int) -> bytes:
    return cv2.imencode(ending, cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), flags)[1].tobytes()


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


READABLE = {
    "jpeg": (pictures.jpeg(SCENE), 4),
    "progressive": (pictures.progressive_jpeg(SCENE), 30),
    "cmyk": (pictures.cmyk_jpeg(SCENE), 12),
    "png": (pictures.png(SCENE), 0),
    "webp": (encoded(".webp", SCENE, cv2.IMWRITE_WEBP_QUALITY, 101), 0),
    "bmp": (encoded(".bmp", SCENE), 0),
}


@pytest.mark.parametrize("kind", READABLE)
def test_every_kind_gives_upright_rgb_of_its_own_memory(tmp_path: Path, kind: str) -> None:
    """Whatever the ending says: ImageNet has a PNG and CMYK pictures that are called JPEG."""
    content, tolerance = READABLE[kind]
    path = write(tmp_path / "picture.JPEG", content)
    pixels = read_picture(path)
    kept = pixels.copy()
    assert pixels.dtype == np.uint8
    assert pixels.flags.c_contiguous
    assert pixels.shape == SCENE.shape
    assert picture_size(path) == SCENE.shape[:2]
    assert np.abs(pixels.astype(int) - SCENE).mean() <= tolerance / 2
    read_picture(write(tmp_path / "other.png", pictures.png(255 - SCENE)))
    assert np.array_equal(pixels, kept)


def test_a_grey_picture_gives_three_equal_channels(tmp_path: Path) -> None:
    grey = SCENE[..., 0]
    pixels = read_picture(write(tmp_path / "grey.jpg", pictures.grey_jpeg(grey)))
    assert pixels.shape == (60, 90, 3)
    assert np.array_equal(pixels[..., 0], pixels[..., 1])
    assert np.array_equal(pixels[..., 0], pixels[..., 2])
    assert np.abs(pixels[..., 0].astype(int) - grey).max() < 8


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_camera_gives_an_upright_picture(tmp_path: Path, orientation: int) -> None:
    stored = pictures.jpeg(pictures.stored(SCENE, orientation))
    path = write(tmp_path / "turned.jpg", pictures.with_exif(stored, orientation))
    assert np.abs(read_picture(path).astype(int) - SCENE).mean() < 2
    assert picture_size(path) == SCENE.shape[:2]


@pytest.mark.parametrize(("width", "height", "size"), [(90, 60, (30, 45)), (61, 90, (44, 30)), (400, 30, (30, 400))])
def test_the_shorter_side_becomes_the_one_asked_for(
    tmp_path: Path, width: int, height: int, size: tuple[int, int]
) -> None:
    """The longer one follows; a picture that is no larger stays as it is."""
    pixels = read_picture(write(tmp_path / "p.png", pictures.png(pictures.scene(width, height))), side=30)
    assert pixels.shape[:2] == size
    assert pixels.flags.c_contiguous


def test_shrinking_averages_areas() -> None:
    pixels = pictures.noise(64, 32)
    blocks = pixels.reshape(16, 2, 32, 2, 3).mean(axis=(1, 3))
    assert np.abs(shrink(pixels, 16) - blocks).max() <= 0.5
    assert shrink(pixels, 32) is pixels


def test_a_header_beyond_the_first_read_is_found(tmp_path: Path) -> None:
    """A big colour profile comes before the size."""
    content = pictures.jpeg(SCENE)
    profile = b"".join(b"\xff\xe2" + (60_002).to_bytes(2) + bytes(60_000) for _ in range(3))
    assert picture_size(write(tmp_path / "profile.jpg", content[:2] + profile + content[2:])) == (60, 90)


UNREADABLE = {
    "empty": b"",
    "text": b"<html>404 Not Found</html>",
    "gif": pictures.FOREIGN["GIF"],
    "half a jpeg": pictures.jpeg(SCENE)[:1500],
    "half a png": pictures.png(SCENE)[:-300],
    "half a webp": READABLE["webp"][0][:-300],
    "half a bmp": READABLE["bmp"][0][:-3000],
    "webp's name alone": pictures.FOREIGN["WebP"] + bytes(40),
    "bmp's name alone": pictures.FOREIGN["BMP"] + bytes(40),
}


@pytest.mark.parametrize("kind", UNREADABLE)
def test_what_is_no_whole_picture_is_named(tmp_path: Path, kind: str) -> None:
    path = write(tmp_path / "broken one.jpg", UNREADABLE[kind])
    with pytest.raises(PictureError, match=r"broken one\.jpg"):
        read_picture(path)


def test_a_file_that_is_gone_is_named(tmp_path: Path) -> None:
    for read in (read_picture, picture_size):
        with pytest.raises(PictureError, match=r"gone\.jpg.*No such file"):
            read(tmp_path / "gone.jpg")


def test_a_size_cannot_be_told_of_what_is_no_picture(tmp_path: Path) -> None:
    with pytest.raises(PictureError, match=r"note\.jpg"):
        picture_size(write(tmp_path / "note.jpg", UNREADABLE["text"]))


@pytest.mark.parametrize("side", [0, -5])
def test_a_side_below_one_pixel_is_refused(side: int) -> None:
    with pytest.raises(ConfigError, match="side"):
        shrink(SCENE, side)


def test_pictures_are_found_at_every_depth_in_one_order(tmp_path: Path) -> None:
    """Hidden files and folders (thumbnails, a Mac's shadows) and other files are none."""
    for name in ("b/2.PNG", "b/1.jpeg", "a.JPEG", "c/d/3.webp", ".trash/4.jpg", "b/._1.jpeg", "labels.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    names = [path.relative_to(tmp_path).as_posix() for path in find_pictures(tmp_path)]
    assert names == ["a.JPEG", "b/1.jpeg", "b/2.PNG", "c/d/3.webp"]


def test_pictures_behind_a_link_are_found(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "1.jpg").touch()
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "n01440764").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    assert find_pictures(tmp_path / "set") == [tmp_path / "set" / "n01440764" / "1.jpg"]


def test_a_folder_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures in it are not silently missing. A path longer than the system's 4096 bytes is unreadable to anyone."""
    (tmp_path / "1.jpg").touch()
    monkeypatch.chdir(tmp_path)
    for _ in range(17):
        os.mkdir("d" * 250)
        os.chdir("d" * 250)
    with pytest.raises(ConfigError, match="ddd cannot be read"):
        find_pictures(tmp_path)


def test_a_folder_without_pictures_and_a_folder_that_is_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no picture"):
        find_pictures(tmp_path)
    with pytest.raises(ConfigError, match="not a folder"):
        find_pictures(tmp_path / "none")
