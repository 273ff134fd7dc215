"""The loop between source, pipeline and delivery, with stand-ins whose names say how they behave.

The real source and deliveries are tested against a real broker; here time and failure are in the test's hand.
"""

import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from prometheus_client import REGISTRY

from runtime import gateway as gateway_module
from runtime import metrics
from runtime.decision import Decisions
from runtime.errors import FrameError, InferenceError, Reason
from runtime.gateway import Gateway
from runtime.heads import Utility
from runtime.pipeline import Judgement, Outcome
from runtime.policy import Policy
from runtime.replies import Replies, Topics
from stream.errors import StreamError
from stream.record import Batch, Partition, Record, Reply
from tests.engines import fitting_manifest

KEEP = Judgement(8, 8, {"utility": Utility(0.9)}, [])
DROP = Judgement(8, 8, {"utility": Utility(0.1)}, ["utility-below-threshold"])
BAD = FrameError(Reason.UNDECODABLE, "noise")
OUTCOMES: dict[bytes, Outcome] = {b"keep": KEEP, b"drop": DROP, b"bad": BAD}
PARTITION = Partition("frames", 0)


class TapeSource:
    """Plays its batches one after another, then nothing more; a callable in between is called, None is a pause."""

    def __init__(self, *tape: "Sequence[bytes] | Callable[[], None] | None") -> None:
        self._tape = list(tape)
        self.position = 0
        self.end = sum(len(each) for each in tape if isinstance(each, Sequence))
        self.joined = True
        self.assigned = frozenset({PARTITION})
        self.polled = 0

    def next_batch(self, max_records: int, max_wait_ms: float) -> Batch | None:
        each = self._tape.pop(0) if self._tape else None
        if callable(each):
            each()
        if not isinstance(each, Sequence):
            time.sleep(0.002)
            return None
        now_ms = int(time.time() * 1000)
        records = tuple(Record("frames", 0, self.position + index, now_ms, b"cam", v) for index, v in enumerate(each))
        self.position += len(each)
        self.polled += 1
        return Batch(records, None, time.monotonic())

    def end_offsets(self) -> dict[Partition, int]:
        return {PARTITION: self.end}

    def positions(self) -> dict[Partition, int]:
        return {PARTITION: self.position}

    def lags(self) -> dict[Partition, int]:
        return {PARTITION: self.end - self.position}


class JudgeByName:
    """Judges a value by what it says; takes a random time for it, many batches at once."""

    def __init__(self, workers: ThreadPoolExecutor, slowest_s: float = 0.0) -> None:
        self._workers = workers
        self._slowest_s = slowest_s

    def submit(self, values: Sequence[bytes]) -> "Future[list[Outcome]]":
        return self._workers.submit(self._judge, values)

    def _judge(self, values: Sequence[bytes]) -> list[Outcome]:
        time.sleep(random.random() * self._slowest_s)
        if b"break" in values:
            raise InferenceError("the device is gone")
        return [OUTCOMES[value] for value in values]


class JudgeThatWaits(JudgeByName):
    """Judges nothing before it is let go."""

    def __init__(self, workers: ThreadPoolExecutor) -> None:
        super().__init__(workers)
        self.let_go = threading.Event()

    def _judge(self, values: Sequence[bytes]) -> list[Outcome]:
        assert self.let_go.wait(20)
        return super()._judge(values)


class LedgerDelivery:
    """Writes down what is delivered, in order."""

    def __init__(self, source: TapeSource | None = None) -> None:
        self.batches: list[tuple[Batch, list[Reply]]] = []
        self.most_in_hand = 0
        self._source = source

    @property
    def offsets(self) -> list[int]:
        return [record.offset for batch, _ in self.batches for record in batch.records]

    def deliver(self, batch: Batch, replies: Sequence[Reply]) -> bool:
        if self._source:
            self.most_in_hand = max(self.most_in_hand, self._source.polled - len(self.batches))
        self.batches.append((batch, list(replies)))
        return True

    def close(self) -> None: ...


class DeliveryThatFails(LedgerDelivery):
    """Delivers ``fine`` batches, then raises."""

    def __init__(self, fine: int, error: Exception) -> None:
        super().__init__()
        self._fine = fine
        self._error = error

    def deliver(self, batch: Batch, replies: Sequence[Reply]) -> bool:
        if len(self.batches) == self._fine:
            raise self._error
        return super().deliver(batch, replies)


class DeliveryAfterRebalance(LedgerDelivery):
    """The group has moved on: nothing is committed."""

    def deliver(self, batch: Batch, replies: Sequence[Reply]) -> bool:
        super().deliver(batch, replies)
        return False


@pytest.fixture
def workers() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as pool:
        yield pool


@pytest.fixture(autouse=True)
def _no_thread_is_left_behind() -> Iterator[None]:
    yield
    couriers = [thread for thread in threading.enumerate() if thread.name == "framegate-courier"]
    for courier in couriers:
        courier.join(2)
    assert not any(courier.is_alive() for courier in couriers)


def make_gateway(
    source: TapeSource, judge: JudgeByName, delivery: LedgerDelivery, *, in_flight: int = 3, budget_s: float = 60
) -> Gateway:
    replies = Replies(Decisions([fitting_manifest("gate")], Policy(0.5)), Topics("decisions", "dead"))
    pipeline: Any = judge
    made = Gateway(pipeline, replies, max_batch=8, max_wait_ms=1, in_flight=in_flight)
    ends: Any = (source, delivery)
    made.attach(*ends, budget_s=budget_s)
    return made


def sample(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


@pytest.mark.parametrize("in_flight", [1, 2, 5])
@pytest.mark.parametrize("seed", range(3))
def test_delivered_in_the_order_polled(workers: ThreadPoolExecutor, in_flight: int, seed: int) -> None:
    """However long each batch is judged: no later offset is committed before an earlier one."""
    random.seed(seed)
    batches = [random.choices(sorted(OUTCOMES), k=random.randint(1, 5)) for _ in range(25)]
    source, delivery = TapeSource(*batches), LedgerDelivery()

    make_gateway(source, JudgeByName(workers, 0.02), delivery, in_flight=in_flight).run(until_drained=True)

    assert delivery.offsets == list(range(source.end))
    for batch, replies in delivery.batches:
        expected = ["dead" if record.value == b"bad" else "decisions" for record in batch.records]
        assert [reply.topic for reply in replies] == expected


@pytest.mark.parametrize("in_flight", [1, 3])
def test_back_pressure(workers: ThreadPoolExecutor, in_flight: int) -> None:
    """Never more batches in hand than ``in_flight``: the rest waits at the broker, not in our memory."""
    source = TapeSource(*[[b"keep"]] * 40)
    delivery = LedgerDelivery(source)

    make_gateway(source, JudgeByName(workers, 0.01), delivery, in_flight=in_flight).run(until_drained=True)

    assert delivery.most_in_hand == in_flight


def test_nothing_is_polled_while_all_is_in_hand(workers: ThreadPoolExecutor) -> None:
    """A pipeline that stands still is given its batches, then no more."""
    source, judge, delivery = TapeSource(*[[b"keep"]] * 9), JudgeThatWaits(workers), LedgerDelivery()
    gateway = make_gateway(source, judge, delivery, in_flight=2)
    with ThreadPoolExecutor(1) as main:
        running = main.submit(gateway.run, until_drained=True)
        wait_until(lambda: source.polled == 2)
        time.sleep(0.1)
        polled = source.polled
        judge.let_go.set()
        running.result(10)

    assert polled == 2
    assert len(delivery.batches) == 9


def test_pauses_cost_no_room(workers: ThreadPoolExecutor) -> None:
    """A poll that brings nothing gives its place back: with one place, work goes on after many pauses."""
    source, delivery = TapeSource(*[None] * 20, [b"keep"], *[None] * 20, [b"drop"]), LedgerDelivery()

    make_gateway(source, JudgeByName(workers), delivery, in_flight=1).run(until_drained=True)

    assert delivery.offsets == [0, 1]


@pytest.mark.parametrize("error", [StreamError("the broker is gone"), ZeroDivisionError("our own fault")])
def test_a_failure_in_the_courier_ends_the_run(workers: ThreadPoolExecutor, error: Exception) -> None:
    """It is raised in the main thread, as it is; nothing after the failed batch is delivered."""
    source, delivery = TapeSource(*[[b"keep"]] * 30), DeliveryThatFails(4, error)

    with pytest.raises(type(error)) as raised:
        make_gateway(source, JudgeByName(workers), delivery).run(until_drained=False)

    assert raised.value is error
    assert delivery.offsets == [0, 1, 2, 3]


def test_a_failure_of_the_device_ends_the_run(workers: ThreadPoolExecutor) -> None:
    """What was judged before it is delivered; its own batch and all later ones are not."""
    source, delivery = TapeSource([b"keep"], [b"drop"], [b"keep", b"break"], [b"keep"], [b"keep"]), LedgerDelivery()

    with pytest.raises(InferenceError, match="the device is gone"):
        make_gateway(source, JudgeByName(workers), delivery).run(until_drained=True)

    assert delivery.offsets == [0, 1]


def test_a_failure_after_the_stop_is_still_one(workers: ThreadPoolExecutor) -> None:
    """A batch that fails while the process leaves must not look like a clean end."""
    source, judge = TapeSource([b"keep"]), JudgeThatWaits(workers)
    gateway = make_gateway(source, judge, DeliveryThatFails(0, StreamError("gone")))
    with ThreadPoolExecutor(1) as main:
        running = main.submit(gateway.run, until_drained=False)
        wait_until(lambda: source.polled == 1)
        gateway.stop()
        judge.let_go.set()
        with pytest.raises(StreamError, match="gone"):
            running.result(10)


def test_a_failing_source_ends_the_run(workers: ThreadPoolExecutor) -> None:
    """The main thread's own errors pass too, and the courier goes with it."""

    def fail() -> None:
        raise StreamError("refused")

    with pytest.raises(StreamError, match="refused"):
        make_gateway(TapeSource([b"keep"], fail), JudgeByName(workers), LedgerDelivery()).run(until_drained=False)


def test_stop_finishes_what_is_in_hand(workers: ThreadPoolExecutor) -> None:
    """Everything polled is delivered; after the signal at most the one batch is polled that was waited for."""
    source, judge, delivery = TapeSource(*[[b"keep"]] * 9), JudgeThatWaits(workers), LedgerDelivery()
    gateway = make_gateway(source, judge, delivery, in_flight=3)
    with ThreadPoolExecutor(1) as main:
        running = main.submit(gateway.run, until_drained=False)
        wait_until(lambda: source.polled == 3)
        gateway.stop()
        time.sleep(0.05)
        assert not running.done()
        judge.let_go.set()
        running.result(10)

    assert source.polled <= 4
    assert delivery.offsets == list(range(source.polled))


def test_a_stop_does_not_wait_for_ever(workers: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Past the deadline the run ends with an error that says how much is not committed."""
    monkeypatch.setattr(gateway_module, "FINISH_S", 0.2)
    source, judge = TapeSource([b"keep"], [b"keep"]), JudgeThatWaits(workers)
    gateway = make_gateway(source, judge, LedgerDelivery())
    with ThreadPoolExecutor(1) as main:
        running = main.submit(gateway.run, until_drained=False)
        wait_until(lambda: source.polled == 2)
        gateway.stop()
        with pytest.raises(StreamError, match=r"2 batches were not delivered within 0\.2 s; not committed"):
            running.result(10)
        judge.let_go.set()


def test_a_delivery_that_stands_still_is_given_up(workers: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch) -> None:
    """No batch delivered for longer than the broker's budget and the finish together: the process ends."""
    monkeypatch.setattr(gateway_module, "FINISH_S", 0.1)
    judge = JudgeThatWaits(workers)

    with pytest.raises(StreamError, match="no batch was delivered"):
        make_gateway(TapeSource([b"keep"]), judge, LedgerDelivery(), budget_s=0.1).run(until_drained=False)
    judge.let_go.set()


def test_idleness_is_no_standstill(workers: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch) -> None:
    """A quiet night before a frame does not count as time without delivery."""
    monkeypatch.setattr(gateway_module, "FINISH_S", 0.1)
    source, delivery = TapeSource(*[None] * 100, [b"keep"]), LedgerDelivery()

    make_gateway(source, JudgeByName(workers, 0.02), delivery, budget_s=0.05).run(until_drained=True)

    assert delivery.offsets == [0]


def test_finish_in_hand_keeps_its_deadline(workers: ThreadPoolExecutor) -> None:
    """What a revocation waits for: False when time runs out, True once all is delivered, at once when idle."""
    source, judge, delivery = TapeSource([b"keep"]), JudgeThatWaits(workers), LedgerDelivery()
    gateway = make_gateway(source, judge, delivery)
    assert gateway.finish_in_hand(0) is True

    with ThreadPoolExecutor(1) as main:
        running = main.submit(gateway.run, until_drained=False)
        wait_until(lambda: source.polled == 1)
        began_s = time.monotonic()
        assert gateway.finish_in_hand(0.2) is False
        assert 0.2 <= time.monotonic() - began_s < 2
        judge.let_go.set()
        assert gateway.finish_in_hand(5) is True
        assert delivery.offsets == [0]
        gateway.stop()
        running.result(10)


def test_drained_waits_for_its_partitions(workers: ThreadPoolExecutor) -> None:
    """Before the group has let us in, nothing is known of the end: an empty hand is not a drained topic."""
    source, delivery = TapeSource(*[None] * 5, [b"keep"]), LedgerDelivery()
    source.joined, source.assigned = False, frozenset()

    def join() -> None:
        source.joined, source.assigned = True, frozenset({PARTITION})

    source._tape.insert(4, join)

    make_gateway(source, JudgeByName(workers), delivery).run(until_drained=True)

    assert delivery.offsets == [0]


def test_drained_is_the_end_of_the_start(workers: ThreadPoolExecutor) -> None:
    """Frames that come later are left alone: the end is that of the beginning."""
    source, delivery = TapeSource([b"keep"], [b"keep"], *[None] * 50, [b"drop"] * 5), LedgerDelivery()
    source.end = 2

    make_gateway(source, JudgeByName(workers), delivery).run(until_drained=True)

    assert delivery.offsets == [0, 1]


def test_a_member_without_partitions_is_drained(workers: ThreadPoolExecutor) -> None:
    """More members than partitions: the idle ones go home."""
    source = TapeSource(*[None] * 3)
    source.assigned, source.end = frozenset(), 100

    make_gateway(source, JudgeByName(workers), LedgerDelivery()).run(until_drained=True)


def test_what_is_delivered_is_counted(workers: ThreadPoolExecutor) -> None:
    """Each frame once, by its outcome; dead letters and drops also by their reasons."""
    names: list[tuple[str, dict[str, str]]] = [
        ("framegate_frames_total", {"outcome": "kept"}),
        ("framegate_frames_total", {"outcome": "dropped"}),
        ("framegate_frames_total", {"outcome": "dead-letter"}),
        ("framegate_dead_letters_total", {"reason": "undecodable"}),
        ("framegate_drops_total", {"reason": "utility-below-threshold"}),
        ("framegate_frame_age_seconds_count", {}),
        ("framegate_end_to_end_seconds_count", {}),
        ("framegate_batch_frames_sum", {}),
        ("framegate_batches_given_up_total", {}),
    ]
    before = [sample(name, **labels) for name, labels in names]
    source = TapeSource([b"keep", b"keep", b"keep"], [b"drop", b"bad", b"drop"])

    make_gateway(source, JudgeByName(workers), LedgerDelivery()).run(until_drained=True)

    after = [sample(name, **labels) for name, labels in names]
    assert [round(now - then) for then, now in zip(before, after, strict=True)] == [3, 2, 1, 1, 2, 5, 6, 6, 0]


def test_what_the_group_took_away_is_not_counted(workers: ThreadPoolExecutor) -> None:
    """Another member does the batch again, and counts it there; here it is a batch given up, and work goes on."""
    names = ("framegate_batches_given_up_total", "framegate_end_to_end_seconds_count")
    before = [sample(name) for name in names]
    delivery = DeliveryAfterRebalance()

    make_gateway(TapeSource([b"keep"], [b"bad"]), JudgeByName(workers), delivery).run(until_drained=True)

    assert [sample(name) - then for name, then in zip(names, before, strict=True)] == [2, 0]
    assert delivery.offsets == [0, 1]


def test_lag_and_assignment_are_watched(workers: ThreadPoolExecutor) -> None:
    """Per partition; a partition that is ours no more is not reported any more."""
    metrics.LAG.labels(99).set(5)
    source = TapeSource([b"keep"])
    source.end = 8

    gateway = make_gateway(source, JudgeByName(workers), LedgerDelivery())
    gateway._step()

    assert sample("framegate_consumer_lag", partition="0") == 8
    assert REGISTRY.get_sample_value("framegate_consumer_lag", {"partition": "99"}) is None
    assert sample("framegate_assigned_partitions") == 1


def test_alive_while_the_loop_turns(workers: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch) -> None:
    """A loop that has not turned for a minute is dead to the probe; one turn brings it back."""
    gateway = make_gateway(TapeSource(), JudgeByName(workers), LedgerDelivery())
    assert gateway.alive

    now_s = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now_s + 61)
    assert not gateway.alive
    gateway._step()
    assert gateway.alive


def wait_until(true: Callable[[], bool], limit_s: float = 10) -> None:
    deadline_s = time.monotonic() + limit_s
    while not true():
        assert time.monotonic() < deadline_s
        time.sleep(0.002)
