"""Members that join and leave while frames flow."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager

import pytest

from stream.client import Cluster
from stream.record import Partition, Record
from stream.source import Source
from tests.audit import end_offsets
from tests.gateway_process import STOPPED, GatewayProcess
from tests.route import DELIVERIES, Route, good_frames, mixed_frames

pytestmark = pytest.mark.kafka

Routes = Callable[..., Route]
FRAMES = 3000


@pytest.mark.parametrize("delivery", DELIVERIES)
def test_members_join_and_leave_while_frames_flow(route: Routes, delivery: str) -> None:
    """A second and a third member come and go: nothing is lost, nothing repeated, each camera's order kept."""
    here = route(partitions=6)

    with ExitStack() as stack, here.flow(mixed_frames(FRAMES), fps=250):
        first = _joined(here, stack, delivery)
        second = _joined(here, stack, delivery)
        _wait_until_shared([first, second], 6)
        third = _joined(here, stack, delivery)
        _wait_until_shared([first, second, third], 6)
        second.terminate()
        assert second.wait_for_exit() == 0
        assert STOPPED in second.log
        _wait_until_shared([first, third], 6)
        first.terminate()
        assert first.wait_for_exit() == 0
        _wait_until_shared([third], 6)
        third.terminate()
        assert third.wait_for_exit() == 0
    here.drain(delivery)

    account = here.audit()
    assert len(account.sources) == FRAMES
    account.require_complete()
    account.require_order()
    account.require_no_repeat()  # in a rebalance without a failure, even at least once finishes what it has


@pytest.mark.parametrize("delivery", DELIVERIES)
def test_a_killed_member_is_replaced_by_the_other(route: Routes, delivery: str) -> None:
    """After ``kill -9`` of one of two members the other goes on with all partitions; nothing is lost."""
    here = route(partitions=4)

    with ExitStack() as stack, here.flow(mixed_frames(FRAMES // 2), fps=300):
        first, second = _joined(here, stack, delivery), _joined(here, stack, delivery)
        _wait_until_shared([first, second], 4)
        first.wait_until_done(20)
        first.kill()
        _wait_until_shared([second], 4)
    here.drain(delivery)

    account = here.audit()
    account.require_complete()
    account.require_order()
    if delivery == "exactly-once":
        account.require_no_repeat()
    else:
        assert account.repeats <= 4 * 8  # the batches that the dead one had in hand


@pytest.mark.parametrize("delivery", DELIVERIES)
def test_more_members_than_partitions(route: Routes, delivery: str) -> None:
    """A member without a partition is ready, idles, leaves cleanly, and disturbs nobody."""
    here = route(partitions=1)
    here.publish(mixed_frames(200, cameras=2))

    with here.gateway(delivery=delivery) as first, here.gateway(delivery=delivery) as second:
        _wait_until_shared([first, second], 1)
        _wait(lambda: first.frames_done() + second.frames_done() >= 200)
        assert first.ready()
        assert second.ready()
        for gateway in (first, second):
            gateway.terminate()
        assert [gateway.wait_for_exit() for gateway in (first, second)] == [0, 0]

    account = here.audit()
    account.require_complete()
    account.require_no_repeat()


def test_what_was_polled_and_not_committed_is_polled_again(route: Routes) -> None:
    """A partition that stays with a member through a rebalance starts again at its committed offset."""
    here = route(partitions=2)
    here.publish(good_frames(40))
    ends = {partition.partition: end for partition, end in end_offsets(here.bootstrap, here.frames).items()}

    with closing(_source(here)) as source:
        _poll_until(source, lambda polled: len(polled) == 40)
        assert source.commit({Partition(here.frames, 0): 3, Partition(here.frames, 1): 5})
        with _polled_by_another(here):
            again = _poll_until(source, lambda polled: _at_the_end(polled, ends))

    [kept] = {record.partition for record in again}
    assert [record.offset for record in again] == list(range({0: 3, 1: 5}[kept], ends[kept]))


def _source(here: Route) -> Source:
    return Source(Cluster(here.bootstrap), here.frames, here.group, offset_reset="earliest", on_revoked=lambda: None)


def _poll(source: Source) -> Sequence[Record]:
    batch = source.next_batch(8, 0, idle_ms=50)
    return batch.records if batch else ()


def _poll_until(source: Source, enough: Callable[[Sequence[Record]], bool], limit_s: float = 30) -> list[Record]:
    records: list[Record] = []
    deadline_s = time.monotonic() + limit_s
    while not enough(records):
        assert time.monotonic() < deadline_s, f"only {len(records)} records after {limit_s:g} s"
        records += _poll(source)
    return records


def _at_the_end(records: Sequence[Record], ends: Mapping[int, int]) -> bool:
    return bool(records) and records[-1].offset + 1 == ends[records[-1].partition]


@contextmanager
def _polled_by_another(here: Route) -> Iterator[None]:
    """Another member polls in a thread of its own while the block runs."""
    done = threading.Event()

    def poll() -> None:
        with closing(_source(here)) as other:
            while not done.is_set():
                _poll(other)

    thread = threading.Thread(target=poll, name="other-member", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _joined(here: Route, stack: ExitStack, delivery: str) -> GatewayProcess:
    gateway = stack.enter_context(here.gateway(delivery=delivery))
    gateway.wait_until_ready()
    return gateway


def _wait_until_shared(gateways: list[GatewayProcess], partitions: int) -> None:
    """Wait until these members hold all partitions between them, none more than its fair share."""
    fair = -(-partitions // len(gateways))

    def shared() -> bool:
        held = [gateway.metric("framegate_assigned_partitions") for gateway in gateways]
        return sum(held) == partitions and max(held) == fair

    _wait(shared)


def _wait(condition: Callable[[], bool], limit_s: float = 30) -> None:
    deadline_s = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline_s, f"not so after {limit_s:g} s"
        time.sleep(0.1)
