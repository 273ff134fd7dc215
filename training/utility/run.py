"""What a labelling run needs to know, and the asking that its phases share."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from training.damage.plan import Plan
from training.data.source import Source
from training.feeder import made_ahead
from training.networks.network import Network
from training.utility.frames import Frames
from training.utility.header import Header, LeftOut
from training.utility.recorder import record
from training.utility.shard import Recorded, join

SOURCES_PER_SHARD = 64
PICTURES_PER_CALL = 64
"""That a network is asked about at once, at least: sources are gathered until there are as many."""

Item = TypeVar("Item")
Made = TypeVar("Made")


class Watcher(Protocol):
    """Who follows a run."""

    def begin(self, phase: str, total: int, done: int) -> None:
        """A phase of ``total`` pictures begins, ``done`` of which are finished already."""

    def advance(self) -> None:
        """One more picture is done."""

    def left_out(self, picture: LeftOut) -> None:
        """A picture cannot be labelled."""


@dataclass(frozen=True)
class Run:
    """What is labelled, and with what."""

    header: Header
    pictures: Sequence[Source]
    plan: Plan
    networks: Sequence[Network]
    """In the header's order."""
    watcher: Watcher
    workers: int = 1
    """Threads that read and damage pictures."""

    def prepare(self, make: Callable[[Item], Made], items: Iterable[Item]) -> Iterator[Made]:
        """``make`` of each, in order, by the workers; but a few ahead of what is taken, for pictures are large."""
        return made_ahead(make, items, workers=self.workers, ahead=self.workers)

    def ask(self, frames: Iterable[tuple[int, Frames]], *, extra: bool = False) -> Recorded | None:
        """What all networks say of sources, each with its place in the set; None where there are no sources."""
        parts: list[Recorded] = []
        gathered: list[tuple[int, Frames]] = []
        for one in frames:
            gathered.append(one)
            if sum(len(shown.pictures) for _, shown in gathered) >= PICTURES_PER_CALL:
                parts.append(self._record(gathered, extra=extra))
                gathered = []
        if gathered:
            parts.append(self._record(gathered, extra=extra))
        return join(parts) if parts else None

    def _record(self, gathered: list[tuple[int, Frames]], *, extra: bool) -> Recorded:
        places, frames = [place for place, _ in gathered], [shown for _, shown in gathered]
        recorded = record(frames, places, self.networks, self.header, extra=extra)
        for _ in gathered:
            self.watcher.advance()
        return recorded
