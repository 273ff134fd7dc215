"""Salient-object sets as they are published: pictures and grey masks of the same names."""

import re
from collections.abc import Iterable
from pathlib import Path

from runtime.errors import ConfigError
from training.data.mask import MaskedSource
from training.data.picture import ENDINGS
from training.data.split import Split

_PICTURES = re.compile(r"(.*[-_])?(image|img|picture)s?", re.IGNORECASE)
_MASKS = re.compile(r"(.*[-_])?(masks?|gts?|ground[-_]?truth([-_]?masks?)?)", re.IGNORECASE)
_SIDES: tuple[tuple[re.Pattern[str], Split], ...] = (
    (re.compile(r".*[-_]TR|train", re.IGNORECASE), "train"),
    (re.compile(r".*[-_]TE|test", re.IGNORECASE), "test"),
)
_LISTED = 3


def read_salient(root: Path) -> list[MaskedSource]:
    """The pictures of a set with their masks, sorted by name.

    Pictures and masks lie in two folders (``DUTS-TR-Image`` and ``DUTS-TR-Mask``, ``images`` and
    ``ground_truth_mask``, ``Imgs`` and ``GT``, ``Image`` and ``Mask``), or all in one, the pictures as JPEG and the
    masks as PNG. A folder above several such sets is read, too, if their names tell the side of each: ``DUTS-TR`` is
    learnt from, ``DUTS-TE`` is for the test.

    Raises:
        ConfigError: no such folder or no such layout, a picture without a mask or the other way round, or two of one
            name.
    """
    if not root.is_dir():
        raise ConfigError(f"{root} is not a folder: give the folder of a salient-object set")
    if is_pair(root):
        return _read_set(root, root, None)
    parts = [folder for folder in _folders(root) if is_pair(folder)]
    if not parts:
        raise ConfigError(
            f"{root} is no salient-object set: two folders are looked for, such as DUTS-TR-Image and DUTS-TR-Mask, "
            "images and ground_truth_mask, Imgs and GT, or JPEG pictures beside PNG masks of the same names"
        )
    sources = [one for part in parts for one in _read_set(root, part, _side_of(root, part))]
    return sorted(sources, key=lambda one: one.name)


def is_pair(folder: Path) -> bool:
    """Whether pictures and masks lie in this folder, as far as names tell."""
    return all(_pair(folder)) or bool(_beside(folder))


def has_parts(folder: Path) -> bool:
    """Whether there is a folder of pictures or one of masks, by its name, in this one or one below."""
    return any(any(_pair(one)) for one in (folder, *_folders(folder)))


def _read_set(root: Path, folder: Path, split: Split | None) -> list[MaskedSource]:
    pictures, masks = (_only(folder, found) for found in _pair(folder))
    if pictures is not None and masks is not None:
        pairs = _matched(_by_stem(_files(pictures)), _by_stem(_files(masks)), folder)
    else:
        files = _files(folder)
        pairs = _matched(
            _by_stem(file for file in files if file.suffix.lower() != ".png"),
            _by_stem(file for file in files if file.suffix.lower() == ".png"),
            folder,
        )
    return [MaskedSource(one.relative_to(root).as_posix(), one, mask, split) for one, mask in pairs]


def _matched(pictures: dict[str, Path], masks: dict[str, Path], folder: Path) -> list[tuple[Path, Path]]:
    for what, lacking in (
        ("pictures without a mask", sorted(set(pictures) - set(masks))),
        ("masks without a picture", sorted(set(masks) - set(pictures))),
    ):
        if lacking:
            raise ConfigError(
                f"{folder} has {len(lacking)} {what} of the same name, such as {', '.join(lacking[:_LISTED])}: "
                "complete the set, or take them out"
            )
    return [(pictures[stem], masks[stem]) for stem in sorted(pictures)]


def _by_stem(files: Iterable[Path]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for file in files:
        other = found.setdefault(file.stem, file)
        if other is not file:
            raise ConfigError(f"{other} and {file} have one name: it cannot be told which belongs to the other file")
    return found


def _pair(folder: Path) -> tuple[list[Path], list[Path]]:
    below = _folders(folder)
    masks = [one for one in below if _MASKS.fullmatch(one.name)]
    return [one for one in below if _PICTURES.fullmatch(one.name) and one not in masks], masks


def _only(folder: Path, found: list[Path]) -> Path | None:
    if len(found) > 1:
        names = ", ".join(one.name for one in found)
        raise ConfigError(f"{folder} has the folders {names}: it cannot be told which one is meant")
    return found[0] if found else None


def _beside(folder: Path) -> set[str]:
    """Stems that a picture and a PNG have in common."""
    files = _files(folder)
    masks = {file.stem for file in files if file.suffix.lower() == ".png"}
    return masks & {file.stem for file in files if file.suffix.lower() != ".png"}


def _side_of(root: Path, part: Path) -> Split:
    side = next((side for pattern, side in _SIDES if pattern.fullmatch(part.name)), None)
    if side is None:
        raise ConfigError(
            f"{root} holds several sets or one of unknown side, {part.name}: give {part}, and --train or --test for "
            "the side it is to lie on"
        )
    return side


def _folders(folder: Path) -> list[Path]:
    return sorted(one for one in folder.iterdir() if one.is_dir() and not one.name.startswith("."))


def _files(folder: Path) -> list[Path]:
    return sorted(
        one
        for one in folder.iterdir()
        if one.suffix.lower() in ENDINGS and not one.name.startswith(".") and one.is_file()
    )
