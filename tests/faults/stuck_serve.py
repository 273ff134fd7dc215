"""``runtime.serve`` on a device that hangs: ``python -m tests.faults.stuck_serve`` and flags.

From the third batch on nothing comes back from the engines, and nothing fails; but where the environment has
``FRAMEGATE_TEST_STUCK=half``, the second one does, once others hang.
"""

import itertools
import os
import sys
import threading
from collections.abc import Sequence
from typing import Any

from runtime.errors import InferenceError
from runtime.prepare import HostWay
from runtime.serve import main

GOOD_BATCHES = 2


def arm() -> None:
    """Make every later batch wait for ever."""
    run, number, hangs = HostWay.run, itertools.count(), threading.Event()

    def stuck(self: HostWay, values: Sequence[Any]) -> Any:
        own = next(number)
        if own >= GOOD_BATCHES:
            hangs.set()
            threading.Event().wait()
        if own and os.environ.get("FRAMEGATE_TEST_STUCK") == "half":
            hangs.wait()
            raise InferenceError("the device failed")
        return run(self, values)

    HostWay.run = stuck  # type: ignore[method-assign]


if __name__ == "__main__":
    arm()
    sys.exit(main())
