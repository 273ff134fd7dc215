"""Frames of a real video file, taken evenly."""

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from runtime.errors import ConfigError
from runtime.video import Video
from tests.film import with_durations, write_film

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


def test_frames_at_the_times_that_the_container_tells(tmp_path: Path) -> None:
    """Where the rate varies, seconds are seconds: ten frames in half a second, then one a second."""
    film = write_film(tmp_path / "even.mp4", [np.full((48, 64, 3), 10 * n, np.uint8) for n in range(15)], FPS)
    (tmp_path / "varies.mp4").write_bytes(with_durations(film.read_bytes(), [0.5] * 10 + [10.0] * 5))

    frames = [(frame.number, frame.time_s) for frame in Video(tmp_path / "varies.mp4").sample(1)]

    assert [number for number, _ in frames] == [0, 11, 12, 13, 14]
    assert [time for _, time in frames] == pytest.approx([0, 1.5, 2.5, 3.5, 4.5])


class Capture:
    """A real capture, some of whose answers are a broken file's."""

    def __init__(self, path: Path, *, damaged: int = -1, time_ms: float | None = None) -> None:
        self._capture, self._number = cv2.VideoCapture(str(path)), -1
        self._damaged, self._time_ms = damaged, time_ms

    def grab(self) -> bool:
        self._number += 1
        return self._capture.grab()

    def retrieve(self) -> object:
        return (False, None) if self._number == self._damaged else self._capture.retrieve()

    def get(self, name: int) -> float:
        told = name == cv2.CAP_PROP_POS_MSEC and self._time_ms is not None
        return self._time_ms if told and self._time_ms is not None else self._capture.get(name)

    def release(self) -> None:
        self._capture.release()


def test_a_container_without_times(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that tells the same time for every frame: they follow each other at its frame rate."""
    monkeypatch.setattr(Video, "_open", lambda video: Capture(video.path, time_ms=40.0))

    assert levels(film, 1) == [(number, number / FPS, number) for number in (0, 10, 20)]


def test_a_damaged_frame(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that cannot be decoded is an error with its number, not the film's end."""
    monkeypatch.setattr(Video, "_open", lambda video: Capture(video.path, damaged=20))

    with pytest.raises(ConfigError, match=r"film\.avi: frame 20, at 2\.00 s, cannot be decoded"):
        list(Video(film).sample(1))


def test_a_frame_that_is_not_there(film: Path) -> None:
    """Asked for again after the file was changed: an error, not fewer frames than were asked for."""
    with pytest.raises(ConfigError, match=r"film\.avi: frame 25 is not there any more"):
        list(Video(film).frames({3, 25}))


def test_a_name_that_is_not_utf_8(film: Path, tmp_path: Path) -> None:
    """OpenCV would take the whole process with it: refused before, with a name that can be printed."""
    path = tmp_path / os.fsdecode(b"film\xff.avi")
    path.write_bytes(film.read_bytes())

    with pytest.raises(ConfigError, match=r"film\?\.avi: OpenCV opens no video whose name is not UTF-8: rename it"):
        Video(path)
