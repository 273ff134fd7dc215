"""A broker that goes away for a while, and one that does not come back."""

import time

import pytest

from tests.broker import KafkaBroker
from tests.gateway_process import STOPPED
from tests.route import DELIVERIES, Route, mixed_frames

pytestmark = pytest.mark.kafka

OUTAGE_S = 20.0
FRAMES = 1500


@pytest.mark.parametrize("end", ["stop", "kill"])
@pytest.mark.parametrize("delivery", DELIVERIES)
def test_the_broker_comes_back_after_20_seconds(
    own_route: Route, own_broker: KafkaBroker, delivery: str, end: str
) -> None:
    """The gateway waits, goes on by itself, and loses nothing; exactly once: no repeat."""
    with own_route.gateway(delivery=delivery) as gateway:
        gateway.wait_until_ready()
        with own_route.flow(mixed_frames(FRAMES), fps=200):
            gateway.wait_until_done(100)
            getattr(own_broker, end)()
            time.sleep(OUTAGE_S)  # the outage itself, not a wait for something
            own_broker.start()
            before = gateway.frames_done()
            gateway.wait_until_done(before + 100, limit_s=40)
        gateway.wait_until_done(FRAMES, limit_s=60)
        gateway.terminate()
        assert gateway.wait_for_exit() == 0
        assert STOPPED in gateway.log

    account = own_route.audit()
    account.require_complete()
    account.require_order()
    if delivery == "exactly-once":
        account.require_no_repeat()
    print(f"{delivery}, {end}: {account.repeats} repeats")


@pytest.mark.parametrize("delivery", DELIVERIES)
def test_the_broker_does_not_come_back(own_route: Route, own_broker: KafkaBroker, delivery: str) -> None:
    """Within its budget the gateway gives up with exit 1 and says why; a later one does the rest."""
    with own_route.gateway("--broker-timeout-s", "5", delivery=delivery) as gateway:
        gateway.wait_until_ready()
        with own_route.flow(mixed_frames(FRAMES), fps=200):
            gateway.wait_until_done(100)
            own_broker.kill()
            assert gateway.wait_for_exit(60) == 1
            own_broker.start()
        assert "framegate: " in gateway.log
        assert "Traceback" not in gateway.log
    own_route.drain(delivery)

    account = own_route.audit()
    account.require_complete()
    if delivery == "exactly-once":
        account.require_no_repeat()
