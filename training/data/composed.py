"""Frames that ``build compose`` made: ``frames``, ``masks`` and ``sources.csv``, which knows the side of each."""

import csv
import io
from pathlib import Path

from runtime.errors import ConfigError
from training.data.mask import MaskedSource
from training.data.split import Split
from training.data.text import read_text

FILE = "sources.csv"
COLUMNS = ("frame", "mask", "split", "foreground_share", "subjects", "props", "scenery")
_SPLITS: dict[str, Split] = {"train": "train", "test": "test"}


def is_composed(root: Path) -> bool:
    """Whether the folder is of that layout."""
    try:
        with (root / FILE).open(encoding="utf-8") as file:
            return file.readline().strip() == ",".join(COLUMNS)
    except (OSError, UnicodeDecodeError):
        return False


def read_composed(root: Path) -> list[MaskedSource]:
    """The frames with their masks (kind ``grey``) and sides, sorted by name.

    Raises:
        ConfigError: the folder is of another layout, a row is none, or a file is missing.
    """
    if not is_composed(root):
        raise ConfigError(f"{root / FILE} is missing or another: give a folder that `build compose` wrote")
    sources = []
    for number, row in enumerate(csv.DictReader(io.StringIO(read_text(root / FILE))), start=2):
        split = _SPLITS.get(row["split"] or "")
        if split is None:
            raise ConfigError(f"{root / FILE}, row {number}: the split is {row['split']!r}, not train or test")
        sources.append(MaskedSource(row["frame"], root / row["frame"], root / row["mask"], split))
    missing = [str(path) for one in sources for path in (one.picture, one.mask) if path and not path.is_file()]
    if missing or not sources:
        raise ConfigError(
            f"{root}: {len(missing)} files that {FILE} lists are missing{', such as ' * bool(missing)}"
            f"{', '.join(missing[:3])}: compose the frames anew"
        )
    return sorted(sources, key=lambda one: one.name)
