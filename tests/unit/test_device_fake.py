"""The fake device: it is as lazy and as strict as it says, or the tests on it prove nothing."""

import threading

import numpy as np
import pytest

from runtime.device import Device
from runtime.errors import InferenceError
from tests.fake_device import FakeDevice


def test_it_is_a_device() -> None:
    """For the type checker too."""
    device: Device = FakeDevice()

    assert device.graphs


def test_nothing_happens_before_somebody_waits() -> None:
    """A copy is done when its stream is synchronised, with what its source holds then."""
    device = FakeDevice()
    memory, stream = device.memory(4), device.stream()
    source, target = np.array([1, 2, 3, 4], np.uint8), np.zeros(4, np.uint8)

    device.upload(memory.pointer, source, stream)
    device.download(target, memory.pointer, stream)
    before = target.tolist()
    source[0] = 9
    stream.synchronize()

    assert before == [0, 0, 0, 0]
    assert target.tolist() == [9, 2, 3, 4]


def test_an_event_waits_for_what_lies_before_it() -> None:
    """And for no more."""
    device = FakeDevice()
    memory, stream, event = device.memory(1), device.stream(), device.event()
    first, second = np.zeros(1, np.uint8), np.zeros(1, np.uint8)

    device.upload(memory.pointer, np.array([5], np.uint8), stream)
    device.download(first, memory.pointer, stream)
    event.record(stream)
    device.download(second, memory.pointer, stream)
    event.synchronize()

    assert [*first, *second] == [5, 0]


def test_a_stream_waits_for_anothers_event() -> None:
    """Streams are independent but for that."""
    device = FakeDevice()
    memory, event = device.memory(1), device.event()
    one, other = device.stream(), device.stream()
    seen = np.zeros(1, np.uint8)

    device.upload(memory.pointer, np.array([5], np.uint8), one)
    event.record(one)
    device.wait(other, event)
    device.download(seen, memory.pointer, other)
    other.synchronize()

    assert seen.tolist() == [5]


def test_a_graph_is_queued_as_often_as_it_is_launched() -> None:
    """What is captured does not run; each launch runs all of it."""
    device = FakeDevice(kernels={"count": lambda *launch: calls.append(int(launch[2][0]))})
    stream, calls = device.stream(), list[int]()
    kernel = device.kernel(b"", "count")
    graph = device.capture(stream, lambda: kernel.launch((1, 1, 1), (1, 1, 1), [np.uint32(3)], stream))
    stream.synchronize()
    captured = list(calls)

    graph.launch(stream)
    graph.launch(stream)
    stream.synchronize()

    assert captured == []
    assert calls == [3, 3]


def test_a_wait_cannot_be_captured() -> None:
    """As in CUDA."""
    device = FakeDevice()
    stream = device.stream()

    with pytest.raises(InferenceError, match="CAPTURE"):
        device.capture(stream, stream.synchronize)


def test_an_address_outside() -> None:
    """Freed or never allocated: an error, once the work runs."""
    device = FakeDevice()
    memory, stream = device.memory(4), device.stream()
    device.upload(memory.pointer + 1, np.zeros(4, np.uint8), stream)
    with pytest.raises(InferenceError, match="ILLEGAL_ADDRESS"):
        stream.synchronize()

    device.upload(memory.pointer, np.zeros(4, np.uint8), stream)
    memory.free()
    memory.free()

    with pytest.raises(InferenceError, match="ILLEGAL_ADDRESS"):
        stream.synchronize()


def test_a_thread_without_a_context() -> None:
    """It is refused until it activates the device."""
    device = FakeDevice()
    failures = list[str]()

    def work() -> None:
        try:
            device.stream()
        except InferenceError as error:
            failures.append(str(error))
        device.activate()
        device.stream()

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()

    assert ["INVALID_CONTEXT" in failure for failure in failures] == [True]


def test_arguments_of_a_kernel_are_numpy_scalars() -> None:
    """A plain number would have no width."""
    device = FakeDevice(kernels={"any": lambda *_: None})

    with pytest.raises(TypeError, match="NumPy scalars"):
        device.kernel(b"", "any").launch((1, 1, 1), (1, 1, 1), [3], device.stream())
