"""Engines that judge a picture by itself, and one that holds it against its reference: their judgements in one."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from runtime.aspect import Aspect
from runtime.cover import require_saliency
from runtime.engine import Engine, Provider, open_engine, peek_manifest, warm_up, within_memory
from runtime.errors import ConfigError, FrameError
from runtime.full_reference import Compared, Comparer, PixelPair
from runtime.judging import MAX_BATCH, judge_all
from runtime.manifest import compares
from runtime.pipeline import Judgement, Outcome, Pipeline, open_pipeline
from runtime.policy import Policy, policy_for

T = TypeVar("T")


class Comparison:
    """Judges pictures beside their references.

    Args:
        comparing: the engine that compares.
        alone: the others, in a pipeline; None: there are none.
        policy: what is kept, by all their scores.
        stack: what is closed with it.
    """

    def __init__(self, comparing: Engine, alone: Pipeline | None, policy: Policy, stack: ExitStack) -> None:
        self.engines = [*(alone.engines if alone else []), comparing]
        self.policy = policy
        self._alone = alone
        self._comparer = Comparer(comparing, MAX_BATCH)
        self.tile = self._comparer.tile
        """Height and width in pixels; smaller pictures cannot be compared."""
        self._stack = stack

    @property
    def needs_values(self) -> bool:
        """Whether an engine judges the encoded picture; else ``judge`` looks at the pixels alone."""
        return self._alone is not None

    def judge(
        self, pictures: Iterable[tuple[T, bytes]], pixels: Callable[[T, bytes], PixelPair | FrameError]
    ) -> Iterator[tuple[T, bytes, Outcome]]:
        """Each picture with its bytes and its outcome, in order.

        Args:
            pictures: encoded, each with what it is called by.
            pixels: of a picture and its reference, or why there are none; asked for one by one, in order.

        Raises:
            InferenceError: the device failed.
        """
        alone: Iterable[tuple[T, bytes, Outcome | None]]
        if self._alone is None:
            alone = ((name, value, None) for name, value in pictures)
        else:
            alone = judge_all(pictures, self._alone)
        items = (((name, value, outcome), pixels(name, value)) for name, value, outcome in alone)
        for (name, value, outcome), compared in self._comparer.compare(items):
            yield name, value, self._joined(outcome, compared)

    def close(self) -> None:
        """Give the engines and threads back."""
        self._stack.close()

    def _joined(self, alone: Outcome | None, compared: Compared | FrameError) -> Outcome:
        if isinstance(compared, FrameError):
            return compared
        if isinstance(alone, FrameError):
            return alone
        judgement = alone or Judgement(compared.width, compared.height, {}, [])
        results = {**judgement.results, "quality_fr": compared.result}
        return replace(judgement, results=results, reasons=self.policy.reasons(results, judgement.cover))


def open_comparison(
    paths: Sequence[Path],
    *,
    provider: Provider,
    threads: int,
    max_pixels: int,
    asked: Policy | None = None,
    aspect: Aspect | None = None,
) -> Comparison:
    """Open and warm up the engine that compares, and those beside it.

    Raises:
        EngineError: an engine cannot be opened or does not fit its manifest.
        ConfigError: none of the engines compares, or several do; else as ``open_pipeline``.
        InferenceError: the device cannot run an engine.
    """
    own = [path for path in paths if compares(peek_manifest(path).heads)]
    if len(own) != 1:
        given = ", ".join(map(str, own or paths))
        raise ConfigError(
            f"--engine {given}: --reference needs one engine that compares pictures with references (head "
            f"'quality_fr'), and {'none of them does' if not own else 'these are several'}"
        )
    others = [path for path in paths if path not in own]
    with ExitStack() as opened:
        alone = None
        if others:
            alone = open_pipeline(
                others,
                provider=provider,
                threads=threads,
                max_batch=MAX_BATCH,
                in_flight=2,
                max_pixels=max_pixels,
                aspect=aspect,
            )
            opened.callback(alone.close)
        workers = ThreadPoolExecutor(threads, thread_name_prefix="framegate-comparer")
        opened.callback(workers.shutdown)
        with within_memory(own[0], MAX_BATCH, 1):
            engine = open_engine(
                own[0], provider=provider, workers=workers, threads=threads, max_batch=MAX_BATCH, in_flight=1
            )
            opened.callback(engine.close)
            warm_up(engine, MAX_BATCH)
        manifests = [each.manifest for each in [*(alone.engines if alone else []), engine]]
        if aspect is not None:
            require_saliency(manifests, f"the aspect {aspect} of covers")
        policy = policy_for(manifests, asked)
        return Comparison(engine, alone, policy, opened.pop_all())
