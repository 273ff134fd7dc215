"""From decoded pictures in device memory to the engine's input, in one kernel launch a batch.

The result is ``runtime.preprocess.Preprocessor``'s to the bit; ``docs/resize.md`` gives the arithmetic and what the
kernel does with the memory, ``runtime/cuda/preprocess.cuh`` the code.
"""

import queue
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from runtime.cuda import ENTRY, image_for
from runtime.cuda.plan import FRAME, Placed, Plan, Strides, describe, plan_picture
from runtime.device import Device, Memory, Stream, free_all
from runtime.errors import ConfigError
from runtime.manifest import Input
from runtime.preprocess import Size, level_table

THREADS = 256
TABLES = 4
MAX_PARTS = 65_535
"""CUDA's limit of a grid's second dimension: pictures, or patches of them, in one launch."""


@dataclass(frozen=True, slots=True)
class DevicePicture:
    """Upright RGB pixels, uint8, in device memory.

    Channel c (0 red, 1 green, 2 blue) of the pixel in row y and column x lies at
    ``pointer + y * row_stride + x * pixel_stride + c * channel_stride``: interleaved pixels have the strides
    (width * 3, 3, 1), planes (width, 1, height * width). Strides in bytes; rows may be padded.
    The memory must stay as it is until the stream that reads it has passed: keep the object until then.
    """

    pointer: int
    """Device address of the first pixel's red."""
    height: int
    width: int
    """Of these pixels; 1 to 65535."""
    row_stride: int
    pixel_stride: int
    channel_stride: int
    full_height: int
    full_width: int
    """Of the upright picture; larger than ``height`` and ``width`` only if it was decoded at a smaller scale."""
    owner: object
    """What keeps the memory: as long as this lives, so does the memory."""


class _Table:
    """Frame descriptors of one launch, on the host and on the device."""

    def __init__(self, device: Device, memory: Memory) -> None:
        self.frames = device.pinned(memory.nbytes).view(FRAME)
        self.memory = memory
        self.used = device.event()
        self.busy = False


class CudaPreprocessor:
    """Writes a batch of pictures into the slots of a batch buffer in device memory.

    Any number of threads may share one, each with its own stream. A launch borrows one of a few tables of frame
    descriptors, in turn, and gives it back at once: where all are in use on the device, ``fill`` blocks until the
    oldest launch is done. So it cannot be captured in a graph, and needs none: it is one copy and one launch.

    Args:
        spec: the engine's input.
        device: activated in this thread, and in every one that calls ``fill``.
        max_batch: the most pictures a call.

    Raises:
        EngineError: no image of the kernel runs on this device.
        ConfigError: more patches in a batch than one launch takes.
    """

    def __init__(self, spec: Input, device: Device, max_batch: int) -> None:
        self._spec = spec
        self._device = device
        self._max_batch = max_batch
        self._parts = 1 if spec.patches is None else spec.patches.count
        if max_batch * self._parts > MAX_PARTS:
            raise ConfigError(
                f"--max-batch {max_batch}: the input {spec.name!r} shows {self._parts} parts of each frame, and a GPU "
                f"takes {MAX_PARTS} at once; choose at most {MAX_PARTS // self._parts}"
            )
        self._kernel = device.kernel(image_for(device.compute_capability), ENTRY)
        self._plan = lru_cache(maxsize=256)(self._new_plan)
        self._memories: list[Memory] = []
        self._tables: queue.SimpleQueue[_Table] = queue.SimpleQueue()
        try:
            for _ in range(TABLES):
                self._tables.put(_Table(device, self._memory(max_batch * self._parts * FRAME.itemsize)))
            self._levels = self._uploaded_levels()
        except BaseException:
            self.close()
            raise
        self._output = (
            np.int32(spec.height),
            np.int32(spec.width),
            np.int32(np.dtype(spec.dtype).itemsize),
            np.int32(spec.layout == "NCHW"),
            np.int32(spec.color == "BGR"),
            np.int32(spec.resize.pad_value),
        )

    def fill(self, pictures: Sequence[DevicePicture], target: int, stream: Stream, first: int = 0) -> None:
        """Queue the writing of sample ``first`` + i from picture i, for all of them.

        The pictures' memory must stay as it is until ``stream`` has passed.

        Args:
            pictures: what makes them must be queued in ``stream`` before, or waited for there.
            target: device address of the whole batch buffer, ``max_batch`` samples; a multiple of 16. Every element
                of the samples asked for is written, and nothing else.
            stream: where to.
            first: the first sample that is written: a batch may come in several calls.

        Raises:
            InferenceError: the device failed.
        """
        if not 0 <= first <= self._max_batch - len(pictures):
            raise ValueError(f"{len(pictures)} pictures from sample {first} on, in a batch of {self._max_batch}")
        if target % 16:
            raise ValueError(f"the target's address must be a multiple of 16, not {target:#x}")
        if not pictures:
            return
        # the largest first: their blocks take longest, and a large one that starts last runs alone
        plans = sorted(self.plans(pictures, first), key=lambda placed: -placed.plan.source_bytes)
        table = self._tables.get()
        try:
            if table.busy:
                table.used.synchronize()
            frames = table.frames[: len(plans) * self._parts]
            describe(frames, plans)
            self._device.upload(table.memory.pointer, frames, stream)
            self.launch(plans, table.memory.pointer, target, stream)
            table.used.record(stream)
            table.busy = True
        finally:
            self._tables.put(table)

    def close(self) -> None:
        """Give the device's memory back. No call may be under way, and no launch of one."""
        free_all(self._device, self._memories)

    def plans(self, pictures: Sequence[DevicePicture], first: int = 0) -> list[Placed]:
        """What is to be done for each picture; the layout of equal sizes is worked out once."""
        return [
            Placed(
                self._plan(
                    (picture.height, picture.width),
                    (picture.row_stride, picture.pixel_stride, picture.channel_stride),
                    (picture.full_height, picture.full_width),
                ),
                picture.pointer,
                first + place,
            )
            for place, picture in enumerate(pictures)
        ]

    def launch(self, plans: Sequence[Placed], frames: int, target: int, stream: Stream) -> None:
        """Queue the kernel alone: ``frames`` is the device address of what ``describe`` made of ``plans``."""
        self._kernel.launch(
            (max(placed.plan.tiles for placed in plans), len(plans) * self._parts, 1),
            (THREADS, 1, 1),
            (np.uint64(frames), np.uint64(target), np.uint64(self._levels), *self._output),
            stream,
            max(placed.plan.shared_bytes for placed in plans),
        )

    def _memory(self, nbytes: int) -> Memory:
        self._memories.append(self._device.memory(nbytes))
        return self._memories[-1]

    def _uploaded_levels(self) -> int:
        """The address of the table of what each level becomes; 0 where levels stay as they are."""
        levels = level_table(self._spec)
        if levels is None:
            return 0
        planes = np.ascontiguousarray(np.moveaxis(levels[0], -1, 0))
        pointer, stream = self._memory(planes.nbytes).pointer, self._device.stream()
        self._device.upload(pointer, planes, stream)
        stream.synchronize()
        return pointer

    def _new_plan(self, size: Size, strides: Strides, full: Size) -> Plan:
        return plan_picture(self._spec, size, strides, full)
