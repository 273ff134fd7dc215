"""Pictures through the pipeline in batches, as they come, in order: what ``assess`` does instead of Kafka."""

import itertools
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from typing import TypeVar

from runtime.foreign import readable
from runtime.pipeline import Outcome, Pipeline

MAX_BATCH = 16
T = TypeVar("T")


def judge_all(pictures: Iterable[tuple[T, bytes]], pipeline: Pipeline) -> Iterator[tuple[T, bytes, Outcome]]:
    """Each picture with its bytes and its outcome, in order, while the next batch is judged already.

    Args:
        pictures: encoded, each with what it is called by; read only as far as two batches ahead.
        pipeline: of ``max_batch`` at least ``MAX_BATCH``.
    """
    waiting = None
    pictures = iter(pictures)
    while batch := list(itertools.islice(pictures, MAX_BATCH)):
        submitted = (batch, pipeline.submit([value for _, value in batch]))
        if waiting:
            yield from _outcomes(*waiting)
        waiting = submitted
    if waiting:
        yield from _outcomes(*waiting)


def judge_files(
    files: Iterable[tuple[T, bytes]], pipeline: Pipeline, max_pixels: int
) -> Iterator[tuple[T, bytes, Outcome]]:
    """As ``judge_all``, of files, which may be WebP and BMP, too: their bytes come back as a PNG's.

    Args:
        files: their bytes, each with what it is called by.
        pipeline: as of ``judge_all``.
        max_pixels: the largest picture that is decoded.
    """
    read = ((name, readable(value, max_pixels)) for name, value in files)
    pictures = (((name, one.fault), one.value) for name, one in read)
    for (name, fault), value, outcome in judge_all(pictures, pipeline):
        yield name, value, fault or outcome


def _outcomes(batch: list[tuple[T, bytes]], judged: "Future[list[Outcome]]") -> Iterator[tuple[T, bytes, Outcome]]:
    for (name, value), outcome in zip(batch, judged.result(), strict=True):
        yield name, value, outcome
