"""``runtime.serve`` that kills itself at a chosen point: ``python -m tests.faults.crashing_serve`` and flags.

``FRAMEGATE_TEST_CRASH`` says where, as ``KafkaConsumer.commit:before:3``: SIGKILL before (after) the third call.
"""

import functools
import os
import signal
import sys
from typing import Any

import kafka

from runtime.serve import main

VARIABLE = "FRAMEGATE_TEST_CRASH"


def arm(point: str) -> None:
    """Make that call of that method the last thing this process does."""
    place, when, number = point.split(":")
    name, method = place.split(".")
    client = getattr(kafka, name)
    original, calls = getattr(client, method), iter(range(1, 1 << 30))

    @functools.wraps(original)
    def crashing(*arguments: Any, **named: Any) -> Any:
        last = next(calls) == int(number)
        if last and when == "before":
            if isinstance(arguments[0], kafka.KafkaProducer):
                arguments[0].flush(10)  # what was sent lies in the broker's log, but nothing ends the transaction
            os.kill(os.getpid(), signal.SIGKILL)
        result = original(*arguments, **named)
        if last:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(client, method, crashing)


if __name__ == "__main__":
    arm(os.environ[VARIABLE])
    sys.exit(main())
