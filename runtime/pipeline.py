"""Encoded pictures in, judgements out, with several batches in hand at once."""

import queue
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime import metrics
from runtime.decode import Decoder
from runtime.engine import Engine, Provider, open_engine, require_distinct_heads, warm_up
from runtime.errors import FrameError
from runtime.heads import Result, read_head
from runtime.policy import Policy, policy_for
from runtime.preprocess import Preprocessor

Value = bytes | None


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the engines say of one frame, and what follows. Sizes in pixels, of the full upright picture."""

    width: int
    height: int
    results: dict[str, Result]
    reasons: list[str]

    @property
    def verdict(self) -> str:
        """``keep`` or ``drop``."""
        return "drop" if self.reasons else "keep"


Outcome = Judgement | FrameError
Size = tuple[int, int]
Buffers = list[dict[str, NDArray[Any]]]


class Pipeline:
    """Decode and preprocess in worker threads, infer a whole batch, read the heads, apply the policy.

    Every frame gets exactly one outcome, at its own place, whatever happens to its neighbours. Buffers are
    made once: memory does not depend on how much waits.

    Args:
        engines: opened; each sees every frame.
        policy: what is kept.
        workers: the threads that decode and preprocess (the engines may use them too).
        threads: how many there are.
        max_batch: the most frames in a batch.
        in_flight: batches judged at the same time; 2 keep the cores busy at a batch's end.
        max_pixels: the largest picture that is decoded.
    """

    def __init__(
        self,
        engines: Sequence[Engine],
        policy: Policy,
        *,
        workers: ThreadPoolExecutor,
        threads: int,
        max_batch: int,
        in_flight: int,
        max_pixels: int,
    ) -> None:
        self.engines = list(engines)
        self.policy = policy
        self._decoder = Decoder(max_pixels)
        self._preprocessors = [{spec.name: Preprocessor(spec) for spec in engine.manifest.inputs} for engine in engines]
        self._least = _common_least([one for each in self._preprocessors for one in each.values()])
        self._workers = workers
        self._threads = threads
        self._batches = ThreadPoolExecutor(in_flight, thread_name_prefix="framegate-batch")
        self._buffers: queue.SimpleQueue[Buffers] = queue.SimpleQueue()
        for _ in range(in_flight):
            self._buffers.put(self._new_buffers(max_batch))

    def submit(self, values: Sequence[Value]) -> "Future[list[Outcome]]":
        """Judge at most ``max_batch`` encoded pictures in the background."""
        return self._batches.submit(self.judge, values)

    def judge(self, values: Sequence[Value]) -> list[Outcome]:
        """Judge at most ``max_batch`` encoded pictures; outcome i belongs to value i.

        Raises:
            InferenceError: the device failed.
        """
        buffers = self._buffers.get()
        try:
            prepared = self._prepare(values, buffers)
            good = [index for index, size in enumerate(prepared) if not isinstance(size, FrameError)]
            results = self._infer(buffers, good, len(values)) if good else {}
            return [self._outcome(size, results.get(index)) for index, size in enumerate(prepared)]
        finally:
            self._buffers.put(buffers)

    def close(self) -> None:
        """Finish the batches in hand and give the engines and threads back."""
        self._batches.shutdown()
        self._workers.shutdown()
        for engine in self.engines:
            engine.close()

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
        decoded = time.perf_counter()
        for each, arrays in zip(self._preprocessors, buffers, strict=True):
            for name, preprocessor in each.items():
                preprocessor.fill(picture.pixels, arrays[name][index])
        metrics.STAGE.labels("decode").observe(decoded - began)
        metrics.STAGE.labels("preprocess").observe(time.perf_counter() - decoded)
        return picture.width, picture.height

    def _infer(self, buffers: Buffers, good: list[int], size: int) -> dict[int, dict[str, Result] | FrameError]:
        """Each good frame's results, by its place in the batch."""
        rows: Any = slice(size) if len(good) == size else good  # a gap is closed by a copy: it is rare
        results: dict[int, dict[str, Result] | FrameError] = {index: {} for index in good}
        with metrics.STAGE.labels("infer").time():
            outputs = [
                engine.infer({name: array[rows] for name, array in arrays.items()})
                for engine, arrays in zip(self.engines, buffers, strict=True)
            ]
        for engine, output in zip(self.engines, outputs, strict=True):
            for row, index in enumerate(good):
                results[index] = _read_heads(engine, output, row, results[index])
        return results

    def _outcome(self, size: Size | FrameError, results: "dict[str, Result] | FrameError | None") -> Outcome:
        if isinstance(size, FrameError):
            return size
        if isinstance(results, FrameError):
            return results
        assert results is not None
        return Judgement(*size, results, self.policy.reasons(results))


def open_pipeline(
    paths: Sequence[Path],
    *,
    provider: Provider,
    threads: int,
    max_batch: int,
    in_flight: int,
    max_pixels: int,
    min_utility: float | None = None,
    min_mos: float | None = None,
) -> Pipeline:
    """Open and warm up the engines, and the pipeline around them.

    Raises:
        EngineError: an engine cannot be opened or does not fit its manifest.
        ConfigError: two engines have the same head, or a threshold belongs to none.
        InferenceError: the device cannot run an engine.
    """
    workers = ThreadPoolExecutor(threads, thread_name_prefix="framegate-worker")
    engines = [open_engine(path, provider=provider, workers=workers, threads=threads) for path in paths]
    require_distinct_heads(zip(paths, engines, strict=True))
    policy = policy_for([engine.manifest for engine in engines], min_utility, min_mos)
    for engine in engines:
        warm_up(engine, max_batch)
    return Pipeline(
        engines,
        policy,
        workers=workers,
        threads=threads,
        max_batch=max_batch,
        in_flight=in_flight,
        max_pixels=max_pixels,
    )


def _read_heads(
    engine: Engine, output: dict[str, NDArray[Any]], row: int, results: dict[str, Result] | FrameError
) -> dict[str, Result] | FrameError:
    if isinstance(results, FrameError):
        return results
    try:
        for head in engine.manifest.heads:
            results[head.kind] = read_head(head, output[head.output][row])
    except FrameError as error:
        return error
    return results


def _common_least(preprocessors: Sequence[Preprocessor]) -> Size | None:
    """The smallest decoded size that serves every input; None where one of them wants the full picture."""
    leasts = [preprocessor.least for preprocessor in preprocessors]
    if any(least is None for least in leasts):
        return None
    return (
        int(np.max([least[0] for least in leasts if least])),
        int(np.max([least[1] for least in leasts if least])),
    )
