"""``kill -9``, at random moments and at the worst ones."""

import random
import signal
import time
from collections.abc import Callable

import pytest

from tests.faults.crashing_serve import VARIABLE
from tests.gateway_process import ROOT, STOPPED
from tests.route import DELIVERIES, Route, good_frames, mixed_frames

pytestmark = pytest.mark.kafka

Routes = Callable[..., Route]
CRASHING = ("-m", "tests.faults.crashing_serve")
KILLS = 3

AT_LEAST_ONCE_POINTS = [
    "KafkaProducer.send:after:21",  # some replies of a batch are sent, others not
    "KafkaConsumer.commit:before:4",  # all acknowledged, nothing committed
    "KafkaConsumer.commit:after:4",
]
EXACTLY_ONCE_POINTS = [
    "KafkaProducer.begin_transaction:after:4",
    "KafkaProducer.send:after:21",
    "KafkaProducer.send_offsets_to_transaction:before:4",
    "KafkaProducer.commit_transaction:before:4",
    "KafkaProducer.commit_transaction:after:4",
]


@pytest.mark.parametrize("delivery", DELIVERIES)
@pytest.mark.parametrize("engine", [ROOT / "models" / "utility-baseline.onnx"], ids=["baseline"])
def test_killed_at_random_and_restarted(route: Routes, delivery: str) -> None:
    """Every frame ends as one decision id or dead letter however often the gateway dies; exactly once: no repeat."""
    here = route()
    here.publish(mixed_frames(2400))
    rng = random.Random(f"kill {delivery}")

    done = []
    for _ in range(KILLS):
        with here.gateway(delivery=delivery) as gateway:
            gateway.wait_until_done(1)
            time.sleep(rng.uniform(0, 0.5))
            gateway.kill()
        done.append(sum(here.committed().values()))
    log = here.drain(delivery)

    assert STOPPED in log
    assert done[-1] < 2400, f"all kills came too late to tell: {done}"
    account = here.audit()
    account.require_complete()
    account.require_order()
    if delivery == "exactly-once":
        account.require_no_repeat()
    print(f"{delivery}: committed at the kills {done}, {account.repeats} repeats")


@pytest.mark.parametrize(
    ("delivery", "point"),
    [("at-least-once", point) for point in AT_LEAST_ONCE_POINTS]
    + [("exactly-once", point) for point in EXACTLY_ONCE_POINTS],
)
def test_killed_at_the_worst_moment(route: Routes, delivery: str, point: str) -> None:
    """Death between sending, acknowledging and committing loses nothing; exactly once: no reader sees a repeat."""
    here = route(partitions=2)
    here.publish(good_frames(96))

    with here.gateway(delivery=delivery, program=CRASHING, environment={VARIABLE: point}) as gateway:
        assert gateway.wait_for_exit() == -signal.SIGKILL
    before = sum(here.committed().values())
    here.drain(delivery)

    assert before < 96
    account = here.audit()
    account.require_complete()
    if delivery == "exactly-once":
        account.require_no_repeat()
        account.require_order()
    else:
        assert account.repeats <= 32  # the batch that died, and nothing that was committed


def test_what_a_killed_transaction_left_is_hidden(route: Routes) -> None:
    """A reader of uncommitted records does see the replies of the transaction that died: the kill was real."""
    here = route(partitions=2)
    here.publish(good_frames(96))
    point = "KafkaProducer.commit_transaction:before:4"

    with here.gateway(delivery="exactly-once", program=CRASHING, environment={VARIABLE: point}) as gateway:
        gateway.wait_for_exit()
    here.drain("exactly-once")

    assert here.audit(committed=False).repeats > 0
    here.audit().require_no_repeat()
