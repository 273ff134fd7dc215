"""ImageNet's pictures with their classes, in the layouts they come in.

The devkit's ground truth counts in ``ILSVRC2012_ID`` (1..1000, the order of its ``meta.mat``), networks count in the
order of the sorted WordNet ids (0..999). ``imagenet_classes.txt`` holds both, so ``meta.mat`` is not needed.
"""

import os
import re
from pathlib import Path

from runtime.errors import ConfigError
from training.data.imagenet_classes import CLASSES, index_of_challenge_id, index_of_wnid
from training.data.picture import find_pictures
from training.data.source import Source
from training.data.text import read_lines

_NUMBERED = re.compile(r"ILSVRC2012_val_(\d{8})")
_LISTED = re.compile(r"(?P<file>.*?[^\s,;])(?:\s*[,;]\s*|\s+)(?P<class>[^\s,;]+)")


def read_imagenet(root: Path, ground_truth: Path | None = None) -> list[Source]:
    """The pictures with their classes, sorted by name.

    Args:
        root: the folder of the pictures.
        ground_truth: one of

            - None: each picture lies in a folder named by its class's WordNet id;
            - the devkit's ``ILSVRC2012_validation_ground_truth.txt``: line k holds the ``ILSVRC2012_ID`` of
              ``ILSVRC2012_val_k.JPEG``; pictures of the set that are not there are not missed;
            - a list, ``FILE CLASS`` or ``FILE, CLASS`` a line: the file relative to ``root`` or to the list's own
              folder, the class an index, 0..999, or a WordNet id; every file must be there.

    Raises:
        ConfigError: the layout is none of these, a listed picture is missing, a class is none of the thousand.
    """
    if ground_truth is None:
        sources = [Source(_name(path, root), path, _folder_class(path, root)) for path in find_pictures(root)]
    else:
        lines = read_lines(ground_truth)
        devkit = all(line.isdecimal() for line in lines)
        sources = _numbered(root, ground_truth, lines) if devkit else _listed(root, ground_truth, lines)
    return sorted(sources, key=lambda source: source.name)


def _name(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()


def _folder_class(path: Path, root: Path) -> int:
    index = index_of_wnid(path.parent.name) if path.parent != root else None
    if index is None:
        raise ConfigError(
            f"{path} is in no folder that is named by one of ImageNet's {CLASSES} WordNet ids (n01440764, ...): "
            "move it into one, or give the ground truth: the devkit's, or a list of files and classes"
        )
    return index


def _numbered(root: Path, ground_truth: Path, lines: list[str]) -> list[Source]:
    return [Source(_name(path, root), path, _numbered_class(path, ground_truth, lines)) for path in find_pictures(root)]


def _numbered_class(path: Path, ground_truth: Path, lines: list[str]) -> int:
    match = _NUMBERED.fullmatch(path.stem)
    number = int(match[1]) if match else 0
    if not 1 <= number <= len(lines):
        raise ConfigError(
            f"{path} is not one of the {len(lines)} pictures that {ground_truth} tells the classes of "
            "(ILSVRC2012_val_00000001.JPEG, ...): take it out, or give a list of files and classes"
        )
    index = index_of_challenge_id(int(lines[number - 1]))
    if index is None:
        raise ConfigError(f"{ground_truth}, line {number}: {lines[number - 1]}; an ILSVRC2012_ID lies in 1..{CLASSES}")
    return index


def _listed(root: Path, ground_truth: Path, lines: list[str]) -> list[Source]:
    root, sources, missing = Path(os.path.abspath(root)), dict[str, Source](), list[str]()
    for number, line in enumerate(lines, 1):
        entry = _LISTED.fullmatch(line)
        if entry is None:
            raise ConfigError(f"{ground_truth}, line {number}: {line!r} is not a file and its class")
        index = _listed_class(entry["class"], f"{ground_truth}, line {number}")
        path = _listed_path(root, ground_truth, entry["file"])
        if path is None:
            missing.append(entry["file"])
            continue
        source = Source(_name(path, root), path, index)
        if sources.setdefault(source.name, source) != source:
            raise ConfigError(f"{ground_truth}, line {number}: {source.name} stands there twice, with two classes")
    if missing:
        first = ", ".join(missing[:3])
        raise ConfigError(
            f"{len(missing)} of the files that {ground_truth} lists are not below {root}, such as {first}"
        )
    return list(sources.values())


def _listed_class(text: str, place: str) -> int:
    index = int(text) if text.isdecimal() else index_of_wnid(text)
    if index is None or index >= CLASSES:
        raise ConfigError(
            f"{place}: the class is {text}; it must be an index, 0..{CLASSES - 1}, or one of ImageNet's WordNet ids. "
            f"A list that counts from 1 (or has a background class 0) must be brought to 0..{CLASSES - 1} first"
        )
    return index


def _listed_path(root: Path, ground_truth: Path, file: str) -> Path | None:
    places = (Path(os.path.abspath(folder / file)) for folder in (root, ground_truth.parent))
    return next((path for path in places if path.is_relative_to(root) and path.is_file()), None)
