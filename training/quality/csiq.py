"""CSIQ (Larson and Chandler, 2010): 30 references, 866 distorted pictures, differences of opinion from 0 to 1."""

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from openpyxl import load_workbook
from openpyxl.utils.exceptions import InvalidFileException

from runtime.errors import ConfigError
from training.quality.rated import Rated, RatedSet
from training.quality.tables import digest_of

TABLE, SHEET = "csiq.DMOS.xlsx", "all_by_image"
COLUMNS = ("image", "dst_idx", "dst_type", "dst_lev", "dmos_std", "dmos")
FILES = {
    "noise": ("awgn", "AWGN"),
    "blur": ("blur", "BLUR"),
    "contrast": ("contrast", "contrast"),
    "fnoise": ("fnoise", "fnoise"),
    "jpeg": ("jpeg", "JPEG"),
    "jpeg 2000": ("jpeg2000", "jpeg2000"),
}
"""By the table's name of a distortion: the folder, and the word in the files' names."""
SCALE = (0.0, 1.0)


def is_csiq(root: Path) -> bool:
    """Whether its table is there."""
    return (root / TABLE).is_file()


def read_csiq(root: Path) -> RatedSet:
    """Read the set's folder: pictures without a row in the table have no score, and are left out.

    Raises:
        ConfigError: the table is missing, cannot be read, or is not this set's.
    """
    pictures = tuple(_rated(root, line, row) for line, row in _rows(root / TABLE))
    return RatedSet("CSIQ", pictures, SCALE, lower_better=True, digest=digest_of(root / TABLE))


def _rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        book = load_workbook(path, data_only=True)
    except (OSError, InvalidFileException, zipfile.BadZipFile, KeyError) as error:
        raise ConfigError(f"{path} cannot be read as an Excel file: {error}") from error
    if SHEET not in book.sheetnames:
        raise ConfigError(f"{path} has no sheet {SHEET}; it has {', '.join(book.sheetnames)}")
    places: dict[str, int] | None = None
    for line, values in enumerate(book[SHEET].iter_rows(values_only=True), 1):
        cells = [(value.strip() or None) if isinstance(value, str) else value for value in values]
        if places is None:
            places = {name: cells.index(name) for name in COLUMNS} if set(COLUMNS) <= set(cells) else None
            continue
        row = {name: cells[place] for name, place in places.items()}
        if row["image"] is not None:
            yield line, row
    if places is None:
        raise ConfigError(f"{path}, sheet {SHEET}: no row names the columns {', '.join(COLUMNS)}")


def _rated(root: Path, line: int, row: dict[str, Any]) -> Rated:
    kind, level = row["dst_type"], row["dst_lev"]
    if kind not in FILES:
        raise ConfigError(f"{root / TABLE}, row {line}: {kind!r} is none of {', '.join(FILES)}")
    try:
        image = str(row["image"] if isinstance(row["image"], str) else int(row["image"]))  # 1600 is a number
        mos, deviation, level = float(row["dmos"]), float(row["dmos_std"]), int(level)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{root / TABLE}, row {line}: {error}") from error
    folder, word = FILES[kind]
    name = f"dst_imgs/{folder}/{image}.{word}.{level}.png"
    return Rated(
        name, root / name, root / "src_imgs" / f"{image}.png", image, mos, deviation, kind=kind, level=float(level)
    )
