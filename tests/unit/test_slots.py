"""Slots: what a batch gets on its way, and that no two batches ever share it."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from runtime.errors import InferenceError
from runtime.manifest import Input
from runtime.slots import Slot, Slots
from tests.engines import NORMALISED, OUTPUTS, PIXELS, fitting_manifest
from tests.fake_device import FakeDevice, FakeMemory

UTILITY, QUALITY = OUTPUTS["utility"], OUTPUTS["quality"]


def make_slots(device: FakeDevice, *, spec: Input = PIXELS, max_batch: int = 4, count: int = 2) -> Slots:
    return Slots(device, fitting_manifest("u", ("utility", "quality"), spec), max_batch, count)


def batch(size: int, value: int = 7) -> dict[str, NDArray[Any]]:
    return {PIXELS.name: np.full((size, *PIXELS.shape), value, np.uint8)}


def answer(device: FakeDevice, slot: Slot) -> None:
    """What stands for inference: each sample's first byte, as a float, is its utility."""

    def run() -> None:
        pixels = device.bytes_at(slot.inputs[PIXELS.name].pointer, slot.inputs[PIXELS.name].nbytes)
        samples = pixels.reshape(-1, int(np.prod(PIXELS.shape)))
        target = device.bytes_at(slot.outputs[UTILITY].pointer, slot.outputs[UTILITY].nbytes)
        target.view(np.float32)[:] = samples[:, 0]

    device.streams[slot.stream.handle].queue(run)


def test_room_for_a_whole_batch() -> None:
    """Memory and arrays have the manifest's dtypes and shapes, for ``max_batch`` samples."""
    slots = make_slots(FakeDevice(), spec=NORMALISED, max_batch=3, count=5)

    assert len(slots.all) == 5
    for slot in slots.all:
        assert slot.host_inputs["frames"].shape == (3, *NORMALISED.shape)
        assert slot.host_inputs["frames"].dtype == np.float32
        assert slot.inputs["frames"].nbytes == slot.host_inputs["frames"].nbytes
        assert {name: host.shape for name, host in slot.host_outputs.items()} == {UTILITY: (3,), QUALITY: (3, 5)}
        assert slot.outputs[QUALITY].nbytes == 3 * 5 * 4


def test_a_batch_goes_to_the_device_and_back() -> None:
    """Upload, work and download run in the slot's stream, in order; what comes back is the caller's own."""
    device = FakeDevice()
    slots = make_slots(device)

    with slots.take() as slot:
        size = slots.upload(slot, batch(3))
        answer(device, slot)
        outputs = slots.download(slot, size)
    slot.host_outputs[UTILITY][:] = 0

    assert outputs[UTILITY].tolist() == [7, 7, 7]
    assert outputs[QUALITY].shape == (3, 5)


def test_a_wrong_dtype_is_no_batch() -> None:
    """Nothing is cast in silence: the engine would judge other numbers."""
    slots = make_slots(FakeDevice())

    with slots.take() as slot, pytest.raises(TypeError, match="float32"):
        slots.upload(slot, {"frames": np.zeros((1, *PIXELS.shape), np.float32)})


def test_a_batch_that_is_too_large() -> None:
    """It would be written over its neighbour."""
    slots = make_slots(FakeDevice(), max_batch=2)

    with slots.take() as slot, pytest.raises(ValueError, match=r"batches of \[3\] do not fit into a slot of 2"):
        slots.upload(slot, batch(3))


def test_a_slot_belongs_to_one_batch() -> None:
    """As many are handed out as there are; the next one waits until one is back."""
    slots = make_slots(FakeDevice(), count=2)
    taken, let_go = threading.Barrier(3), threading.Event()

    def hold() -> int:
        with slots.take() as slot:
            taken.wait(timeout=10)
            let_go.wait(timeout=10)
            return slot.index

    def want() -> int:
        with slots.take() as slot:
            return slot.index

    with ThreadPoolExecutor(3) as pool:
        holders = [pool.submit(hold) for _ in range(2)]
        taken.wait(timeout=10)
        third = pool.submit(want)
        with pytest.raises(TimeoutError):
            third.result(timeout=0.1)
        let_go.set()

        assert sorted(task.result(timeout=10) for task in holders) == [0, 1]
        assert third.result(timeout=10) in {0, 1}


def test_a_slot_comes_back_empty_after_a_failure() -> None:
    """Work that was queued before the failure is done before the next batch writes the same memory."""
    device = FakeDevice()
    slots = make_slots(device, count=1)

    def judge() -> None:
        with slots.take() as slot:
            slots.upload(slot, batch(2, value=1))
            raise RuntimeError("decoder")

    with pytest.raises(RuntimeError, match="decoder"):
        judge()
    with slots.take() as slot:
        slot.host_inputs["frames"][:] = 99  # as the next batch would

        assert device.bytes_at(slot.inputs["frames"].pointer, 1).tolist() == [1]


def test_a_slot_comes_back_after_a_failure_of_the_device() -> None:
    """The error is the caller's, and no other thread waits forever for the slot."""
    device = FakeDevice()
    slots = make_slots(device, count=1)

    def fail() -> None:
        raise InferenceError("CUDA_ERROR_LAUNCH_FAILED")

    with pytest.raises(InferenceError, match="LAUNCH_FAILED"), slots.take() as slot:
        device.streams[slot.stream.handle].queue(fail)

    def judge() -> int:
        with slots.take() as slot:
            return slot.index

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(judge).result(timeout=10) == 0


def test_the_first_failure_is_told() -> None:
    """What broke the device, and not that a broken device cannot be waited for; the slot is back all the same."""
    device = FakeDevice()
    slots = make_slots(device, count=1)

    def fail() -> None:
        raise InferenceError("CUDA_ERROR_ILLEGAL_ADDRESS")

    def judge() -> None:
        with slots.take() as slot:
            device.streams[slot.stream.handle].queue(fail)
            raise InferenceError("engine.plan: cannot run a batch of 3")

    for _ in range(2):
        with pytest.raises(InferenceError, match=r"engine\.plan"):
            judge()


class Stubborn(FakeDevice):
    """Once broken, it refuses to free every second piece."""

    def memory(self, nbytes: int) -> FakeMemory:
        made = super().memory(nbytes)
        if len(self.pieces) % 2:
            made.free = self._refuse  # type: ignore[method-assign]
        return made

    def _refuse(self) -> None:
        raise InferenceError("CUDA_ERROR_LAUNCH_FAILED")


def test_closing_a_broken_device(caplog: pytest.LogCaptureFixture) -> None:
    """What can be given back is; that the rest cannot is in the log, and hides no error."""
    device = Stubborn()
    slots = make_slots(device, count=2)

    slots.close()

    assert len(device.pieces) == 3
    assert caplog.messages == ["the GPU's memory could not be given back: CUDA_ERROR_LAUNCH_FAILED"]


@pytest.mark.parametrize("room", range(6))
def test_too_little_memory(room: int) -> None:
    """What there was is given back."""
    device = FakeDevice(room=room)

    with pytest.raises(InferenceError, match="OUT_OF_MEMORY"):
        make_slots(device, count=2)

    assert device.pieces == {}


def test_any_thread_may_take_a_slot() -> None:
    """The device's context is made current where the slot is taken."""
    slots = make_slots(FakeDevice())

    def judge() -> int:
        with slots.take() as slot:
            return slots.upload(slot, batch(1))

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(judge).result(timeout=10) == 1


def test_closed() -> None:
    """All of the device's memory is given back, from whichever thread; a second time does nothing."""
    device = FakeDevice()
    slots = make_slots(device, count=3)
    with ThreadPoolExecutor(1) as pool:
        pool.submit(slots.close).result(timeout=10)
        pool.submit(slots.close).result(timeout=10)

    assert device.pieces == {}


@given(
    batches=st.lists(st.lists(st.integers(0, 255), min_size=1, max_size=4), min_size=1, max_size=8),
    count=st.integers(1, 3),
    threads=st.integers(1, 4),
)
def test_every_thread_gets_its_own_answers(batches: list[list[int]], count: int, threads: int) -> None:
    """However many slots and threads there are: what a batch's samples held is what comes back."""
    device = FakeDevice()
    slots = make_slots(device, count=count)

    def judge(values: list[int]) -> list[float]:
        pixels = np.repeat(np.array(values, np.uint8), int(np.prod(PIXELS.shape))).reshape(-1, *PIXELS.shape)
        with slots.take() as slot:
            size = slots.upload(slot, {PIXELS.name: pixels})
            answer(device, slot)
            return list(map(float, slots.download(slot, size)[UTILITY]))

    with ThreadPoolExecutor(threads) as pool:
        answers = list(pool.map(judge, batches))

    assert answers == [[float(value) for value in values] for values in batches]
