"""Encoded pictures in, judgements out, with several batches in hand at once."""

import itertools
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from runtime.aspect import WIDE, Aspect
from runtime.cover import Cover, Covers, require_saliency
from runtime.engine import Engine, Provider, open_engine, require_distinct_heads, warm_up, within_memory
from runtime.errors import EngineError, FrameError
from runtime.heads import Result, read_head
from runtime.manifest import compares
from runtime.policy import Policy, policy_for
from runtime.prepare import Decode, HostWay, Size, Value, Way


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the engines say of one frame, and what follows. Sizes in pixels, of the full upright picture."""

    width: int
    height: int
    results: dict[str, Result]
    reasons: list[str]
    cover: Cover | None = None
    """None where no engine has a head for it."""

    @property
    def verdict(self) -> str:
        """``keep`` or ``drop``."""
        return "drop" if self.reasons else "keep"


Outcome = Judgement | FrameError


class Pipeline:
    """Takes batches their way through the engines, reads the heads, applies the policy.

    Every frame gets exactly one outcome, at its own place, whatever happens to its neighbours.

    Args:
        engines: opened; each sees every frame.
        policy: what is kept.
        way: through those engines.
        workers: the way's threads, to be stopped with it.
        in_flight: batches judged at the same time; 2 keep the cores busy at a batch's end.
        aspect: of the crops of covers.
    """

    def __init__(
        self,
        engines: list[Engine],
        policy: Policy,
        way: Way,
        *,
        workers: ThreadPoolExecutor,
        in_flight: int,
        aspect: Aspect = WIDE,
    ) -> None:
        self.engines = engines
        self.policy = policy
        self._covers = Covers([engine.manifest for engine in engines], aspect)
        self._way = way
        self._workers = workers
        self._batches = ThreadPoolExecutor(in_flight, thread_name_prefix="framegate-batch")

    def submit(self, values: Sequence[Value]) -> "Future[list[Outcome]]":
        """Judge at most ``max_batch`` encoded pictures in the background."""
        return self._batches.submit(self.judge, values)

    def judge(self, values: Sequence[Value]) -> list[Outcome]:
        """Judge at most ``max_batch`` encoded pictures; outcome i belongs to value i.

        Raises:
            InferenceError: the device failed.
        """
        seen = self._way.run(values)
        rows = itertools.count()
        return [
            size if isinstance(size, FrameError) else self._judgement(size, seen.outputs, next(rows))
            for size in seen.sizes
        ]

    def close(self) -> None:
        """Finish the batches in hand and give the engines and threads back."""
        self._batches.shutdown()
        self._workers.shutdown()
        self._way.close()
        for engine in self.engines:
            engine.close()

    def _judgement(self, size: Size, outputs: Sequence[dict[str, NDArray[Any]]], row: int) -> Outcome:
        try:
            results: dict[str, Result] = {
                head.kind: read_head(head, output[head.output][row])
                for engine, output in zip(self.engines, outputs, strict=True)
                for head in engine.manifest.heads
            }
        except FrameError as error:
            return error
        cover = self._covers.of(results, size)
        return Judgement(*size, results, self.policy.reasons(results, cover), cover)


def open_pipeline(
    paths: Sequence[Path],
    *,
    provider: Provider,
    threads: int,
    max_batch: int,
    in_flight: int,
    max_pixels: int,
    decode: Decode = "cpu",
    asked: Policy | None = None,
    aspect: Aspect | None = None,
) -> Pipeline:
    """Open and warm up the engines, and the pipeline around them.

    Raises:
        EngineError: an engine cannot be opened, does not fit its manifest, or compares pictures with references.
        ConfigError: two engines have the same head, a threshold or ``aspect`` belongs to none, or ``decode`` is
            ``gpu`` and an engine is not there, or nothing decodes there.
        InferenceError: the device cannot run an engine.
    """
    with ExitStack() as opened:  # what is there is given back where a later part fails
        workers = ThreadPoolExecutor(threads, thread_name_prefix="framegate-worker")
        opened.callback(workers.shutdown)
        engines: list[Engine] = []
        for path in paths:
            engine = open_engine(
                path, provider=provider, workers=workers, threads=threads, max_batch=max_batch, in_flight=in_flight
            )
            opened.callback(engine.close)
            _require_alone(path, engine)
            engines.append(engine)
        require_distinct_heads(zip(paths, engines, strict=True))
        manifests = [engine.manifest for engine in engines]
        policy = policy_for(manifests, asked)
        if aspect is not None:
            require_saliency(manifests, f"the aspect {aspect} of covers")
        way: Way
        if decode == "gpu":
            from runtime.prepare_cuda import open_device_way  # noqa: PLC0415 - imported when it is needed

            with within_memory(paths[0], max_batch, in_flight):
                way = open_device_way(
                    paths, engines, workers=workers, threads=threads, max_batch=max_batch, max_pixels=max_pixels
                )
        else:
            way = HostWay(
                engines,
                workers=workers,
                threads=threads,
                max_batch=max_batch,
                in_flight=in_flight,
                max_pixels=max_pixels,
            )
        opened.callback(way.close)
        for path, engine in zip(paths, engines, strict=True):
            with within_memory(path, max_batch, in_flight):
                warm_up(engine, max_batch)
        opened.pop_all()
        return Pipeline(engines, policy, way, workers=workers, in_flight=in_flight, aspect=aspect or WIDE)


def _require_alone(path: Path, engine: Engine) -> None:
    if compares(engine.manifest.heads):
        raise EngineError(
            f"--engine {path}: it compares pictures with references (head 'quality_fr'), and here they come alone: "
            "python -m runtime.assess --reference PATH gives it both; without, an engine that judges a picture by "
            "itself is due"
        )
