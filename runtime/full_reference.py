"""Pictures held against their references by a full-reference engine, tile by tile.

A picture's score is made of those of the tiles that cover it (their mean, or as the head's ``pooling`` says), so that
it does not depend on what else is in a batch.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from runtime.engine import Engine
from runtime.errors import FrameError, Reason
from runtime.heads import FullReference, read_head
from runtime.manifest import Input, QualityFrHead
from runtime.preprocess import Preprocessor
from runtime.tiles import Size, tile_corners

Pixels = NDArray[np.uint8]
BEST = 5.0
T = TypeVar("T")


class PixelPair(NamedTuple):
    """A picture and what it is held against: uint8 (height, width, 3), RGB, upright."""

    frame: Pixels
    reference: Pixels


@dataclass(frozen=True, slots=True)
class Compared:
    """A picture's score beside its reference; its width and height in pixels."""

    width: int
    height: int
    result: FullReference


@dataclass(slots=True)
class _Work(Generic[T]):
    """A picture on its way: some of its tiles may wait for the batch to be full."""

    name: T
    size: Size
    fault: FrameError | None = None
    tiles: int = 0
    lacking: float = 0.0
    """Sum over the tiles of what they lack of the best score, to the power of the pooling."""
    waiting: int = 0

    def outcome(self, pooling: float) -> Compared | FrameError:
        if self.fault is not None:
            return self.fault
        lack = (self.lacking / self.tiles) ** (1 / pooling)
        return Compared(self.size[1], self.size[0], FullReference(BEST - lack))


class Comparer:
    """Feeds tiles of as many pictures as it takes to the engine, in full batches; memory is that of one batch.

    Args:
        engine: with a head ``quality_fr``.
        max_batch: tiles in a batch, at most.
    """

    def __init__(self, engine: Engine, max_batch: int) -> None:
        self._engine = engine
        [head] = engine.manifest.heads
        assert isinstance(head, QualityFrHead)  # the manifest is held to that
        self._head = head
        self._views = [(spec, Preprocessor(spec)) for spec in engine.manifest.inputs]
        self._buffers = {spec.name: view.batch(max_batch) for spec, view in self._views}
        self._max_batch = max_batch
        spec = engine.manifest.inputs[0]
        self.tile: Size = (spec.height, spec.width)

    def compare(self, items: Iterable[tuple[T, PixelPair | FrameError]]) -> Iterator[tuple[T, Compared | FrameError]]:
        """Each picture's score, in order.

        Args:
            items: what a picture is called by, and its pixels beside its reference's, which may be overwritten once
                the next item is asked for; or why there are none, which becomes its outcome.

        Raises:
            InferenceError: the device failed.
        """
        pictures: deque[_Work[T]] = deque()
        batch: list[_Work[T]] = []  # whose tile each of the buffers' slots holds
        for name, pair in items:
            work = self._begin(name, pair)
            pictures.append(work)
            if work.fault is None:
                assert not isinstance(pair, FrameError)
                self._add(work, pair, batch)
            if len(pictures) > self._max_batch:  # faults pile up behind a picture whose batch does not fill
                self._run(batch)
            yield from self._finished(pictures)
        self._run(batch)
        yield from self._finished(pictures)

    def _begin(self, name: T, pair: PixelPair | FrameError) -> _Work[T]:
        if isinstance(pair, FrameError):
            return _Work(name, (0, 0), pair)
        height, width = pair.frame.shape[:2]
        return _Work(name, (height, width), self._fault(pair))

    def _fault(self, pair: PixelPair) -> FrameError | None:
        (height, width), (own_height, own_width) = pair.frame.shape[:2], pair.reference.shape[:2]
        if (height, width) != (own_height, own_width):
            return FrameError(
                Reason.SIZE_MISMATCH,
                f"{width} x {height} pixels, and its reference {own_width} x {own_height}: they must be of one size",
            )
        if height < self.tile[0] or width < self.tile[1]:
            return FrameError(
                Reason.TOO_SMALL,
                f"{width} x {height} pixels; the engine compares tiles of {self.tile[1]} x {self.tile[0]}, and "
                "a picture that is enlarged would be another one",
            )
        return None

    def _add(self, work: _Work[T], pair: PixelPair, batch: list[_Work[T]]) -> None:
        for top, left in tile_corners(work.size, self.tile):
            for spec, view in self._views:
                slot = self._buffers[spec.name][len(batch)]
                view.fill(_shown(pair, spec)[top : top + spec.height, left : left + spec.width], slot)
            work.waiting += 1
            batch.append(work)
            if len(batch) == self._max_batch:
                self._run(batch)

    def _run(self, batch: list[_Work[T]]) -> None:
        """Judge what is in the buffers, and empty them."""
        if not batch:
            return
        outputs = self._engine.infer({name: buffer[: len(batch)] for name, buffer in self._buffers.items()})
        for work, row in zip(batch, outputs[self._head.output], strict=True):
            work.waiting -= 1
            work.tiles += 1
            try:
                work.lacking += max(0.0, BEST - read_head(self._head, row).value) ** self._head.pooling
            except FrameError as error:
                work.fault = work.fault or error
        batch.clear()

    def _finished(self, pictures: deque[_Work[T]]) -> Iterator[tuple[T, Compared | FrameError]]:
        while pictures and not pictures[0].waiting:
            work = pictures.popleft()
            yield work.name, work.outcome(self._head.pooling)


def _shown(pair: PixelPair, spec: Input) -> Pixels:
    return pair.frame if spec.of == "frame" else pair.reference
