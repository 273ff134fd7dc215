"""What people thought of each kind and strength of distortion in TID2013: a table without pictures."""

import re
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from runtime.errors import ConfigError

BEST = 7.0
"""About the highest mean score of TID2013, whose scale is said to be 0 to 9 (Ponomarenko et al., 2015)."""

_LINE = re.compile(r"(?P<mos>\d+(?:\.\d+)?)\s+(?P<content>i\d\d)_(?P<number>\d\d)_(?P<level>\d)\.\w+", re.IGNORECASE)


@dataclass(frozen=True)
class Opinions:
    """Mean scores over contents, from 0 to about ``BEST``, by number of the kind (1 to 24) and level (1 to 5)."""

    mos: dict[tuple[int, int], float]
    contents: tuple[str, ...]
    """Whose scores went in, such as ``i04``."""
    left_out: tuple[str, ...]


def read_opinions(path: Path, without: Collection[str] = ()) -> Opinions:
    """Read TID2013's ``mos_with_names.txt``: lines such as ``5.51429 I01_01_1.bmp``.

    Args:
        path: the file.
        without: contents whose scores are not looked at, so that an engine may be tested on them.

    Raises:
        ConfigError: the file cannot be read, a line is another, a content that is left out is not there, or a kind
            lacks levels.
    """
    scores: dict[tuple[int, int], list[float]] = defaultdict(list)
    left_out = {name.lower() for name in without}
    contents: set[str] = set()
    for content, number, level, mos in _lines(path):
        contents.add(content)
        if content not in left_out:
            scores[number, level].append(mos)
    if unknown := left_out - contents:
        raise ConfigError(f"{path} has no scores of {', '.join(sorted(unknown))}; it has {', '.join(sorted(contents))}")
    missing = [f"{number:02}_{level}" for number in range(1, 25) for level in range(1, 6) if not scores[number, level]]
    if missing:
        raise ConfigError(
            f"{path} lacks scores of {len(missing)} kinds and levels, such as {missing[0]}: take the whole file"
        )
    means = {place: sum(each) / len(each) for place, each in scores.items()}
    return Opinions(means, tuple(sorted(contents - left_out)), tuple(sorted(left_out)))


def _lines(path: Path) -> list[tuple[str, int, int, float]]:
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read as TID2013's mos_with_names.txt: {error}") from error
    read = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        found = _LINE.fullmatch(line.strip())
        if found is None:
            raise ConfigError(f"{path}, line {number}: {line[:60]!r} is not like '5.51429 I01_01_1.bmp'")
        read.append((found["content"].lower(), int(found["number"]), int(found["level"]), float(found["mos"])))
    return read
