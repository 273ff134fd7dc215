"""A folder of labels while it is written: what is finished stays, whenever the run is killed."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from runtime.errors import ConfigError
from training.commit import current_commit
from training.files import write_whole
from training.utility.header import FILE, Header, Labels, LeftOut, differences, read_labels, write_labels
from training.utility.shard import Recorded, read_shard, write_shard
from training.utility.sources import SOURCES, LabelledSource, read_sources


class Journal:
    """Shards, one after the other. A shard is finished once ``labels.json`` lists it.

    Raises:
        ConfigError: the folder holds labels of another header (the text names each difference), or a file in it was
            changed.
    """

    def __init__(self, folder: Path, header: Header) -> None:
        self.folder = folder
        self.labels = self._resumed(header) if (folder / FILE).exists() else self._begun(header)
        self.sources = read_sources(folder, self.labels)
        lines = b"".join(source.line() for source in self.sources)
        self._hash = hashlib.sha256(lines)
        if not self.labels.complete:
            write_whole(folder / SOURCES, lines)  # without what a killed run added after its last shard

    def _begun(self, header: Header) -> Labels:
        labels = Labels(
            **dict(header),
            complete=False,
            commits=_commits(()),
            sources_sha256=hashlib.sha256().hexdigest(),
            shards=(),
        )
        write_whole(self.folder / SOURCES, b"")
        write_labels(self.folder, labels)
        return labels

    def _resumed(self, header: Header) -> Labels:
        labels = read_labels(self.folder)
        differing = differences(header, labels.header)
        if differing:
            raise ConfigError(
                f"{self.folder} holds labels that were made otherwise: {'; '.join(differing)}. "
                "Give what they were made with, to go on, or another --output"
            )
        return labels if labels.complete else labels.model_copy(update={"commits": _commits(labels.commits)})

    def read(self, shard: int) -> Recorded:
        """A finished shard; ConfigError where it was changed."""
        return read_shard(self.folder, self.labels.shards[shard], self.labels)

    @property
    def pictures(self) -> int:
        """How many of the data set's pictures are done with: labelled, or left out."""
        return len(self.sources) + len(self.labels.left_out)

    def add(
        self, recorded: Recorded | None, sources: Sequence[LabelledSource] = (), left_out: Sequence[LeftOut] = ()
    ) -> None:
        """Finish a shard: its samples (None: no shard), the sources that came with it, what was left out beside."""
        count = len(self.labels.shards)
        shards = () if recorded is None else (write_shard(self.folder, count, *recorded, len(sources)),)
        lines = b"".join(source.line() for source in sources)
        with (self.folder / SOURCES).open("ab") as file:
            file.write(lines)
        self._hash.update(lines)
        self.sources += sources
        self._write(
            shards=(*self.labels.shards, *shards),
            left_out=(*self.labels.left_out, *left_out),
            sources_sha256=self._hash.hexdigest(),
        )

    def finish(self) -> None:
        """Say that the run came to its end."""
        self._write(complete=True)

    def _write(self, **changes: object) -> None:
        self.labels = self.labels.model_copy(update=changes)
        write_labels(self.folder, self.labels)


def _commits(known: tuple[str, ...]) -> tuple[str, ...]:
    commit = current_commit()
    return known if commit is None or commit in known else (*known, commit)
