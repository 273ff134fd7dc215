"""``python -m stream.publish`` against a real broker."""

import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import simplejpeg
from kafka import KafkaAdminClient

from stream.client import Cluster, close_producer
from stream.errors import StreamError
from stream.footage import Shot
from stream.publish import Publisher
from stream.topics import require_topics
from tests.broker import KafkaBroker
from tests.command import run, start
from tests.conftest import Broker, Clients, Topics

pytestmark = pytest.mark.kafka
PHOTOS = Path(__file__).parents[2] / "demo" / "photos"

ReadAll = Callable[[str], list[Any]]


@pytest.fixture
def read_all(consumer: Clients) -> ReadAll:
    """All records that a topic holds."""

    def read(topic: str) -> list[Any]:
        reader = consumer(topic, consumer_timeout_ms=1500)
        return list(reader)

    return read


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """A second of video: 30 frames of 320x180, each of its own grey."""
    path = tmp_path / "gate-7.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 30, (320, 180))
    for number in range(30):
        writer.write(np.full((180, 320, 3), 8 * number, np.uint8))
    writer.release()
    return path


def test_pictures_are_sent_byte_for_byte(broker: Broker, topic: Topics, read_all: ReadAll) -> None:
    """A folder's JPEGs arrive unchanged, in their names' order, keyed by the folder's name."""
    frames = topic()

    done = run("stream.publish", PHOTOS, "--brokers", broker.bootstrap, "--topic", frames)

    files = sorted(PHOTOS.glob("*.jpg"))
    records = read_all(frames)
    assert done.returncode == 0, done.stderr
    assert [record.value for record in records] == [file.read_bytes() for file in files]
    assert {record.key for record in records} == {b"photos"}
    assert [dict(record.headers)["frame-id"].decode() for record in records] == [
        f"photos/{file.name}" for file in files
    ]
    assert f"{len(files)} frames" in done.stdout


def test_the_time_of_capture_is_now(broker: Broker, topic: Topics, read_all: ReadAll) -> None:
    """``captured-at-ms`` is the wall clock when the frame was taken, in milliseconds."""
    frames = topic()
    before_ms = time.time() * 1000

    run("stream.publish", PHOTOS / "lake-sherburne.jpg", "--brokers", broker.bootstrap, "--topic", frames)

    [record] = read_all(frames)
    assert before_ms - 1 <= int(dict(record.headers)["captured-at-ms"]) <= time.time() * 1000


def test_jpeg_quality_encodes_anew(broker: Broker, topic: Topics, read_all: ReadAll) -> None:
    """With --jpeg-quality every picture becomes a JPEG of that quality and the same size."""
    frames = topic()
    photo = PHOTOS / "kitten-on-lawn.jpg"

    run("stream.publish", photo, "--brokers", broker.bootstrap, "--topic", frames, "--jpeg-quality", 5)

    [record] = read_all(frames)
    assert len(record.value) < len(photo.read_bytes()) / 4
    assert simplejpeg.decode_jpeg_header(record.value)[:4] == (720, 1280, "YCbCr", "420")


def test_repeats_have_ids_of_their_own(broker: Broker, topic: Topics, read_all: ReadAll) -> None:
    """The same picture sent three times is three frames with three ids."""
    frames = topic()
    photo = PHOTOS / "canyon-wren.jpg"

    run("stream.publish", photo, "--brokers", broker.bootstrap, "--topic", frames, "--repeat", 3, "--stream", "gate")

    records = read_all(frames)
    ids = [dict(record.headers)["frame-id"].decode() for record in records]
    assert ids == ["gate/canyon-wren.jpg", "gate/canyon-wren.jpg/1", "gate/canyon-wren.jpg/2"]
    assert {record.key for record in records} == {b"gate"}


def test_a_video_keeps_its_own_pace(broker: Broker, topic: Topics, read_all: ReadAll, clip: Path) -> None:
    """A video's frames are sent in order at its own rate: 30 frames of 30 a second take 29/30 s, first to last.

    Half the rate would take 1.9 s, none at all next to nothing; on a busy machine either of the two may come late.
    """
    frames = topic()

    done = run("stream.publish", clip, "--brokers", broker.bootstrap, "--topic", frames)

    records = read_all(frames)
    greys = [simplejpeg.decode_jpeg(record.value).mean() for record in records]
    times_ms = [int(dict(record.headers)["captured-at-ms"]) for record in records]
    assert done.returncode == 0, done.stderr
    assert {record.key for record in records} == {b"gate-7"}
    assert greys == pytest.approx([8 * number for number in range(30)], abs=2)
    assert 800 <= times_ms[-1] - times_ms[0] <= 1800


def test_fps_zero_is_as_fast_as_it_goes(broker: Broker, topic: Topics, read_all: ReadAll, clip: Path) -> None:
    """--fps 0 does not wait between a video's frames."""
    frames = topic()

    run("stream.publish", clip, "--brokers", broker.bootstrap, "--topic", frames, "--fps", 0)

    times_ms = [int(dict(record.headers)["captured-at-ms"]) for record in read_all(frames)]
    assert len(times_ms) == 30
    assert times_ms[-1] - times_ms[0] < 500


def test_a_video_that_breaks_off_is_told(broker: Broker, topic: Topics, read_all: ReadAll, clip: Path) -> None:
    """What can be read of a cut video is sent and acknowledged; the exit code and the text say that more was due."""
    whole = clip.read_bytes()
    clip.write_bytes(whole[: len(whole) // 2])
    frames = topic()

    done = run("stream.publish", clip, "--brokers", broker.bootstrap, "--topic", frames, "--fps", 0)

    assert done.returncode == 2
    assert "breaks off after" in done.stderr
    assert f"{len(read_all(frames))} frames" in done.stdout


def test_a_missing_topic_is_an_error_with_its_remedy(broker: Broker, admin: KafkaAdminClient) -> None:
    """A missing topic ends it with the command that creates it; --create-topics creates it."""
    flags = [PHOTOS / "tea-gardens.jpg", "--brokers", broker.bootstrap, "--topic", "test-made-by-publish"]
    refused = run("stream.publish", *flags)

    done = run("stream.publish", *flags, "--create-topics")

    admin.delete_topics(["test-made-by-publish"])
    assert refused.returncode == 2
    assert f"--bootstrap-server {broker.bootstrap} --create --topic test-made-by-publish" in refused.stderr
    assert done.returncode == 0, done.stderr
    assert "1 frames" in done.stdout


def test_a_frame_over_the_topics_limit_names_the_setting(broker: Broker, topic: Topics) -> None:
    """A frame that the topic refuses ends it with the setting to raise, and is not counted as acknowledged."""
    small = topic(**{"max.message.bytes": 50_000})

    done = run("stream.publish", PHOTOS / "tea-gardens.jpg", "--brokers", broker.bootstrap, "--topic", small)

    assert done.returncode == 2
    assert "raise its max.message.bytes" in done.stderr
    assert "0 frames" in done.stdout


def test_ctrl_c_leaves_with_everything_acknowledged(
    broker: Broker, topic: Topics, read_all: ReadAll, clip: Path
) -> None:
    """SIGINT ends it with exit 0 and a summary that counts exactly what the topic holds."""
    frames = topic()
    flags = [clip, "--brokers", broker.bootstrap, "--topic", frames, "--repeat", 1000]
    process = start("stream.publish", *flags)
    _wait_for_records(broker, frames)

    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)

    assert process.returncode == 0, err
    assert f" {len(read_all(frames))} frames " in out


def test_client_options_come_from_the_settings_file(broker: Broker, topic: Topics, tmp_path: Path) -> None:
    """--config gives the brokers and the [kafka] table; a name that kafka-python lacks is refused by name."""
    config = tmp_path / "framegate.toml"
    config.write_text(f'brokers = "{broker.bootstrap}"\n[kafka]\nsecurity_protocol = "PLAINTEXT"\n')
    wrong = tmp_path / "wrong.toml"
    wrong.write_text("[kafka]\nsecurity_protokol = 1\n")

    done = run("stream.publish", PHOTOS / "tea-gardens.jpg", "--config", config, "--topic", topic())
    refused = run("stream.publish", PHOTOS / "tea-gardens.jpg", "--config", wrong)

    assert done.returncode == 0, done.stderr
    assert refused.returncode == 2
    assert "security_protokol" in refused.stderr


def test_no_broker_is_told(tmp_path: Path) -> None:
    """Where no broker answers it says so, and where it looked; exit 1."""
    config = tmp_path / "framegate.toml"
    config.write_text("[kafka]\nbootstrap_timeout_ms = 500\n")

    done = run("stream.publish", PHOTOS, "--brokers", "127.0.0.1:1", "--config", config)

    assert done.returncode == 1
    assert "no broker answers at 127.0.0.1:1" in done.stderr


def test_a_broker_that_goes_away_is_told(own_broker: KafkaBroker) -> None:
    """A frame whose acknowledgement never comes is an error, and is not counted as acknowledged."""
    cluster = Cluster(own_broker.bootstrap, budget_s=4)
    require_topics(cluster, ["frames"], create=True)
    producer = cluster.producer()
    publisher = Publisher(producer, "frames", "gate", cluster.budget_s)
    publisher.send(Shot("1", b"first"), "1")
    publisher.settle()
    own_broker.kill()

    publisher.send(Shot("2", b"second"), "2")

    with pytest.raises(StreamError, match="not acknowledged"):
        publisher.settle()

    close_producer(producer, 1)
    assert publisher.acknowledged == 1


def _wait_for_records(broker: Broker, topic: str) -> None:
    consumer = Cluster(broker.bootstrap).consumer(auto_offset_reset="earliest")
    consumer.subscribe([topic])
    try:
        deadline_s = time.monotonic() + 20
        while not consumer.poll(timeout_ms=200):
            assert time.monotonic() < deadline_s, "nothing was published"
    finally:
        consumer.close(autocommit=False)
