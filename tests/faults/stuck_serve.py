"""``runtime.serve`` on a device that hangs: ``python -m tests.faults.stuck_serve`` and flags.

From the third batch on nothing comes back from the engines, and nothing fails.
"""

import itertools
import sys
import threading
from collections.abc import Sequence
from typing import Any

from runtime.prepare import HostWay
from runtime.serve import main

GOOD_BATCHES = 2


def arm() -> None:
    """Make every later batch wait for ever."""
    run, number = HostWay.run, itertools.count()

    def stuck(self: HostWay, values: Sequence[Any]) -> Any:
        if next(number) >= GOOD_BATCHES:
            threading.Event().wait()
        return run(self, values)

    HostWay.run = stuck  # type: ignore[method-assign]


if __name__ == "__main__":
    arm()
    sys.exit(main())
