"""What delivery promises where topics are missing, deleted or too small, and when its mode changes."""

import random
from collections.abc import Callable

import pytest

from tests.route import DELIVERIES, Route, good_frames, mixed_frames, pictures

pytestmark = pytest.mark.kafka

Routes = Callable[..., Route]


def test_one_mode_goes_on_where_the_other_stopped(route: Routes) -> None:
    """Exactly once and at least once share the group's offsets: a change of mode loses and repeats nothing."""
    here = route()
    for delivery in ("exactly-once", "at-least-once", "exactly-once"):
        here.publish(mixed_frames(120))
        here.drain(delivery)

    account = here.audit()
    assert len(account.sources) == 360
    account.require_complete()
    account.require_no_repeat()
    account.require_order()


@pytest.mark.parametrize("missing", ["frames", "decisions", "dead_letters"])
def test_a_missing_topic_is_an_error_that_names_the_command(route: Routes, missing: str) -> None:
    """Exit 2, and the command that creates exactly that topic."""
    here = route(create=[name for name in ("frames", "decisions", "dead_letters") if name != missing])
    topic = getattr(here, missing)

    with here.gateway() as gateway:
        assert gateway.wait_for_exit() == 2
        log = gateway.log

    assert f"kafka-topics.sh --bootstrap-server {here.bootstrap} --create --topic {topic} " in log
    assert log.count("--create --topic") == 1
    assert "Traceback" not in log


def test_create_topics_creates_what_is_missing(route: Routes) -> None:
    """With --create-topics the gateway makes the output topics itself, and serves."""
    here = route(create=["frames"])
    here.publish(mixed_frames(60))
    here.drain("at-least-once", "--create-topics")

    here.audit().require_complete()


@pytest.mark.parametrize("delivery", DELIVERIES)
def test_the_output_topic_is_deleted_while_frames_flow(route: Routes, delivery: str) -> None:
    """Within its budget the gateway stops with an error that says so; nothing undelivered is committed."""
    here = route(partitions=1)

    with here.gateway("--broker-timeout-s", "4", delivery=delivery) as gateway:
        here.publish(good_frames(40))
        gateway.wait_until_done(40)
        here.delete_topic(here.decisions)
        here.publish(good_frames(40))
        code = gateway.wait_for_exit(90)
        last = gateway.error
    print(f"{delivery}: exit {code}: {last}")
    assert code in {1, 2}
    assert last
    assert sum(here.committed().values()) == 40

    here.create_topic(here.decisions)
    here.drain(delivery)
    account = here.audit()
    assert {source.offset for source in account.replies} == set(range(40, 80))


@pytest.mark.parametrize("delivery", DELIVERIES)
def test_a_bad_frame_too_large_for_the_dead_letter_topic(route: Routes, delivery: str) -> None:
    """Its dead letter goes without the bytes, and says so; smaller bad frames beside it keep theirs."""
    here = route(configs={"max.message.bytes": str(8 << 20)}, dead_letter_configs={"max.message.bytes": str(1 << 20)})
    rng = random.Random(7)
    large = [(b"cam-large", rng.randbytes(3 << 20)) for _ in range(3)]
    frames = [*mixed_frames(60, seed=3), *large, *mixed_frames(60, seed=4)]
    rng.shuffle(frames)
    here.publish(frames)
    here.drain(delivery)

    account = here.audit()
    account.require_complete()
    account.require_no_repeat()
    letters = list(account.dead_letters.items())
    omitted = {source for source, letter in letters if "framegate-value-omitted" in dict(letter.headers)}
    assert len(omitted) == 3
    for source, letter in letters:
        if source in omitted:
            assert letter.key == b"cam-large"
            assert letter.value == b""
            assert dict(letter.headers)["framegate-value-omitted"] == b"%d bytes" % (3 << 20)
        else:
            assert letter.value == account.sources[source].value


@pytest.mark.parametrize("delivery", DELIVERIES)
def test_many_bad_frames_that_fill_a_small_topic_keep_their_bytes(route: Routes, delivery: str) -> None:
    """A request that is too large as a whole is split: no letter that fits alone loses its bytes."""
    here = route(partitions=1, dead_letter_configs={"max.message.bytes": "60000"})
    here.publish([(b"cam", b"not a picture" + bytes(20_000)) for _ in range(24)])
    here.drain(delivery)

    account = here.audit()
    account.require_complete()
    account.require_no_repeat()
    assert {len(letter.value) for letter in account.dead_letters.values()} == {20_013}


def test_a_kept_topic_with_less_room_than_the_input_topic(route: Routes) -> None:
    """Exit 2 before the first frame, and the command that raises the limit."""
    here = route(partitions=1)
    kept = f"{here.frames}-kept"
    here.create_topic(kept, **{"max.message.bytes": "1000"})
    here.publish([(b"cam", pictures()[7])])
    try:
        with here.gateway("--kept-topic", kept, "--min-utility", "0") as gateway:
            assert gateway.wait_for_exit() == 2
            log = gateway.log
    finally:
        here.delete_topic(kept)

    assert f"kafka-configs.sh --bootstrap-server {here.bootstrap} --alter --topic {kept} " in log
    assert sum(here.committed().values()) == 0


@pytest.mark.parametrize("delivery", DELIVERIES)
def test_a_limit_lowered_while_frames_flow(route: Routes, delivery: str) -> None:
    """The gateway stops rather than lose count, commits nothing of the batch, and goes by the limit when restarted."""
    here = route(partitions=1)
    bad = [(b"cam", b"not a picture" + bytes(20_000)) for _ in range(8)]

    with here.gateway("--broker-timeout-s", "5", delivery=delivery) as gateway:
        here.publish(good_frames(20))
        gateway.wait_until_done(20)
        here.alter_topic(here.dead_letters, **{"max.message.bytes": "10000"})
        here.publish([*good_frames(20), *bad, *good_frames(20)])
        assert gateway.wait_for_exit() in {1, 2}
        assert gateway.error
    here.drain(delivery)

    account = here.audit()
    account.require_complete()
    assert all("framegate-value-omitted" in dict(letter.headers) for letter in account.dead_letters.values())
    if delivery == "exactly-once":
        account.require_no_repeat()


def test_a_transaction_may_not_last_longer_than_the_broker_allows(route: Routes) -> None:
    """Exit 2: a setting is wrong, and the text says which, on either side."""
    here = route()
    with here.gateway("--transaction-timeout-ms", "999999999", delivery="exactly-once") as gateway:
        assert gateway.wait_for_exit() == 2
        log = gateway.log
    assert "--transaction-timeout-ms 999999999: more than the broker's transaction.max.timeout.ms" in log
    assert "Traceback" not in log
