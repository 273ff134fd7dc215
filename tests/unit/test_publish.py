"""What is published and when, without a broker."""

import argparse
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import simplejpeg

from stream.arguments import add_cluster_arguments, open_cluster
from stream.errors import ClientOptionError
from stream.footage import FootageError, Shot, open_footage, without_password
from stream.publish import _paced, _thinned
from tests.command import ROOT, run
from tests.film import write_film

PHOTOS = ROOT / "demo" / "photos"


def test_frames_keep_to_the_schedule() -> None:
    """A frame that was late does not delay the later ones: 20 frames at 20 a second take 0.95 s in all."""
    began_s = time.monotonic()

    for index, _ in enumerate(_paced([("", Shot("", b""))] * 20, 20, threading.Event())):
        if index == 5:
            time.sleep(0.5)

    assert 0.94 <= time.monotonic() - began_s < 1.4  # 1.45 if later frames were delayed


def test_a_stop_ends_the_wait() -> None:
    """A signal does not wait for the next frame's turn."""
    stop = threading.Event()
    stop.set()
    began_s = time.monotonic()

    assert len(list(_paced([("", Shot("", b""))] * 3, 0.1, stop))) == 3

    assert time.monotonic() - began_s < 1


def test_a_cameras_frames_are_left_out_not_delayed() -> None:
    """--fps on a camera thins its frames: at 50 a second, of 60 that come every 5 ms about a quarter are sent."""

    def camera() -> Iterator[tuple[str, Shot]]:
        for number in range(60):
            time.sleep(0.005)
            yield "", Shot(str(number), b"")

    began_s = time.monotonic()
    sent = list(_thinned(camera(), 50))
    seconds = time.monotonic() - began_s

    assert 0.6 * 50 * seconds <= len(sent) <= 50 * seconds + 1
    assert len(sent) < 60


def test_pictures_are_in_the_order_that_a_person_reads(tmp_path: Path) -> None:
    """frame-9 comes before frame-10, and what is no picture is left out."""
    for name in ("frame-10.png", "frame-9.png", "notes.txt"):
        cv2.imwrite(str(tmp_path / name), np.zeros((4, 4, 3), np.uint8)) if name.endswith("png") else None
    (tmp_path / "notes.txt").write_text("no picture")

    footage = open_footage(str(tmp_path), None)

    assert [shot.name for shot in footage.shots()] == ["frame-9.png", "frame-10.png"]
    assert (footage.count, footage.fps, footage.live) == (2, None, False)


def test_what_the_gateway_does_not_read_becomes_a_jpeg(tmp_path: Path) -> None:
    """PNG goes as it is; BMP, which the gateway does not read, becomes a JPEG of the same size."""
    pixels = cv2.imread(str(PHOTOS / "canyon-wren.jpg"))
    assert pixels is not None
    for suffix in ("png", "bmp"):
        cv2.imwrite(str(tmp_path / f"wren.{suffix}"), pixels)

    bmp, png = (shot.value for shot in open_footage(str(tmp_path), None).shots())

    assert png == (tmp_path / "wren.png").read_bytes()
    assert simplejpeg.decode_jpeg_header(bmp)[:2] == (720, 1280)


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        ("no-such.mp4", None, "no such file or folder"),
        ("text.mp4", b"this is no video", "cannot be opened|not one frame"),
        ("empty", "folder", "no picture in this folder"),
    ],
)
def test_a_source_that_is_none_is_refused(tmp_path: Path, name: str, content: bytes | str | None, text: str) -> None:
    """A missing file, an unreadable video and an empty folder are errors that name the path."""
    path = tmp_path / name
    if content == "folder":
        path.mkdir()
    elif isinstance(content, bytes):
        path.write_bytes(content)

    with pytest.raises(FootageError, match=f"{name}: .*({text})") as refused:
        open_footage(str(path), None)

    assert refused.value.exit_code == 2


def test_a_videos_name_that_is_not_utf_8(tmp_path: Path) -> None:
    """OpenCV would take the whole process with it: refused before, with a name that can be printed."""
    path = tmp_path / os.fsdecode(b"film\xff.avi")
    path.write_bytes(write_film(tmp_path / "film.avi", [np.zeros((48, 64, 3), np.uint8)], 10).read_bytes())

    with pytest.raises(FootageError, match=r"film\?\.avi: OpenCV opens no video whose name is not UTF-8: rename it"):
        open_footage(str(path), None)


def test_a_broken_picture_cannot_be_encoded_anew(tmp_path: Path) -> None:
    """A broken JPEG is sent as it is (a gateway must cope), but --jpeg-quality on it is an error."""
    path = tmp_path / "broken.jpg"
    path.write_bytes(b"\xff\xd8\xff nothing more")

    [shot] = open_footage(str(path), None).shots()
    assert shot.value == path.read_bytes()

    with pytest.raises(FootageError, match=r"broken\.jpg"):
        list(open_footage(str(path), 90).shots())


def test_passwords_are_not_shown() -> None:
    """A camera's URL loses its user and password wherever it is printed."""
    assert without_password("rtsp://admin:p%40ss@10.0.0.7:554/s1") == "rtsp://10.0.0.7:554/s1"

    done = run("stream.publish", "rtsp://admin:secret@127.0.0.1:1/s1")

    assert done.returncode == 2
    assert "secret" not in done.stdout + done.stderr


@pytest.mark.parametrize("flags", [["--fps", "-1"], ["--repeat", "0"], ["--jpeg-quality", "0"], ["--fps", "fast"]])
def test_a_wrong_flag_is_refused(flags: list[str]) -> None:
    """A value out of range ends it with exit 2 before anything is opened."""
    done = run("stream.publish", PHOTOS, *flags)

    assert done.returncode == 2
    assert flags[0] in done.stderr


def test_client_options_come_as_the_gateways(monkeypatch: pytest.MonkeyPatch) -> None:
    """As JSON in FRAMEGATE_KAFKA, and each by its own variable, which wins; in either case of letters."""
    monkeypatch.setenv("FRAMEGATE_KAFKA", '{"security_protocol": "SSL", "client_id": "a"}')
    monkeypatch.setenv("framegate_kafka__client_id", "b")
    monkeypatch.setenv("framegate_brokers", "there:9092")
    parser = argparse.ArgumentParser()
    add_cluster_arguments(parser)

    cluster = open_cluster(parser.parse_args([]))
    options = cluster.options

    assert cluster.brokers == "there:9092"
    assert (options["security_protocol"], options["client_id"]) == ("SSL", "b")
    monkeypatch.setenv("FRAMEGATE_KAFKA", "SSL")
    with pytest.raises(ClientOptionError, match="FRAMEGATE_KAFKA: not JSON"):
        open_cluster(parser.parse_args([]))


def test_publish_and_tail_need_no_runtime() -> None:
    """``stream`` stands alone: a machine that only publishes or watches loads nothing of the gateway."""
    program = "import sys, stream.publish, stream.tail; print([m for m in sys.modules if m.startswith('runtime')])"

    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
