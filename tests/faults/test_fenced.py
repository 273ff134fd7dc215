"""A member that stops long enough to lose its partitions, and then goes on as if nothing had been."""

import time
from collections.abc import Callable
from contextlib import ExitStack

import pytest

from tests.gateway_process import GatewayProcess
from tests.route import DELIVERIES, Route, mixed_frames

pytestmark = pytest.mark.kafka

FRAMES = 1200


@pytest.mark.parametrize("delivery", DELIVERIES)
def test_a_member_paused_beyond_its_session_does_no_harm(route: Callable[..., Route], delivery: str) -> None:
    """SIGSTOP until another has taken over, then SIGCONT: nothing is lost; exactly once: no repeat is seen."""
    here = route(partitions=4)

    with ExitStack() as stack, here.flow(mixed_frames(FRAMES), fps=100):
        paused = stack.enter_context(here.gateway(delivery=delivery))
        paused.wait_until_done(100)
        paused.pause()
        other = stack.enter_context(here.gateway(delivery=delivery))
        other.wait_until_done(100)
        paused.resume()
        went_on = _stops_or_goes_on(paused)
        other.wait_until_done(200)
        print(f"{delivery}: the paused member {'went on' if went_on else 'stopped'}; its log:\n{paused.log}")
        for gateway in (paused, other) if went_on else (other,):
            gateway.terminate()
            assert gateway.wait_for_exit() == 0
    here.drain(delivery)

    account = here.audit()
    assert len(account.sources) == FRAMES
    account.require_complete()
    if delivery == "exactly-once":
        account.require_no_repeat()
        account.require_order()
    else:
        assert account.repeats <= 5 * 8  # what the paused one had polled: three batches in flight, one in each hand


def _stops_or_goes_on(gateway: GatewayProcess, limit_s: float = 30) -> bool:
    """True once it holds partitions again; False where it has stopped, with exit 1 and a sentence that says why."""
    done = gateway.frames_done()
    deadline_s = time.monotonic() + limit_s
    while time.monotonic() < deadline_s:
        if not gateway.running:
            assert gateway.wait_for_exit() == 1
            assert gateway.error.startswith("framegate: fenced")
            return False
        if gateway.log.count("partitions assigned") > 1 and gateway.frames_done() > done:
            return True
        time.sleep(0.05)
    raise AssertionError(f"neither stopped nor went on after {limit_s:g} s")
