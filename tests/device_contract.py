"""What ``runtime.device`` promises, as functions that any device must pass.

``tests/gpu`` runs them on a GPU; ``tests/unit/test_device_drivers.py`` runs the same file over a driver in host
memory (``tests/fake_cuda.c``), so that the calls of pycuda and cuda.core are tried where there is none.
"""

import gc
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from runtime.device import Device, Kernel
from runtime.errors import InferenceError

PTX = b"""
.version 7.0
.target sm_52
.address_size 64
.visible .entry twice(.param .u64 bytes, .param .u32 count)
{
    .reg .pred %p<2>;
    .reg .b32 %r<8>;
    .reg .b64 %d<4>;
    ld.param.u64 %d1, [bytes];
    ld.param.u32 %r1, [count];
    cvta.to.global.u64 %d1, %d1;
    mov.u32 %r2, %ctaid.x;
    mov.u32 %r3, %ntid.x;
    mov.u32 %r4, %tid.x;
    mad.lo.u32 %r5, %r2, %r3, %r4;
    setp.ge.u32 %p1, %r5, %r1;
    @%p1 bra DONE;
    cvt.u64.u32 %d2, %r5;
    add.u64 %d3, %d1, %d2;
    ld.global.u8 %r6, [%d3];
    shl.b32 %r6, %r6, 1;
    st.global.u8 [%d3], %r6;
DONE:
    ret;
}
""".lstrip()
"""A kernel that doubles bytes; the driver compiles it for whatever GPU there is."""

SIZE = 1 << 10


def doubled(device: Device, kernel: Kernel, times: int = 1) -> Any:
    """Bytes that went to the device, were doubled there and came back, with what they must be."""
    memory, stream, host = device.memory(SIZE), device.stream(), device.pinned(SIZE)
    host[:] = np.arange(SIZE) % 7
    expected = host * 2**times
    device.upload(memory.pointer, host, stream)
    for _ in range(times):
        arguments = [np.uint64(memory.pointer), np.uint32(SIZE)]
        kernel.launch((-(-SIZE // 128), 1, 1), (128, 1, 1), arguments, stream)
    device.download(host, memory.pointer, stream)
    stream.synchronize()
    memory.free()
    return host.tolist(), expected.tolist()


def tells_what_it_is(device: Device) -> None:
    assert device.name
    major, minor = device.compute_capability
    assert major >= 5
    assert 0 <= minor <= 9


def copies_there_and_back(device: Device) -> None:
    """From ordinary memory too, and to the byte after an offset."""
    memory, stream = device.memory(SIZE), device.stream()
    source, target = np.arange(SIZE // 4, dtype=np.float32), np.zeros(SIZE // 4, np.float32)

    device.upload(memory.pointer, source, stream)
    device.download(target[1:], memory.pointer + 4, stream)
    stream.synchronize()

    assert memory.pointer % 256 == 0
    assert memory.nbytes == SIZE
    assert stream.handle != 0
    assert target.tolist() == [0, *source[1:].tolist()]


def pinned_memory_lives_as_long_as_a_view(device: Device) -> None:
    """Whole, writable and 8-bit; its views keep it."""
    array = device.pinned(SIZE)
    array[:] = 3
    view = array.view(np.float32).reshape(4, -1)[1:]
    del array
    gc.collect()

    assert view.nbytes == SIZE * 3 // 4
    assert set(view.reshape(-1).view(np.uint8).tolist()) == {3}


def launches_kernels(device: Device) -> None:
    """With its arguments as they are, as often as it is asked."""
    kernel = device.kernel(PTX, "twice")

    for times in (1, 3):
        got, expected = doubled(device, kernel, times)
        assert got == expected


def events_order_streams(device: Device) -> None:
    """What waits for an event sees what lies before it; one that was never recorded holds nobody up."""
    memory, event = device.memory(SIZE), device.event()
    one, other = device.stream(), device.stream()
    source, target = device.pinned(SIZE), device.pinned(SIZE)
    source[:] = 5

    event.synchronize()
    device.upload(memory.pointer, source, one)
    event.record(one)
    device.wait(other, event)
    device.download(target, memory.pointer, other)
    event.record(other)
    event.synchronize()

    assert set(target.tolist()) == {5}


def memory_is_freed_once(device: Device) -> None:
    """A second call does nothing, in whichever thread."""
    memory = device.memory(SIZE)
    in_a_thread(device, memory.free)
    memory.free()


def memory_that_nobody_holds_is_freed(device: Device) -> None:
    """In whichever thread its last holder dies."""
    held = [device.memory(SIZE)]
    thread = threading.Thread(target=held.clear)
    thread.start()
    thread.join()

    assert held == []


def errors_are_ours(device: Device) -> None:
    """With the driver's own name for them."""
    with pytest.raises(InferenceError, match=r"driver.*CUDA_ERROR_|driver.*cu[A-Z]"):
        device.kernel(PTX, "thrice")
    with pytest.raises(InferenceError, match="driver"):
        device.kernel(b"no image at all" * 10, "twice")


def threads_come_and_go(device: Device) -> None:
    """Any thread may use it, and end: its context goes with it, and nothing else does."""
    kernel, answers = device.kernel(PTX, "twice"), list[Any]()

    for _ in range(3):
        in_a_thread(device, lambda: answers.append(doubled(device, kernel)))

    assert len(answers) == 3
    assert all(got == expected for got, expected in answers)


def captures_graphs(device: Device) -> None:
    """What is captured runs at each launch, and not before; after a failed capture the stream is as good as new."""
    if not device.graphs:
        with pytest.raises(NotImplementedError, match="cuda-core"):
            device.capture(device.stream(), lambda: None)
        return
    kernel, memory, stream = device.kernel(PTX, "twice"), device.memory(SIZE), device.stream()
    host, arguments = np.ones(SIZE, np.uint8), [np.uint64(memory.pointer), np.uint32(SIZE)]
    device.upload(memory.pointer, host, stream)
    stream.synchronize()

    def fail() -> None:
        raise LookupError("in the middle of a capture")

    with pytest.raises(LookupError, match="in the middle"):
        device.capture(stream, fail)
    graph = device.capture(stream, lambda: kernel.launch((8, 1, 1), (128, 1, 1), arguments, stream))
    for _ in range(3):
        graph.launch(stream)
    device.download(host, memory.pointer, stream)
    stream.synchronize()

    assert set(host.tolist()) == {8}


def in_a_thread(device: Device, work: Callable[[], None]) -> None:
    """Run it in a thread that has activated the device, to its end; what it raises is ours."""
    failures = list[BaseException]()

    def run() -> None:
        try:
            device.activate()
            device.activate()
            work()
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if failures:
        raise failures[0]


CONTRACT: list[Callable[[Device], None]] = [
    tells_what_it_is,
    copies_there_and_back,
    pinned_memory_lives_as_long_as_a_view,
    launches_kernels,
    events_order_streams,
    memory_is_freed_once,
    memory_that_nobody_holds_is_freed,
    errors_are_ours,
    threads_come_and_go,
    captures_graphs,
]
