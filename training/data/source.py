"""An undamaged picture, and what is truly in it."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Box:
    """An object: its class, and its place in pixels of the upright picture as stored."""

    label: int
    """COCO's category, numbered 0..79 in the order of the official ids (which have gaps)."""
    left: float
    top: float
    right: float
    bottom: float


@dataclass(frozen=True, slots=True)
class Source:
    """A picture on disk. What is unknown is None; a picture that truly has no boxes has ``()``."""

    name: str
    """Path below the data set's folder, with ``/``: unique in it."""
    path: Path
    class_index: int | None = None
    """ImageNet-1k's class, 0..999 in the order of the sorted WordNet ids."""
    boxes: tuple[Box, ...] | None = None
