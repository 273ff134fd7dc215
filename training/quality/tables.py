"""Tables that published sets come with: CSV and MATLAB files, read so that a fault names its place."""

import csv
import hashlib
import io
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scipy.io import loadmat
from scipy.io.matlab import MatReadError

from runtime.errors import ConfigError

Row = Mapping[str, str]
_BROKEN = (MatReadError, OSError, EOFError, ValueError, TypeError, LookupError, zlib.error)
"""What scipy raises of a MATLAB file that is none, or is cut short."""


def read_csv(path: Path, columns: Sequence[str]) -> list[tuple[int, Row]]:
    """Rows with their line numbers.

    Raises:
        ConfigError: the file cannot be read, lacks columns, or has no row.
    """
    try:
        reader = csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig")))
        missing = [name for name in columns if name not in (reader.fieldnames or ())]
        if missing:
            raise ConfigError(f"{path} lacks the columns {', '.join(missing)}; it has {reader.fieldnames}")
        rows: list[tuple[int, Row]] = [(reader.line_num, row) for row in reader]
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error
    if not rows:
        raise ConfigError(f"{path} has no row: take the whole file")
    return rows


def number(path: Path, line: int, row: Row, name: str) -> float:
    """A finite number of a row.

    Raises:
        ConfigError: it is none; the text names its place.
    """
    try:
        value = float(row[name])
    except (TypeError, ValueError):
        value = float("nan")
    if not abs(value) < float("inf"):
        raise ConfigError(f"{path}, line {line}: {name} {row[name]!r} is not a number")
    return value


def read_mat(path: Path, names: Sequence[str]) -> list[Any]:
    """Variables of a MATLAB file, each without its axes of length 1.

    Raises:
        ConfigError: the file cannot be read, or lacks a variable.
    """
    try:
        content = loadmat(str(path), squeeze_me=True)
    except FileNotFoundError as error:
        raise ConfigError(f"{path} is not there: give the folder that holds it") from error
    except NotImplementedError as error:
        raise ConfigError(f"{path} is of MATLAB 7.3: save it with '-v7'") from error
    except _BROKEN as error:
        raise ConfigError(f"{path} cannot be read as a MATLAB file: {error}") from error
    missing = [name for name in names if name not in content]
    if missing:
        known = ", ".join(name for name in content if not name.startswith("__"))
        raise ConfigError(f"{path} has no variable {', '.join(missing)}; it has {known}")
    return [content[name] for name in names]


def digest_of(*paths: Path) -> str:
    """``sha256:`` of the files' content."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.read_bytes())
    return f"sha256:{digest.hexdigest()}"
