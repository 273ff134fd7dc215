"""``sources.jsonl``: the undamaged pictures of a set of labels, a line each."""

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from training.data.source import Box
from training.data.split import Split
from training.utility.header import Labels, changed

SOURCES = "sources.jsonl"


@dataclass(frozen=True, slots=True)
class LabelledSource:
    """An undamaged picture as it was labelled."""

    name: str
    """Path below the header's ``root``."""
    sha256: str
    """Of the file."""
    split: Split
    height: int
    width: int
    """In pixels, after shrinking to the header's ``side``."""
    class_index: int | None = None
    boxes: tuple[Box, ...] | None = None
    """In pixels of this height and width."""

    def line(self) -> bytes:
        """As ``sources.jsonl`` holds it."""
        return json.dumps(dataclasses.asdict(self), separators=(",", ":")).encode() + b"\n"

    @classmethod
    def of(cls, line: bytes) -> "LabelledSource":
        """From ``line``'s bytes."""
        fields = json.loads(line)
        if fields["boxes"] is not None:
            fields["boxes"] = tuple(Box(**box) for box in fields["boxes"])
        return cls(**fields)


def read_sources(folder: Path, labels: Labels) -> list[LabelledSource]:
    """The sources of the shards that ``labels`` lists; what an interrupted run wrote after them is not read.

    Raises:
        ConfigError: the file is missing, or another.
    """
    count = sum(shard.sources for shard in labels.shards)
    try:
        lines = (folder / SOURCES).read_bytes().splitlines(keepends=True)[:count]
    except FileNotFoundError:
        lines = []
    if hashlib.sha256(b"".join(lines)).hexdigest() != labels.sources_sha256:
        raise changed(folder / SOURCES)
    return [LabelledSource.of(line) for line in lines]
