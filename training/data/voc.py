"""PASCAL VOC's pictures with their segmentation by class; any class is foreground."""

from pathlib import Path

from runtime.errors import ConfigError
from training.data.mask import MaskedSource
from training.data.text import read_lines

PICTURES, MASKS, LISTS = "JPEGImages", "SegmentationClass", "ImageSets/Segmentation"
_LISTED = 3


def is_voc(root: Path) -> bool:
    """Whether the folder is of that layout."""
    return (root / MASKS).is_dir() and (root / PICTURES).is_dir()


def read_voc(root: Path, subset: str = "trainval") -> list[MaskedSource]:
    """The pictures of one of its lists, sorted by name, with their masks (kind ``palette``).

    Args:
        root: such as ``VOCdevkit/VOC2012``.
        subset: a list in ``ImageSets/Segmentation``: train, val or trainval.

    Raises:
        ConfigError: the folder is of another layout, or a picture or mask of the list is missing.
    """
    if not is_voc(root):
        raise ConfigError(f"{root} is not PASCAL VOC's: {PICTURES} and {MASKS} are looked for, as in VOCdevkit/VOC2012")
    path = root / LISTS / f"{subset}.txt"
    if not path.is_file():
        known = ", ".join(sorted(one.stem for one in path.parent.glob("*.txt"))) or "none"
        raise ConfigError(f"{path} is not there; the lists are: {known}")
    stems = sorted(set(read_lines(path)))
    sources = [_source(root, stem) for stem in stems]
    missing = [
        str(file) for one in sources for file in (one.picture, one.mask) if file is not None and not file.is_file()
    ]
    if missing:
        raise ConfigError(
            f"{len(missing)} pictures and masks that {path} lists are missing, such as {', '.join(missing[:_LISTED])}"
        )
    return sources


def _source(root: Path, stem: str) -> MaskedSource:
    name = f"{PICTURES}/{stem}.jpg"
    return MaskedSource(name, root / name, root / MASKS / f"{stem}.png")
