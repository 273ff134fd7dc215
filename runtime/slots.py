"""Memory for a few batches at once, so that upload, inference and download of different batches overlap.

A slot is everything that one batch needs on its way: a stream, memory on the device, page-locked memory on the
host. Work of one slot runs in order, in its stream; slots run side by side.
"""

import queue
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.device import Device, Event, Memory, Stream, free_all
from runtime.errors import InferenceError
from runtime.manifest import Manifest, head_shape


@dataclass(frozen=True, eq=False, slots=True)
class Slot:
    """Room for one batch of at most ``max_batch`` samples; every array and memory has that many."""

    index: int
    stream: Stream
    done: Event
    inputs: dict[str, Memory]
    host_inputs: dict[str, NDArray[Any]]
    outputs: dict[str, Memory]
    host_outputs: dict[str, NDArray[Any]]


class Slots:
    """All slots of one engine.

    Args:
        device: whose memory it is; this thread must have activated it.
        manifest: names, dtypes and shapes of inputs and outputs.
        max_batch: the most samples in a batch.
        count: how many batches can be on their way at once.
    """

    def __init__(self, device: Device, manifest: Manifest, max_batch: int, count: int) -> None:
        self.device = device
        self.max_batch = max_batch
        self._inputs = {spec.name: (spec.shape, np.dtype(spec.dtype)) for spec in manifest.inputs}
        self._outputs = {head.output: (head_shape(head), np.dtype(np.float32)) for head in manifest.heads}
        self._memories: list[Memory] = []
        try:
            self.all = [self._slot(index) for index in range(count)]
        except BaseException:
            self.close()
            raise
        self._free: queue.SimpleQueue[Slot] = queue.SimpleQueue()
        for slot in self.all:
            self._free.put(slot)

    @contextmanager
    def take(self) -> Iterator[Slot]:
        """A slot for one batch: waits for a free one, makes the device current in this thread.

        Whatever happens inside, the slot goes back only once the device is done with it: the next batch writes
        the memory that this one's copies read.
        """
        self.device.activate()
        slot = self._free.get()
        try:
            try:
                yield slot
            except BaseException:
                with suppress(InferenceError):  # a broken device fails here again; the first failure says why
                    slot.stream.synchronize()
                raise
            slot.stream.synchronize()
        finally:
            self._free.put(slot)

    def upload(self, slot: Slot, inputs: Mapping[str, NDArray[Any]]) -> int:
        """Copy a batch into the slot and queue its way to the device.

        Returns:
            How many samples it has.
        """
        if inputs.keys() != slot.host_inputs.keys():  # the slot holds an earlier batch's
            raise ValueError(f"the inputs {sorted(slot.host_inputs)} are due, not {sorted(inputs)}")
        [size, *others] = {len(array) for array in inputs.values()}
        if others or size > self.max_batch:
            raise ValueError(f"batches of {[size, *others]} do not fit into a slot of {self.max_batch}")
        for name, array in inputs.items():
            host = slot.host_inputs[name][:size]
            np.copyto(host, array, casting="no")
            self.device.upload(slot.inputs[name].pointer, host, slot.stream)
        return size

    def download(self, slot: Slot, size: int) -> dict[str, NDArray[Any]]:
        """Queue the outputs' way back, wait for all that is queued in the slot's stream.

        Returns:
            Per output, the first ``size`` samples, as the caller's own array.
        """
        for name, host in slot.host_outputs.items():
            self.device.download(host[:size], slot.outputs[name].pointer, slot.stream)
        slot.done.record(slot.stream)
        slot.done.synchronize()
        return {name: host[:size].copy() for name, host in slot.host_outputs.items()}

    def close(self) -> None:
        """Give the device's memory back. No slot may be in use."""
        free_all(self.device, self._memories)

    def _slot(self, index: int) -> Slot:
        hosts = [
            {
                name: self.device.pinned(self._nbytes(shape, dtype)).view(dtype).reshape(self.max_batch, *shape)
                for name, (shape, dtype) in tensors.items()
            }
            for tensors in (self._inputs, self._outputs)
        ]
        memories = [
            {name: self._memory(self._nbytes(shape, dtype)) for name, (shape, dtype) in tensors.items()}
            for tensors in (self._inputs, self._outputs)
        ]
        return Slot(
            index=index,
            stream=self.device.stream(),
            done=self.device.event(),
            inputs=memories[0],
            host_inputs=hosts[0],
            outputs=memories[1],
            host_outputs=hosts[1],
        )

    def _memory(self, nbytes: int) -> Memory:
        self._memories.append(self.device.memory(nbytes))
        return self._memories[-1]

    def _nbytes(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> int:
        return self.max_batch * int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
