"""From an outcome to what is published: exactly one decision or dead letter, with all that belongs to it."""

import json
import time
from datetime import UTC, datetime, timedelta

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.decision import Decisions, load_schema
from runtime.errors import FrameError, Reason
from runtime.heads import Utility
from runtime.pipeline import Judgement, Outcome
from runtime.policy import Policy
from runtime.replies import Replies, Topics, captured_at_ms, frame_id
from stream.delivery import fitting
from stream.errors import TopicError
from stream.record import Headers, Record, Reply
from tests.engines import fitting_manifest

POLICY = Policy(0.5)
KEEP = Judgement(1280, 720, {"utility": Utility(0.9)}, [])
DROP = Judgement(1280, 720, {"utility": Utility(0.1)}, ["utility-below-threshold"])
BAD = FrameError(Reason.TRUNCATED, "ends early \u2013 \udcff")
TOPICS = Topics("decisions", "dead", "kept")

headers = st.lists(
    st.tuples(st.sampled_from(["frame-id", "captured-at-ms", "traceparent", "framegate-reason", "x"]), st.binary()),
    max_size=6,
).map(tuple)
records = st.builds(
    Record,
    topic=st.sampled_from(["frames", "cam.1"]),
    partition=st.integers(0, 99),
    offset=st.integers(0, 2**63 - 1),
    timestamp_ms=st.integers(-1, 2**42),
    key=st.none() | st.binary(max_size=8),
    value=st.none() | st.binary(max_size=8),
    headers=headers,
)


def frame(headers: Headers = (), *, key: bytes | None = b"cam-7", value: bytes | None = b"jpeg") -> Record:
    return Record("frames", 3, 91, 1_763_700_000_000, key, value, headers)


def replies_to(record: Record, outcome: Outcome, topics: Topics = TOPICS) -> list[Reply]:
    return Replies(Decisions([fitting_manifest("gate")], POLICY), topics).to(record, outcome, time.monotonic())


def header(reply: Reply, name: str) -> bytes | None:
    """As a reader sees it: the last of that name."""
    return dict(reply.headers).get(name)


@settings(deadline=None, max_examples=60)
@given(record=records, outcome=st.sampled_from([KEEP, DROP, BAD]), kept=st.sampled_from(["kept", None]))
def test_each_frame_has_exactly_one_decision_or_dead_letter(record: Record, outcome: Outcome, kept: str | None) -> None:
    """Whatever its key, value and headers hold; beside it at most its own bytes in the kept topic."""
    replies = replies_to(record, outcome, Topics("decisions", "dead", kept))

    topics = [reply.topic for reply in replies]
    assert topics.count("decisions") + topics.count("dead") == 1
    assert ("dead" in topics) == isinstance(outcome, FrameError)
    assert topics.count("kept") == (kept is not None and outcome is KEEP)
    assert all(reply.key == record.key for reply in replies)
    assert all(isinstance(value, bytes) for reply in replies for _, value in reply.headers)
    if "decisions" in topics:
        assert replies[0].value is not None
        jsonschema.validate(json.loads(replies[0].value), load_schema())


def test_a_kept_frame_is_forwarded_as_it_came() -> None:
    """The same key, bytes and headers; a dropped one is not forwarded."""
    sent = frame((("frame-id", b"f"), ("x", b"1")))

    decision, forwarded = replies_to(sent, KEEP)

    assert decision.topic == "decisions"
    assert forwarded == Reply("kept", sent.key, sent.value, sent.headers)
    assert [reply.topic for reply in replies_to(sent, DROP)] == ["decisions"]


def test_a_dead_letter_keeps_all_that_came() -> None:
    """Key, bytes and headers as they were; ours say where it comes from and why, and win over the frame's own."""
    sent = frame((("x", b"1"), ("framegate-reason", b"forged"), ("x", b"2")))

    [letter] = replies_to(sent, BAD)

    assert (letter.topic, letter.key, letter.value) == ("dead", b"cam-7", b"jpeg")
    assert letter.headers[:3] == sent.headers
    assert header(letter, "framegate-source-topic") == b"frames"
    assert header(letter, "framegate-source-partition") == b"3"
    assert header(letter, "framegate-source-offset") == b"91"
    assert header(letter, "framegate-reason") == b"truncated"
    assert (header(letter, "framegate-detail") or b"").startswith(b"ends early")


@pytest.mark.parametrize(("value", "size"), [(b"x" * 1000, b"1000 bytes"), (None, b"0 bytes")])
def test_a_dead_letter_can_do_without_the_bytes(value: bytes | None, size: bytes) -> None:
    """Where the broker finds the letter too large, this one is sent: the same headers, and what was left out."""
    [letter] = replies_to(frame(value=value), BAD)

    slim = letter.slim
    assert slim is not None
    assert (slim.topic, slim.key, slim.value) == ("dead", b"cam-7", b"")
    assert slim.headers == (*letter.headers, ("framegate-value-omitted", size))


def test_a_dead_letter_fits_whatever_was_large_in_it() -> None:
    """First without the bytes, then without the frame's headers, then without its key; too small a topic is told."""
    large = frame(value=b"x", key=b"k" * 5000, headers=(("note", b"n" * 5000),))
    [letter] = replies_to(large, BAD)

    def kept(limit: int) -> tuple[int, list[str]]:
        form = fitting(letter, {"dead": limit})
        return len(form.key or b""), [name for name, _ in form.headers if name == "note" or name.endswith("-omitted")]

    assert kept(20_000) == (5000, ["note"])
    assert kept(9_000) == (5000, ["framegate-value-omitted", "framegate-headers-omitted"])
    assert kept(2_000) == (0, ["framegate-value-omitted", "framegate-headers-omitted", "framegate-key-omitted"])
    with pytest.raises(TopicError, match="topic dead takes 100 bytes, not a record of"):
        kept(100)


def test_a_tombstone_stays_one() -> None:
    """A dead letter of no value has no value, not an empty one."""
    [letter] = replies_to(frame(value=None), BAD)

    assert letter.value is None


def test_a_decision_is_a_cloud_event() -> None:
    """The Kafka binding's binary mode: ``ce_`` headers, the content type, and the key as subject."""
    decision, _ = replies_to(frame(), KEEP)
    assert decision.value is not None
    read = json.loads(decision.value)

    assert header(decision, "ce_specversion") == b"1.0"
    assert header(decision, "ce_type") == b"framegate.decision.v1"
    assert header(decision, "ce_source") == b"/framegate/frames/3"
    assert header(decision, "ce_subject") == b"cam-7"
    assert header(decision, "content-type") == b"application/json"
    assert header(decision, "ce_id") == read["id"].encode()
    made = datetime.fromisoformat((header(decision, "ce_time") or b"").decode())
    assert abs(made - datetime.now(UTC)) < timedelta(seconds=10)


def test_what_a_frame_does_not_have_is_left_out() -> None:
    """No key: no stream and no subject; no trace: no traceparent."""
    decision, _ = replies_to(frame(key=None), KEEP)

    assert decision.value is not None
    assert json.loads(decision.value)["stream"] is None
    assert not {"ce_subject", "traceparent"} & {name for name, _ in decision.headers}


def test_the_trace_goes_on() -> None:
    """A frame's ``traceparent`` is carried over to its decision, byte by byte."""
    trace = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

    decision, _ = replies_to(frame((("traceparent", trace),)), KEEP)

    assert header(decision, "traceparent") == trace


def test_a_repeated_delivery_says_the_same() -> None:
    """Frame and engines the same: the same id; only the times differ."""
    first, second = (json.loads(replies_to(frame(), DROP)[0].value or b"") for _ in range(2))

    for read in (first, second):
        del read["age_ms"], read["latency_ms"]
    assert first == second


def test_age_is_since_the_capture() -> None:
    """By the producer's clock where it says so, else by the record's."""
    now_ms = int(time.time() * 1000)
    decision, _ = replies_to(frame((("captured-at-ms", str(now_ms - 5000).encode()),)), KEEP)

    assert decision.value is not None
    assert 5000 <= json.loads(decision.value)["age_ms"] < 9000


def test_latency_is_since_the_poll() -> None:
    """Milliseconds on the monotonic clock, with one decimal."""
    replies = Replies(Decisions([fitting_manifest("gate")], POLICY), TOPICS)

    decision, _ = replies.to(frame(), KEEP, time.monotonic() - 0.25)

    assert decision.value is not None
    assert 250 <= json.loads(decision.value)["latency_ms"] < 2000


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (b"1763699999000", 1_763_699_999_000),
        (b"0", 0),
        (b"", 1_763_700_000_000),
        (b"yesterday", 1_763_700_000_000),
        (b"-5", 1_763_700_000_000),
        (b"1e12", 1_763_700_000_000),
        (b"\xff\x00", 1_763_700_000_000),
        ("\u0661\u0662".encode(), 1_763_700_000_000),  # digits, but not these
        (b"9" * 400, 1_763_700_000_000),
        (b"9" * 5000, 1_763_700_000_000),
    ],
)
def test_a_capture_time_that_is_none_is_passed_over(given: bytes, expected: int) -> None:
    """Any bytes may stand in a header: the record's own time counts then, and the frame is judged."""
    sent = frame((("captured-at-ms", given),))

    assert captured_at_ms(sent) == expected
    assert len(replies_to(sent, DROP)) == 1


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ((("frame-id", b"f-1"),), "f-1"),
        ((("frame-id", b"f-1"), ("frame-id", b"f-2")), "f-2"),
        ((("frame-id", b"\xff\xfe"),), "\ufffd\ufffd"),
        ((("frame-id", b""),), "frames/3/91"),
        ((), "frames/3/91"),
    ],
)
def test_a_frame_has_an_id(headers: Headers, expected: str) -> None:
    """Its producer's, as text whatever its bytes; else its place in the topic."""
    assert frame_id(frame(headers)) == expected
