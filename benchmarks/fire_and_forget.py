"""The gateway without its guarantee: replies are sent, nobody waits for them, offsets are committed now and then.

What delivery costs is measured against it. It takes ``runtime.serve``'s flags and is for benchmarks only: a
crash loses frames.
"""

import sys
import time
from collections.abc import Sequence

from runtime import service
from runtime.serve import main
from runtime.settings import Settings
from stream.client import Cluster
from stream.delivery import Delivery, send
from stream.record import Batch, Partition, Reply
from stream.source import Source

COMMIT_EVERY_S = 5.0
"""kafka-python's own auto-commit interval."""


class FireAndForget:
    """Sends and forgets."""

    def __init__(self, cluster: Cluster, source: Source) -> None:
        self._source = source
        self._producer = cluster.producer()
        self._offsets: dict[Partition, int] = {}
        self._committed_s = time.monotonic()

    def deliver(self, batch: Batch, replies: Sequence[Reply]) -> bool:
        """See ``Delivery``; without its promise."""
        for reply in replies:
            send(self._producer, reply)
        self._offsets.update(batch.offsets)
        if time.monotonic() - self._committed_s > COMMIT_EVERY_S:
            self._source.commit(self._offsets)
            self._committed_s = time.monotonic()
        return True

    def close(self) -> None:
        """See ``Delivery``."""
        self._producer.close(timeout=5)


def _fire_and_forget(settings: Settings, cluster: Cluster, source: Source) -> Delivery:  # noqa: ARG001 - see service
    return FireAndForget(cluster, source)


if __name__ == "__main__":
    service._delivery = _fire_and_forget
    sys.exit(main())
