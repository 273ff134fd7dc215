"""The labelling run: read each picture, damage it, ask every network, write shards; resumable.

A run that was killed goes on after its last finished shard, and ends with the same bytes as one that was not.
"""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from training.data.source import Source
from training.lock import only_writer
from training.utility.balance import balance
from training.utility.frames import Frames, make_frames, plan_seed
from training.utility.header import Labels, LeftOut
from training.utility.journal import Journal
from training.utility.run import SOURCES_PER_SHARD, Run
from training.utility.sources import LabelledSource


def label(folder: Path, run: Run) -> Labels:
    """Label all pictures into a folder, or what is left of them.

    Raises:
        ConfigError: the folder holds labels of another header, or a changed file, or another run writes there.
    """
    with only_writer(folder):
        journal = Journal(folder, run.header)
        if journal.labels.complete:
            return journal.labels
        _label_pictures(journal, run)
        if run.header.balance is not None:
            balance(journal, run)
        journal.finish()
        return journal.labels


def _label_pictures(journal: Journal, run: Run) -> None:
    run.watcher.begin("labelling", len(run.pictures), journal.pictures)
    left = run.pictures[journal.pictures :]
    made = run.prepare(lambda picture: _made(picture, run), left)
    seen = {source.sha256: source.name for source in journal.sources}
    for _ in range(0, len(left), SOURCES_PER_SHARD):
        shard = _Shard(len(journal.sources), seen, run)
        recorded = run.ask(shard.frames(islice(made, SOURCES_PER_SHARD)))
        journal.add(recorded, shard.sources, shard.left_out)


def _made(picture: Source, run: Run) -> Frames | LeftOut:
    return make_frames(picture, run.header, lambda sha256: run.plan.damages(plan_seed(run.header, sha256)))


class _Shard:
    """Sorts what is made of pictures into sources and what is left out."""

    def __init__(self, first: int, seen: dict[str, str], run: Run) -> None:
        self._first = first
        self._seen = seen
        self._run = run
        self.sources: list[LabelledSource] = []
        self.left_out: list[LeftOut] = []

    def frames(self, made: Iterator[Frames | LeftOut]) -> Iterator[tuple[int, Frames]]:
        """Those that can be shown, each with its place in the set."""
        for one in made:
            fault = one if isinstance(one, LeftOut) else self._repeated(one.source)
            if fault is not None:
                self.left_out.append(fault)
                self._run.watcher.left_out(fault)
            elif isinstance(one, Frames):
                self._seen[one.source.sha256] = one.source.name
                self.sources.append(one.source)
                yield self._first + len(self.sources) - 1, one

    def _repeated(self, source: LabelledSource) -> LeftOut | None:
        first = self._seen.get(source.sha256)
        return None if first is None else LeftOut(name=source.name, why=f"the same file as {first}")
