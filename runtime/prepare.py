"""A batch's way on the host: decoded and preprocessed in worker threads, then shown to every engine."""

import queue
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from numpy.typing import NDArray

from runtime import metrics
from runtime.decode import Decoder
from runtime.engine import Engine
from runtime.errors import FrameError
from runtime.preprocess import Preprocessor, common_least

Decode = Literal["cpu", "gpu"]
"""Where JPEGs are decoded."""
Value = bytes | None
Size = tuple[int, int]
Buffers = list[dict[str, NDArray[Any]]]


@dataclass(frozen=True, slots=True)
class Seen:
    """What became of a batch on its way through the engines."""

    sizes: list[Size | FrameError]
    """Per value: width and height of the full upright picture in pixels, or why the engines never saw it."""
    outputs: list[dict[str, NDArray[Any]]]
    """Per engine its outputs; their rows are the values that have a size, in order. Empty where none has."""


class Way(Protocol):
    """From encoded pictures to the engines' outputs. Any number of threads may call it."""

    def run(self, values: Sequence[Value]) -> Seen:
        """Take at most ``max_batch`` values through.

        Raises:
            InferenceError: the device failed.
        """
        ...

    def close(self) -> None:
        """Give back what is its own; the engines are not."""
        ...


class HostWay:
    """Decode and preprocess in worker threads, then ``Engine.infer``.

    Buffers are made once: memory does not depend on how much waits.

    Args:
        engines: each sees every frame.
        workers: the threads that decode and preprocess.
        threads: how many there are.
        max_batch: the most values in a batch.
        in_flight: batches at the same time; one more waits for a buffer.
        max_pixels: the largest picture that is decoded.
    """

    def __init__(
        self,
        engines: Sequence[Engine],
        *,
        workers: ThreadPoolExecutor,
        threads: int,
        max_batch: int,
        in_flight: int,
        max_pixels: int,
    ) -> None:
        self._engines = engines
        self._decoder = Decoder(max_pixels)
        self._preprocessors = [{spec.name: Preprocessor(spec) for spec in engine.manifest.inputs} for engine in engines]
        self._least = common_least([one for each in self._preprocessors for one in each.values()])
        self._workers = workers
        self._threads = threads
        self._buffers: queue.SimpleQueue[Buffers] = queue.SimpleQueue()
        for _ in range(in_flight):
            self._buffers.put(self._new_buffers(max_batch))

    def run(self, values: Sequence[Value]) -> Seen:
        """See ``Way``."""
        buffers = self._buffers.get()
        try:
            sizes = self._prepare(values, buffers)
            good = [index for index, size in enumerate(sizes) if not isinstance(size, FrameError)]
            return Seen(sizes, self._infer(buffers, good, len(values)) if good else [])
        finally:
            self._buffers.put(buffers)

    def close(self) -> None:
        """See ``Way``: the host's memory goes with this object."""

    def _new_buffers(self, max_batch: int) -> Buffers:
        return [{name: one.batch(max_batch) for name, one in each.items()} for each in self._preprocessors]

    def _prepare(self, values: Sequence[Value], buffers: Buffers) -> list[Size | FrameError]:
        """Fill slot i of every buffer with frame i, in as many threads as there are."""
        prepared: list[Any] = [None] * len(values)
        indices = iter(range(len(values)))  # shared: each thread takes the next frame when it is free
        if len(values) == 1:  # changing threads would cost it more than it gains
            self._prepare_some(indices, values, buffers, prepared)
            return prepared
        tasks = [
            self._workers.submit(self._prepare_some, indices, values, buffers, prepared)
            for _ in range(min(self._threads, len(values)))
        ]
        for task in tasks:
            task.result()
        return prepared

    def _prepare_some(
        self,
        indices: Iterator[int],
        values: Sequence[Value],
        buffers: Buffers,
        prepared: list[Size | FrameError],
    ) -> None:
        for index in indices:
            try:
                prepared[index] = self._prepare_one(values[index], buffers, index)
            except FrameError as error:
                prepared[index] = error

    def _prepare_one(self, value: Value, buffers: Buffers, index: int) -> Size:
        began = time.perf_counter()
        picture = self._decoder.decode(value, self._least)
        decoded, full = time.perf_counter(), (picture.height, picture.width)
        for each, arrays in zip(self._preprocessors, buffers, strict=True):
            for name, preprocessor in each.items():
                preprocessor.fill(picture.pixels, arrays[name][index], full)
        metrics.DECODED.labels("cpu").inc()
        metrics.STAGE.labels("decode").observe(decoded - began)
        metrics.STAGE.labels("preprocess").observe(time.perf_counter() - decoded)
        return picture.width, picture.height

    def _infer(self, buffers: Buffers, good: list[int], size: int) -> list[dict[str, NDArray[Any]]]:
        rows: Any = slice(size) if len(good) == size else good  # a gap is closed by a copy: it is rare
        with metrics.STAGE.labels("infer").time():
            return [
                engine.infer({name: array[rows] for name, array in arrays.items()})
                for engine, arrays in zip(self._engines, buffers, strict=True)
            ]
