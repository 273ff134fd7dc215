"""A broker that goes away for a while, and one that does not come back."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.broker import KafkaBroker
from tests.gateway_process import STOPPED, GatewayProcess
from tests.route import DELIVERIES, Route, mixed_frames

pytestmark = pytest.mark.kafka

OUTAGE_S = 20.0
FRAMES = 600
SESSION_MS = 10_000  # the gateway's own default
Running = dict[str, tuple[Route, GatewayProcess]]


@pytest.mark.parametrize("end", [KafkaBroker.stop, KafkaBroker.kill], ids=["stopped", "killed"])
def test_the_broker_comes_back_after_20_seconds(
    own_broker: KafkaBroker, engine: Path, tmp_path: Path, end: Callable[[KafkaBroker], None]
) -> None:
    """A gateway of either delivery waits, goes on by itself, and loses nothing; exactly once: no repeat."""
    with _both(own_broker, engine, tmp_path) as running:
        with _flowing(running):
            end(own_broker)
            time.sleep(OUTAGE_S)  # the outage itself, not a wait for something
            own_broker.start()
            back_s = time.monotonic()
            for delivery, (_, gateway) in running.items():
                gateway.wait_until_done(gateway.frames_done() + 20, limit_s=40)
                print(f"{delivery}: goes on {time.monotonic() - back_s:.1f} s after the broker answers")
        for _, gateway in running.values():
            gateway.wait_until_done(FRAMES)
            gateway.terminate()
            assert gateway.wait_for_exit() == 0
            assert STOPPED in gateway.log

    for delivery, (route, _) in running.items():
        _account(route, delivery)


def test_the_broker_does_not_come_back(own_broker: KafkaBroker, engine: Path, tmp_path: Path) -> None:
    """Soon after its budget a gateway gives up with exit 1 and says why; a later one does the rest."""
    with _both(own_broker, engine, tmp_path, "--broker-timeout-s", "3") as running, _flowing(running):
        own_broker.kill()
        for delivery, (_, gateway) in running.items():
            assert gateway.wait_for_exit(60) == 1
            last = gateway.error
            assert last
            print(f"{delivery}: {last}")
        own_broker.start()

    for delivery, (route, _) in running.items():
        route.drain(delivery)
        _account(route, delivery)


def test_an_idle_gateway_notices_that_the_broker_is_gone(own_broker: KafkaBroker, engine: Path, tmp_path: Path) -> None:
    """With nothing in hand it stays while the broker is there, and gives up with exit 1 once it is not."""
    route = Route(own_broker.bootstrap, engine, tmp_path, session_ms=SESSION_MS)
    with route.gateway("--broker-timeout-s", "4") as gateway:
        gateway.wait_until_ready()
        time.sleep(6)  # longer than the budget: silence alone is no fault
        assert gateway.running
        own_broker.kill()

        assert gateway.wait_for_exit(30) == 1
        assert "the broker has not answered for" in gateway.error


@contextmanager
def _flowing(running: Running) -> Iterator[None]:
    """Frames keep coming to both while the block runs, and both have begun."""
    with ExitStack() as flows:
        for route, gateway in running.values():
            gateway.wait_until_ready()
            flows.enter_context(route.flow(mixed_frames(FRAMES), fps=50))
        for _, gateway in running.values():
            gateway.wait_until_done(50)
        yield


@contextmanager
def _both(broker: KafkaBroker, engine: Path, folder: Path, *flags: str) -> Iterator[Running]:
    """A gateway of each delivery, each on its own route."""
    with ExitStack() as gateways:
        running = {}
        for delivery in DELIVERIES:
            (folder / delivery).mkdir()
            route = Route(broker.bootstrap, engine, folder / delivery, session_ms=SESSION_MS)
            running[delivery] = route, gateways.enter_context(route.gateway(*flags, delivery=delivery))
        yield running


def _account(route: Route, delivery: str) -> None:
    account = route.audit()
    assert len(account.sources) >= FRAMES
    account.require_complete()
    account.require_order()
    if delivery == "exactly-once":
        account.require_no_repeat()
    print(f"{delivery}: {account.repeats} repeats")
