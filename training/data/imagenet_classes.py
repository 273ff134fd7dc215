"""ImageNet-1k's classes: their index, their WordNet id, their number in the challenge, their names."""

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

CLASSES = 1000

_WNID = re.compile(r"n\d{8}")


@dataclass(frozen=True, slots=True)
class ImagenetClass:
    """A row of ``imagenet_classes.txt``, which is sorted by ``wnid``: its place there is the class's index, 0..999."""

    wnid: str
    challenge_id: int
    """``ILSVRC2012_ID``, 1..1000: what the devkit's ground truth counts in; another order than the index."""
    names: tuple[str, ...]


@cache
def imagenet_classes() -> tuple[ImagenetClass, ...]:
    """The thousand, by index."""
    rows = Path(__file__).with_suffix(".txt").read_text("utf-8").splitlines()
    fields = (row.split(" ", 2) for row in rows)
    return tuple(ImagenetClass(wnid, int(number), tuple(names.split(", "))) for wnid, number, names in fields)


def is_wnid(text: str) -> bool:
    """Whether the text is a WordNet id, of whatever class."""
    return _WNID.fullmatch(text) is not None


def index_of_wnid(wnid: str) -> int | None:
    """The class's index; None where WordNet's id is none of the thousand."""
    return _indices_by_wnid().get(wnid)


def index_of_challenge_id(challenge_id: int) -> int | None:
    """The class's index; None outside 1..1000."""
    return _indices_by_challenge_id().get(challenge_id)


def index_of_name(name: str) -> int | None:
    """The class's index by one of its names, in any case, with any marks between the words.

    A class's first name goes before another's further ones: ``missile`` is not the class ``projectile, missile``.
    None if it is no name, or the name of two classes with equal right (``crane``).
    """
    first, further = _indices_by_name()
    found = first.get(_words(name)) or further.get(_words(name)) or []
    return found[0] if len(found) == 1 else None


def _words(name: str) -> str:
    return re.sub(r"[\W_]+", " ", name).strip().casefold()


@cache
def _indices_by_wnid() -> dict[str, int]:
    return {known.wnid: index for index, known in enumerate(imagenet_classes())}


@cache
def _indices_by_challenge_id() -> dict[int, int]:
    return {known.challenge_id: index for index, known in enumerate(imagenet_classes())}


@cache
def _indices_by_name() -> tuple[dict[str, list[int]], dict[str, list[int]]]:
    """By the classes' first names, and by their further ones."""
    first: dict[str, list[int]] = {}
    further: dict[str, list[int]] = {}
    for index, known in enumerate(imagenet_classes()):
        first.setdefault(_words(known.names[0]), []).append(index)
        for words in {_words(name) for name in known.names[1:]}:
            further.setdefault(words, []).append(index)
    return first, further
