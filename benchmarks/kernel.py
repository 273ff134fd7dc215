"""``python -m benchmarks kernel``: the preprocessing kernel's bytes a second, beside a copy on the same GPU.

The kernel must read every byte of the pictures once and write every byte of the input once; a copy of n bytes reads
n and writes n. The best a kernel can do is what a copy does with as many bytes in all. Times are the GPU's own, of
many launches in a row (in one CUDA graph where the device has graphs: a launch from Python may take longer than the
kernel). Every launch takes other memory than the one before, so that no cache answers. Answers are compared with the
CPU's, bit by bit, before anything is timed.
"""

import argparse
import ctypes
import itertools
import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from benchmarks.report import print_table, write_json
from runtime.cuda.plan import FRAME, Placed, describe
from runtime.device import Device, Memory, Stream
from runtime.errors import ConfigError, InferenceError
from runtime.manifest import Input
from runtime.open_device import DRIVER, open_device
from runtime.preprocess import Preprocessor
from runtime.preprocess_cuda import CudaPreprocessor, DevicePicture

Pixels = NDArray[np.uint8]
SIZES = {"480p": (480, 640), "720p": (720, 1280), "1080p": (1080, 1920), "4K": (2160, 3840)}
MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
KINDS = {"uint8 NHWC": ("uint8", "NHWC"), "float16 NCHW": ("float16", "NCHW"), "float32 NCHW": ("float32", "NCHW")}
LAUNCHES = 20
"""In a row; an event's own time is lost among them."""
FRESH_BYTES = 600_000_000
"""Of pictures, before one comes again: many times a GPU's cache."""
GOAL = 0.8


def main(argv: list[str] | None = None) -> int:
    """Measure, compare the answers, print, and write JSON where asked.

    Returns:
        0; 2 where there is no GPU to measure. A wrong answer raises.
    """
    arguments = _parser().parse_args(argv)
    try:
        device = open_device()
    except ConfigError as error:
        print(error)
        return error.exit_code
    bench = Bench(device, DriverTimer(device), batch=arguments.batch, size=arguments.size, rounds=arguments.rounds)
    results = {
        f"{pictures}, {kind}": bench.measure(sizes, kind)
        for pictures, sizes in _batches(arguments.batch).items()
        for kind in KINDS
    }
    columns = ["pictures, input", "µs a launch", "GB/s", "copy GB/s", "share", "host µs a call"]
    print_table(f"batch {arguments.batch} to {arguments.size} x {arguments.size} on {device.name}", columns, [
        [name, row["us"], row["gb_per_s"], row["copy_gb_per_s"], row["share"], row["host_us"]]
        for name, row in results.items()
    ])  # fmt: skip
    least = min(results, key=lambda name: results[name]["share"])
    print(f"least share of a copy's bandwidth: {results[least]['share']:.2f} ({least}); the goal is {GOAL}")
    about = {"gpu": device.name, "compute_capability": device.compute_capability, "graphs": device.graphs}
    write_json(arguments.json, {**about, "batch": arguments.batch, "size": arguments.size, "results": results})
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks kernel", description=__doc__.partition(": ")[2])
    parser.add_argument("--batch", type=int, default=32, help="pictures a launch (default: %(default)s)")
    parser.add_argument("--size", type=int, default=224, help="the input's sides in pixels (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=15, help="rounds to take the median of (default: %(default)s)")
    parser.add_argument("--json", type=Path, help="also write the results there")
    return parser


def _batches(batch: int) -> dict[str, list[tuple[int, int]]]:
    mixed = [size for size, _ in zip(itertools.cycle(SIZES.values()), range(batch), strict=False)]
    return {**{name: [size] * batch for name, size in SIZES.items()}, "mixed": mixed}


@dataclass
class Batch:
    """Pictures in device memory, their descriptors, and where their samples go."""

    pictures: list[DevicePicture]
    plans: list[Placed]
    frames: Memory
    target: Memory
    keep: list[Memory]

    def free(self) -> None:
        """Give all of it back."""
        for memory in (self.frames, self.target, *self.keep):
            memory.free()


class Bench:
    """One device, and what is run there."""

    def __init__(
        self,
        device: Device,
        timer: "Timer",
        *,
        batch: int = 32,
        size: int = 224,
        rounds: int = 15,
        fresh_bytes: int = FRESH_BYTES,
    ) -> None:
        self._device = device
        self._batch = batch
        self._size = size
        self._rounds = rounds
        self._stream = device.stream()
        self._timer = timer
        self._fresh_bytes = fresh_bytes

    def measure(self, sizes: Sequence[tuple[int, int]], kind: str) -> dict[str, float]:
        """Median over the rounds; kernel and copy take turns.

        Raises:
            AssertionError: an answer is not the CPU's.
        """
        spec = self._input(kind)
        preprocessor = CudaPreprocessor(spec, self._device, self._batch)
        pixels = [_pixels(*size, seed) for seed, size in enumerate(sizes)]
        read = sum(height * width * 3 for height, width in sizes)
        written = len(sizes) * math.prod(spec.shape) * np.dtype(spec.dtype).itemsize
        count = max(2, math.ceil(self._fresh_bytes / read))
        batches = [self._upload(pixels, preprocessor, written) for _ in range(count)]
        self._check(preprocessor, batches[0], pixels, spec)
        host_us = self._host_us(preprocessor, batches)
        kernel = self._repeated(lambda i: self._launch(preprocessor, batches[i % count]))
        half = (read + written) // 32 * 16
        sources, targets = self._device.memory(half * count), self._device.memory(half * count)
        copy = self._repeated(
            lambda i: self._timer.copy(
                targets.pointer + i % count * half, sources.pointer + i % count * half, half, self._stream
            )
        )
        laps = [(self._timer.seconds(kernel, self._stream), self._timer.seconds(copy, self._stream))
                for _ in range(self._rounds + 1)][1:]  # fmt: skip
        sources.free()
        targets.free()
        for batch in batches:
            batch.free()
        rates = [((read + written) * LAUNCHES / a / 1e9, 2 * half * LAUNCHES / b / 1e9) for a, b in laps]
        return {
            "us": statistics.median(a for a, _ in laps) / LAUNCHES * 1e6,
            "gb_per_s": statistics.median(a for a, _ in rates),
            "copy_gb_per_s": statistics.median(b for _, b in rates),
            "share": statistics.median(a / b for a, b in rates),
            "host_us": host_us,
            "bytes": read + written,
        }

    def _input(self, kind: str) -> Input:
        dtype, layout = KINDS[kind]
        scale: dict[str, Any] = {} if dtype == "uint8" else {"mean": MEAN, "std": STD}
        fields = {"name": "image", "dtype": dtype, "layout": layout, "height": self._size, "width": self._size}
        return Input.model_validate(fields | scale)

    def _upload(self, pixels: Sequence[Pixels], preprocessor: CudaPreprocessor, written: int) -> Batch:
        keep = [self._device.memory(each.nbytes) for each in pixels]
        for memory, each in zip(keep, pixels, strict=True):
            self._device.upload(memory.pointer, each, self._stream)
        pictures = [_interleaved(memory, each) for memory, each in zip(keep, pixels, strict=True)]
        plans = sorted(preprocessor.plans(pictures), key=lambda placed: -placed.plan.source_bytes)
        described = np.empty(len(plans), FRAME)
        describe(described, plans)
        frames, target = self._device.memory(described.nbytes), self._device.memory(written)
        self._device.upload(frames.pointer, described, self._stream)
        self._stream.synchronize()
        return Batch(pictures, plans, frames, target, keep)

    def _launch(self, preprocessor: CudaPreprocessor, batch: Batch) -> None:
        preprocessor.launch(batch.plans, batch.frames.pointer, batch.target.pointer, self._stream)

    def _check(self, preprocessor: CudaPreprocessor, batch: Batch, pixels: Sequence[Pixels], spec: Input) -> None:
        self._launch(preprocessor, batch)
        cpu = Preprocessor(spec)
        found, wanted = cpu.batch(len(pixels)), cpu.batch(len(pixels))
        self._device.download(found, batch.target.pointer, self._stream)
        self._stream.synchronize()
        for each, slot in zip(pixels, wanted, strict=True):
            cpu.fill(each, slot)
        np.testing.assert_array_equal(wanted, found)

    def _host_us(self, preprocessor: CudaPreprocessor, batches: Sequence[Batch]) -> float:
        """What a whole ``fill`` costs its caller."""
        laps = []
        for batch in [*batches, *batches]:
            start = time.perf_counter()
            preprocessor.fill(batch.pictures, batch.target.pointer, self._stream)
            laps.append((time.perf_counter() - start) * 1e6)
            self._stream.synchronize()
        return statistics.median(laps)

    def _repeated(self, work: Callable[[int], None]) -> Callable[[], None]:
        """The work, ``LAUNCHES`` times in a row."""

        def run() -> None:
            for i in range(LAUNCHES):
                work(i)

        if not self._device.graphs:
            return run
        graph = self._device.capture(self._stream, run)
        return lambda: graph.launch(self._stream)


class Timer(Protocol):
    """The device's clock and its copies, which serving has no need of."""

    def copy(self, target: int, source: int, nbytes: int, stream: Stream) -> None:
        """Queue a copy within the device."""
        ...

    def seconds(self, work: Callable[[], None], stream: Stream) -> float:
        """How long the device takes for what ``work`` queues."""
        ...


class DriverTimer:
    """Through the driver itself, in the primary context that ``device`` made current."""

    def __init__(self, device: Device) -> None:
        device.activate()
        self._cuda = ctypes.CDLL(DRIVER)
        self._events = [ctypes.c_void_p(), ctypes.c_void_p()]
        for event in self._events:
            self._require(self._cuda.cuEventCreate(ctypes.byref(event), 0))

    def copy(self, target: int, source: int, nbytes: int, stream: Stream) -> None:
        """See ``Timer``."""
        numbers = ctypes.c_uint64(target), ctypes.c_uint64(source), ctypes.c_size_t(nbytes)
        self._require(self._cuda.cuMemcpyDtoDAsync_v2(*numbers, ctypes.c_void_p(stream.handle)))

    def seconds(self, work: Callable[[], None], stream: Stream) -> float:
        """See ``Timer``."""
        start, end = self._events
        self._require(self._cuda.cuEventRecord(start, ctypes.c_void_p(stream.handle)))
        work()
        self._require(self._cuda.cuEventRecord(end, ctypes.c_void_p(stream.handle)))
        self._require(self._cuda.cuEventSynchronize(end))
        milliseconds = ctypes.c_float()
        self._require(self._cuda.cuEventElapsedTime(ctypes.byref(milliseconds), start, end))
        return milliseconds.value / 1000

    def _require(self, status: int) -> None:
        if status:
            raise InferenceError(f"the CUDA driver answers {status}")


def _interleaved(memory: Memory, pixels: Pixels) -> DevicePicture:
    height, width = pixels.shape[:2]
    return DevicePicture(memory.pointer, height, width, 3 * width, 3, 1, height, width, memory)


def _pixels(height: int, width: int, seed: int) -> Pixels:
    """Noise over a gradient: every byte matters to some sample."""
    random = np.random.default_rng(seed)
    noise = random.integers(0, 64, (height, width, 3), np.uint8)
    return noise + np.linspace(0, 191, width).astype(np.uint8)[None, :, None]
