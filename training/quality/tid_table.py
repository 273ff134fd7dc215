"""``mos_with_names.txt`` of TID2008 and TID2013 (Ponomarenko et al.): what people thought of each picture."""

import re
from dataclasses import dataclass
from pathlib import Path

from runtime.errors import ConfigError

_LINE = re.compile(r"(\S+)\s+((i\d\d)_(\d\d)_(\d)\.\w+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Line:
    """One picture's: ``5.51429 I01_01_1.bmp``."""

    number: int
    """In the file, from 1."""
    mos: float
    """Mean opinion, 0 to 9 as published; the highest means are about 7."""
    name: str
    """The picture's, as it is written there: of either case."""
    content: str
    """``i01`` to ``i25``."""
    kind: int
    """Number of the distortion, from 1."""
    level: int
    """From 1."""


def read_table(path: Path) -> list[Line]:
    """All lines of the table, at least one.

    Raises:
        ConfigError: it cannot be read, or a line is none.
    """
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise ConfigError(f"{path} cannot be read as TID's mos_with_names.txt: {why}: give that file") from error
    lines = [_line(path, number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    if not lines:
        raise ConfigError(f"{path} has no line: take the whole file")
    return lines


def _line(path: Path, number: int, line: str) -> Line:
    found = _LINE.fullmatch(line.strip())
    if found is None:
        raise ConfigError(f"{path}, line {number}: {line[:60]!r} is not like '5.51429 I01_01_1.bmp'")
    mos, name, content, kind, level = found.groups()
    try:
        score = float(mos)
    except ValueError as error:
        raise ConfigError(f"{path}, line {number}: the score {mos!r} is not a number") from error
    return Line(number, score, name, content.lower(), int(kind), int(level))
