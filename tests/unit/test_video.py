"""Frames of a real video file, taken evenly."""

from pathlib import Path

import numpy as np
import pytest

from runtime.errors import ConfigError
from runtime.video import Video
from tests.film import write_film

FPS = 10


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """25 frames, each of its own grey: frame n is 10 n."""
    path = tmp_path_factory.mktemp("film") / "film.avi"
    return write_film(path, [np.full((48, 64, 3), 10 * number, np.uint8) for number in range(25)], FPS)


def levels(film: Path, every_s: float) -> list[tuple[int, float, int]]:
    return [
        (frame.number, round(frame.time_s, 6), round(float(frame.pixels.mean()) / 10))
        for frame in Video(film).sample(every_s)
    ]


@pytest.mark.parametrize(
    ("every_s", "numbers"),
    [(1, [0, 10, 20]), (0.5, [0, 5, 10, 15, 20]), (0.25, [0, 3, 5, 8, 10, 13, 15, 18, 20, 23]), (60, [0])],
)
def test_the_first_frame_of_each_period(film: Path, every_s: float, numbers: list[int]) -> None:
    """From frame 0 on; the pixels are that frame's, as is the time."""
    assert levels(film, every_s) == [(number, number / FPS, number) for number in numbers]


def test_more_often_than_there_are_frames(film: Path) -> None:
    """Each frame once."""
    assert [number for number, _, _ in levels(film, 0.001)] == list(range(25))


def test_colours_are_red_green_blue(tmp_path: Path) -> None:
    """OpenCV's order is turned round."""
    film = write_film(tmp_path / "red.avi", [np.full((48, 64, 3), (250, 10, 10), np.uint8)] * 3, FPS)

    [frame] = Video(film).sample(1)
    assert frame.pixels.shape == (48, 64, 3)
    assert frame.pixels.reshape(-1, 3).mean(0) == pytest.approx((250, 10, 10), abs=8)


def test_chosen_frames_again(film: Path) -> None:
    """In the video's order, exactly those; none is none."""
    chosen = [(frame.number, round(float(frame.pixels.mean()) / 10)) for frame in Video(film).frames({20, 3})]

    assert chosen == [(3, 3), (20, 20)]
    assert list(Video(film).frames([])) == []


def test_what_is_no_video(tmp_path: Path) -> None:
    """Text, and a file of nothing: the path is named."""
    for content in (b"a text file\n", b""):
        (tmp_path / "no.mp4").write_bytes(content)
        with pytest.raises(ConfigError, match=r"no\.mp4: neither a picture's name nor a video"):
            Video(tmp_path / "no.mp4")


def test_a_video_that_breaks_off(film: Path, tmp_path: Path) -> None:
    """Half of its bytes: an error with both counts, rather than covers of its beginning alone."""
    value = film.read_bytes()
    (tmp_path / "half.avi").write_bytes(value[: len(value) // 2])

    with pytest.raises(ConfigError, match=r"half\.avi: breaks off after \d+ of about \d+ frames"):
        list(Video(tmp_path / "half.avi").sample(1))


def test_what_the_container_tells(film: Path) -> None:
    """Frames and frames a second, known before one is read."""
    assert (Video(film).count, Video(film).fps) == (25, FPS)
