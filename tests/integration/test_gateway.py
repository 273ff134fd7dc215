"""The gateway as a process: from start to readiness, through frames of every kind, to its exit."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from runtime.decision import load_schema
from runtime.errors import Reason
from tests import pictures as made
from tests.audit import read_topic
from tests.command import ROOT
from tests.cover_engine import make_cover_engine, painted
from tests.gateway_process import STOPPED
from tests.route import DELIVERIES, Route, good_frames, mixed_frames, pictures

pytestmark = pytest.mark.kafka

Routes = Callable[..., Route]


@pytest.mark.parametrize("delivery", DELIVERIES)
def test_sigterm_in_the_middle_of_batches(route: Routes, delivery: str) -> None:
    """It finishes what it has in hand, commits and exits 0; a restart repeats nothing, at least once too."""
    here = route()
    here.publish(mixed_frames(2000))

    with here.gateway(delivery=delivery) as gateway:
        gateway.wait_until_done(1)
        gateway.terminate()
        assert gateway.wait_for_exit() == 0
        assert STOPPED in gateway.log
    done = sum(here.committed().values())
    replies = sum(len(replies) for replies in here.audit().replies.values())
    here.drain(delivery)

    assert 0 < done < 2000
    if delivery == "at-least-once":  # a transaction's own mark takes an offset, in the output, not in the input
        assert replies == done
    account = here.audit()
    account.require_complete()
    account.require_order()
    account.require_no_repeat()


def test_decisions_follow_the_schema_and_carry_their_frame(route: Routes) -> None:
    """Each decision validates; key, CloudEvents headers, trace and the frame's own id and time come with it."""
    here = route(partitions=1)
    white, black = (made.jpeg(np.full((90, 160, 3), level, np.uint8)) for level in (255, 0))
    headers = [("frame-id", b"f-1"), ("captured-at-ms", b"1763700000000"), ("traceparent", b"00-aa-bb-01")]
    here.publish([(b"cam-1", white)], headers)
    here.publish([(None, black)])
    here.drain()

    first, second = read_topic(here.bootstrap, here.decisions)
    decisions = [json.loads(record.value) for record in (first, second)]
    for decision in decisions:
        jsonschema.validate(decision, load_schema())
    assert first.key == b"cam-1"
    assert second.key is None
    sent = dict(first.headers)
    assert sent["ce_id"].decode() == decisions[0]["id"]
    assert sent["ce_subject"] == b"cam-1"
    assert sent["traceparent"] == b"00-aa-bb-01"
    assert "traceparent" not in dict(second.headers)
    assert decisions[0]["frame"] == {"id": "f-1", "width": 160, "height": 90}
    assert decisions[0]["source"] | {"timestamp_ms": 0} == {
        "topic": here.frames,
        "partition": 0,
        "offset": 0,
        "timestamp_ms": 0,
    }
    assert [decision["verdict"] for decision in decisions] == ["keep", "drop"]
    assert decisions[1]["reasons"] == ["utility-below-threshold"]
    assert decisions[1]["stream"] is None


@pytest.mark.parametrize("delivery", DELIVERIES)
def test_every_odd_frame_has_its_documented_outcome(route: Routes, delivery: str) -> None:
    """Corrupt frames become dead letters with their bytes and headers; odd but good ones become decisions."""
    here = route()
    odd = _odd_values()
    good = good_frames(30 * len(odd))
    for place, (value, _) in enumerate(odd.values()):
        here.publish([*good[30 * place : 30 * place + 30], (b"odd", value)], [("frame-id", b"odd")])
    here.drain(delivery)

    account = here.audit()
    account.require_complete()
    account.require_no_repeat()
    at = {source: record.value for source, record in account.sources.items() if record.key == b"odd"}
    names = {value: name for name, (value, _) in odd.items()}
    outcomes: dict[str, Any] = {}
    for source, value in at.items():
        letter = account.dead_letters.get(source)
        outcomes[names[value]] = dict(letter.headers)["framegate-reason"].decode() if letter else None
        if letter:
            assert letter.value == value
            assert letter.key == b"odd"
            assert letter.headers[0] == ("frame-id", b"odd")
            assert dict(letter.headers)["framegate-source-topic"] == here.frames.encode()
    assert outcomes == {name: reason and str(reason) for name, (_, reason) in odd.items()}


def _odd_values() -> dict[str, tuple[bytes | None, Reason | None]]:
    """Values and what becomes of them: None is a decision."""
    scene, photo = made.scene(161, 91), pictures()[0]
    grey = scene[..., 0]
    deep = (scene.astype(np.uint16) * 257)[..., :3]
    return {
        "tombstone": (None, Reason.EMPTY),
        "no bytes": (b"", Reason.EMPTY),
        "garbage": (bytes(range(256)) * 4, Reason.UNDECODABLE),
        "text": (b"a text file, not a picture\n", Reason.UNDECODABLE),
        "truncated JPEG": (photo[: len(photo) // 2], Reason.TRUNCATED),
        "half a header": (photo[:30], Reason.TRUNCATED),
        "PNG of 900 megapixels": (made.claiming_png(30_000, 30_000), Reason.TOO_LARGE),
        "GIF": (made.FOREIGN["GIF"], Reason.UNSUPPORTED),
        "grey": (made.grey_jpeg(grey), None),
        "progressive": (made.progressive_jpeg(scene), None),
        "CMYK": (made.cmyk_jpeg(scene), None),
        "16 bit": (made.png(deep, 16), None),
        "on its side": (made.with_exif(photo, 6), None),
    }


def test_a_cover_engine_beside_the_utility_engine(route: Routes, engine: Path, tmp_path: Path) -> None:
    """``--engine`` twice: one decision a frame with both, whatever else comes; each threshold drops by itself."""
    cover = make_cover_engine(tmp_path / "cover.onnx")
    here = route(partitions=1)
    blue, dark = painted(320, 180, (200, 60, 264, 120)), painted(320, 180, (200, 60, 264, 120), (0, 0, 0))
    here.publish([(b"cam-1", made.jpeg(blue)), (b"cam-1", b"not a picture"), (b"cam-1", made.jpeg(dark))])
    flags = ("--engine", str(engine), "--engine", str(cover), "--cover-aspect", "1:1", "--min-cover", "0.3")
    here.drain("at-least-once", *flags)

    first, second = (json.loads(record.value) for record in read_topic(here.bootstrap, here.decisions))
    for decision in (first, second):
        jsonschema.validate(decision, load_schema())
        assert [one["name"] for one in decision["engines"]] == ["brightness", "cover"]
        assert decision["cover"]["box"] == pytest.approx([200 / 320, 60 / 180, 264 / 320, 120 / 180], abs=1 / 80)
        assert decision["cover"]["aspect"] == "1:1"
    assert (first["verdict"], first["reasons"]) == ("keep", [])
    assert second["reasons"] == ["utility-below-threshold", "cover-below-threshold"]
    assert len(here.audit().dead_letters) == 1


def test_the_shipped_engines_beside_each_other(route: Routes) -> None:
    """Utility, cover and quality: every photograph gets all of them, and the order of each camera stays."""
    here = route(partitions=2)
    photos = sorted((ROOT / "demo" / "photos").glob("*.jpg"))
    here.publish([(f"cam-{number % 3}".encode(), path.read_bytes()) for number, path in enumerate(photos)])
    names = ("utility", "cover", "quality")
    flags = [word for name in names for word in ("--engine", str(ROOT / "models" / f"{name}.onnx"))]
    here.drain("at-least-once", *flags, "--min-satisfied", "0.5@2")

    account = here.audit()
    account.require_complete()
    account.require_order()
    assert len(account.decisions) == len(photos)
    for decision in account.decisions.values():
        jsonschema.validate(decision, load_schema())
        assert decision["verdict"] == "keep"
        assert decision["utility"]["score"] > 0.3
        assert 1 <= decision["cover"]["clarity"] <= 10
        assert {"score", "object_proportion", "crop"} <= decision["cover"].keys()
        assert decision["quality"]["mos"] > 2.5
        assert decision["quality"]["satisfied"]["share"] > 0.5
        assert sum(decision["quality"]["distribution"]) == pytest.approx(1, abs=0.01)


def test_metrics_count_every_frame_once(route: Routes) -> None:
    """Frames by outcome, dead letters by reason, and a lag that goes to 0, as the topics say."""
    here = route()
    here.publish(mixed_frames(600, bad_share=0.05))

    with here.gateway() as gateway:
        gateway.wait_until_done(600)
        _wait(lambda: gateway.metric("framegate_assigned_partitions") == 4)
        _wait(lambda: gateway.metric("framegate_consumer_lag") == 0)
        counted = {
            outcome: gateway.metric("framegate_frames_total", outcome=outcome)
            for outcome in ("kept", "dropped", "dead-letter")
        }
        letters = gateway.metric("framegate_dead_letters_total")
        ends = gateway.metric("framegate_end_to_end_seconds_count")

    account = here.audit()
    verdicts = [decision["verdict"] for decision in account.decisions.values()]
    assert counted == {
        "kept": verdicts.count("keep"),
        "dropped": verdicts.count("drop"),
        "dead-letter": len(account.dead_letters),
    }
    assert letters == len(account.dead_letters) == 30
    assert ends == 600


def test_ready_only_once_partitions_are_assigned(route: Routes) -> None:
    """Warm and connected is not ready: another member that keeps the group waiting keeps it so."""
    here = route()

    with here.gateway() as silent:
        silent.wait_until_ready()
        silent.pause()  # the group waits for its answer until its session is over
        with here.gateway() as gateway:
            assert gateway.status("/v2/health/live") == 200
            assert gateway.status("/v2/health/ready") == 503
            gateway.wait_until_ready()
            assert "partitions assigned" in gateway.log


def test_dry_run_prints_a_decision_and_publishes_nothing(route: Routes) -> None:
    """Standard output is one decision that follows the schema; no topic gets a record, no group an offset."""
    here = route()
    here.publish(good_frames(10))

    with here.gateway("--dry-run") as gateway:
        assert gateway.wait_for_exit() == 0
        decision = json.loads(gateway.output())

    jsonschema.validate(decision, load_schema())
    assert here.audit().replies == {}
    assert sum(here.committed().values()) == 0


@pytest.mark.parametrize("delivery", DELIVERIES)
def test_drained_by_two_members(route: Routes, delivery: str) -> None:
    """With several partitions, some of them empty, each of two members leaves with 0 and nothing is left."""
    here = route(partitions=8)
    here.publish(mixed_frames(800, cameras=3))

    with (
        here.gateway("--exit-when-drained", delivery=delivery) as one,
        here.gateway("--exit-when-drained", delivery=delivery) as other,
    ):
        assert [one.wait_for_exit(), other.wait_for_exit()] == [0, 0]

    account = here.audit()
    account.require_complete()
    account.require_no_repeat()


def test_an_empty_topic_is_drained_at_once(route: Routes) -> None:
    """No frame, no reply, exit 0."""
    here = route()
    log = here.drain()

    assert "drained" in log
    assert here.audit().replies == {}


def test_drained_past_aborted_frames_and_marks(route: Routes) -> None:
    """A producer's aborted transaction at the topic's end holds up neither draining nor the account."""
    here = route(partitions=1)
    with here.producer(transactional_id=here.group) as producer:
        producer.init_transactions()
        for end in (producer.commit_transaction, producer.abort_transaction):
            producer.begin_transaction()
            for key, value in good_frames(5):
                producer.send(here.frames, key=key, value=value)
            producer.flush()
            end()
    here.drain()

    account = here.audit()
    assert len(account.sources) == 5
    account.require_complete()


def _wait(condition: Callable[[], bool], limit_s: float = 20) -> None:
    deadline_s = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline_s, f"not so after {limit_s:g} s"
        time.sleep(0.1)
