"""The loop: batches from the topic to the pipeline, replies from the pipeline to the topics, then offsets.

Two threads, so that neither waits for the other's broker: the main one polls and hands batches to the pipeline;
the courier takes them back in the same order, publishes the replies and commits. Several batches are judged
between the two. The main thread owns the process: what fails in the courier is raised there.
"""

import logging
import queue
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Final

from runtime import metrics
from runtime.errors import FrameError
from runtime.pipeline import Outcome, Pipeline
from runtime.replies import Replies, captured_at_ms
from stream.delivery import Delivery
from stream.errors import StuckError
from stream.record import Batch, Partition
from stream.source import Source

log = logging.getLogger("framegate")

FINISH_S: Final = 30.0
"""How long the batches in hand may take when the process is told to stop."""
REVOKE_S: Final = 8.0
"""The same when partitions are taken away: under the session time-out, so that the group does not wait."""
LAG_EVERY_S: Final = 1.0


@dataclass(frozen=True)
class _Work:
    batch: Batch
    outcomes: "Future[list[Outcome]]"


class Gateway:
    """Moves frames from a source through a pipeline to their replies.

    Args:
        source: set after construction by ``attach``: its revocations call ``finish_in_hand``.
        pipeline: judges.
        replies: what is published of an outcome.
        max_batch: frames in a micro-batch at most.
        max_wait_ms: how long a batch waits for more frames after its first.
        in_flight: batches that may wait or be judged at once.
    """

    def __init__(
        self, pipeline: Pipeline, replies: Replies, *, max_batch: int, max_wait_ms: float, in_flight: int
    ) -> None:
        self._pipeline = pipeline
        self._replies = replies
        self._max_batch = max_batch
        self._max_wait_ms = max_wait_ms
        self._room = threading.BoundedSemaphore(in_flight)
        self._work: queue.SimpleQueue[_Work | None] = queue.SimpleQueue()
        self._in_hand = 0
        self._changed = threading.Condition()
        self._failure: BaseException | None = None
        self._stop = threading.Event()
        self._beat_s = self._progress_s = time.monotonic()
        self._lag_s = 0.0

    def attach(self, source: Source, delivery: Delivery, *, budget_s: float) -> None:
        """Give the gateway its two ends."""
        self._source = source
        self._delivery = delivery
        self._budget_s = budget_s

    def run(self, *, until_drained: bool) -> None:
        """Move frames until ``stop`` is called or, if asked, the end that the topic has now is done.

        Raises:
            InferenceError, StreamError: the device or the broker failed; what was in hand is not committed.
            StuckError: neither fails, and nothing comes of what is in hand.
        """
        ends = self._source.end_offsets() if until_drained else None
        courier = threading.Thread(target=self._deliver_all, name="framegate-courier", daemon=True)
        courier.start()
        try:
            while not self._stop.is_set():
                self._step()
                if ends is not None and self._drained(ends):
                    log.info("drained: every frame that waited at the start is done")
                    break
            self._finish()
        finally:
            self._work.put(None)
            courier.join(timeout=1)

    def stop(self) -> None:
        """Finish what is in hand, commit, and leave ``run``. Safe in a signal handler."""
        self._stop.set()

    @property
    def alive(self) -> bool:
        """Whether the loop has turned within the last minute."""
        return time.monotonic() - self._beat_s < 60

    def finish_in_hand(self, timeout_s: float = REVOKE_S) -> bool:
        """Wait until everything polled is delivered and committed; False where time ran out first."""
        with self._changed:
            return self._changed.wait_for(lambda: self._in_hand == 0 or self._failure is not None, timeout_s)

    def _step(self) -> None:
        self._beat_s = time.monotonic()
        self._raise_failure()
        self._watch_lag()
        if not self._room.acquire(timeout=0.5):
            return  # the pipeline is full: that is the back-pressure
        batch = self._source.next_batch(self._max_batch, self._max_wait_ms)
        if batch is None:
            self._room.release()
            return
        metrics.STAGE.labels("gather").observe(time.monotonic() - batch.polled_at_s)
        metrics.BATCH.observe(len(batch.records))
        with self._changed:
            if self._in_hand == 0:
                self._progress_s = time.monotonic()  # until now there was nothing to make progress with
            self._in_hand += 1
        self._work.put(_Work(batch, self._pipeline.submit([record.value for record in batch.records])))

    def _finish(self) -> None:
        if not self.finish_in_hand(FINISH_S):
            raise StuckError(f"{self._in_hand} batches were not delivered within {FINISH_S:g} s; not committed")
        self._raise_failure()

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure
        stuck_s = time.monotonic() - self._progress_s
        if self._in_hand and stuck_s > self._budget_s + FINISH_S:
            raise StuckError(f"no batch was delivered for {stuck_s:.0f} s; nothing more is committed")

    def _drained(self, ends: dict[Partition, int]) -> bool:
        if self._in_hand or not self._source.joined:
            return False
        positions = self._source.positions()
        assigned = self._source.assigned
        return all(positions.get(partition, -1) >= ends.get(partition, 0) for partition in assigned)

    def _watch_lag(self) -> None:
        if self._beat_s - self._lag_s < LAG_EVERY_S:
            return
        self._lag_s = self._beat_s
        metrics.ASSIGNED.set(len(self._source.assigned))
        metrics.LAG.clear()
        for partition, lag in self._source.lags().items():
            metrics.LAG.labels(partition.partition).set(lag)

    def _deliver_all(self) -> None:
        try:
            while (work := self._work.get()) is not None:
                self._deliver(work)
                with self._changed:
                    self._in_hand -= 1
                    self._progress_s = time.monotonic()
                    self._changed.notify_all()
                self._room.release()
        except BaseException as error:  # whatever it is, the main thread raises it
            with self._changed:
                self._failure = error
                self._changed.notify_all()

    def _deliver(self, work: _Work) -> None:
        outcomes = work.outcomes.result()
        batch = work.batch
        replies = [
            reply
            for record, outcome in zip(batch.records, outcomes, strict=True)
            for reply in self._replies.to(record, outcome, batch.polled_at_s)
        ]
        with metrics.STAGE.labels("deliver").time():
            delivered = self._delivery.deliver(batch, replies)
        if delivered:
            _count(batch, outcomes)
        else:
            metrics.REDELIVERED.inc()


def _count(batch: Batch, outcomes: Sequence[Outcome]) -> None:
    now_ms = time.time() * 1000
    for record, outcome in zip(batch.records, outcomes, strict=True):
        metrics.END_TO_END.observe(max(0.0, now_ms - record.timestamp_ms) / 1000)
        if isinstance(outcome, FrameError):
            metrics.FRAMES.labels("dead-letter").inc()
            metrics.DEAD_LETTERS.labels(str(outcome.reason)).inc()
            continue
        metrics.AGE.observe(max(0.0, now_ms - captured_at_ms(record)) / 1000)
        metrics.FRAMES.labels("dropped" if outcome.reasons else "kept").inc()
        for reason in outcome.reasons:
            metrics.DROPS.labels(reason).inc()
