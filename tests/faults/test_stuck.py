"""A device that neither answers nor fails."""

from collections.abc import Callable

import pytest

from tests.route import Route, good_frames

pytestmark = pytest.mark.kafka

STUCK = ("-m", "tests.faults.stuck_serve")


def test_a_device_that_hangs_ends_the_process(route: Callable[..., Route]) -> None:
    """It says so, exits with 1 for a supervisor to start it again, and the next one loses and repeats nothing."""
    here, delivery = route(partitions=1), "exactly-once"
    here.publish(good_frames(64))

    with here.gateway("--broker-timeout-s", "1", delivery=delivery, program=STUCK) as gateway:
        gateway.wait_until_done(1)
        assert gateway.wait_for_exit(limit_s=60) == 1
        log = gateway.log
    assert "no batch was delivered for 3" in log
    done = sum(here.committed().values())
    here.drain(delivery)

    assert 0 < done < 64
    account = here.audit()
    account.require_complete()
    account.require_no_repeat()


def test_a_batch_that_fails_while_another_hangs_ends_the_process(route: Callable[..., Route]) -> None:
    """What failed is said, and the process does not wait for the other one."""
    here, half = route(partitions=1), {"FRAMEGATE_TEST_STUCK": "half"}
    here.publish(good_frames(64))

    with here.gateway("--max-batch", "4", program=STUCK, environment=half) as gateway:
        assert gateway.wait_for_exit(limit_s=60) == 1
        assert "framegate: the device failed" in gateway.log
    here.drain()
    here.audit().require_complete()
