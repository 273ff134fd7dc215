"""A plain folder of pictures, with classes in the names where there are any."""

import re
from pathlib import Path

from training.data.imagenet_classes import CLASSES, index_of_name, index_of_wnid, is_wnid
from training.data.picture import find_pictures
from training.data.source import Source

_WNID_FIRST = re.compile(r"(n\d{8})[-_].*", re.DOTALL)


def read_folder(root: Path) -> list[Source]:
    """Every picture below the folder, sorted by name, each with its class where the names tell it.

    The class is that of the folder the picture lies in (``root`` itself apart), else that of the file's name up to
    an underscore (``0000_tench.jpg``, ``n01440764_18.JPEG``, ``great_white_shark_3.png``: the longest name counts).
    A class is written as its index, 0..999, as its WordNet id, or as one of its English names. Anything else
    gives None: also WordNet ids that are none of ImageNet-1k's, and names that two classes have (``crane``).

    Raises:
        ConfigError: no such folder, or no picture in it.
    """
    return [Source(path.relative_to(root).as_posix(), path, _class_of(path, root)) for path in find_pictures(root)]


def _class_of(path: Path, root: Path) -> int | None:
    index = None if path.parent == root else _folder_class(path.parent.name)
    return _prefix_class(path.stem) if index is None else index


def _folder_class(name: str) -> int | None:
    with_words = _WNID_FIRST.fullmatch(name)
    return _written_class(with_words[1] if with_words else name)


def _prefix_class(stem: str) -> int | None:
    words = stem.split("_")
    if is_wnid(words[0]):
        return index_of_wnid(words[0]) if len(words) > 1 else None
    prefixes = ("_".join(words[:count]) for count in range(len(words) - 1, 0, -1))
    return next((index for index in map(_written_class, prefixes) if index is not None), None)


def _written_class(text: str) -> int | None:
    if text.isdecimal():
        return int(text) if int(text) < CLASSES else None
    return index_of_wnid(text) if is_wnid(text) else index_of_name(text)
