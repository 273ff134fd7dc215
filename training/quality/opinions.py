"""What people thought of each kind and strength of distortion in TID2013: a table without pictures."""

import math
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from runtime.errors import ConfigError
from training.quality.tables import digest_of
from training.quality.tid_table import read_table

BEST = 7.0
"""About the highest mean score of TID2013, whose scale is said to be 0 to 9 (Ponomarenko et al., 2015)."""


@dataclass(frozen=True)
class Opinions:
    """Mean scores over contents, from 0 to about ``BEST``, by number of the kind (1 to 24) and level (1 to 5)."""

    mos: dict[tuple[int, int], float]
    contents: tuple[str, ...]
    """Whose scores went in, such as ``i04``."""
    left_out: tuple[str, ...]
    digest: str
    """``sha256:`` of the table, which is TID2013's own."""


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
    for line in read_table(path):
        if not math.isfinite(line.mos):
            raise ConfigError(f"{path}, line {line.number}: the score {line.mos} is not a number")
        contents.add(line.content)
        if line.content not in left_out:
            scores[line.kind, line.level].append(line.mos)
    if unknown := left_out - contents:
        raise ConfigError(f"{path} has no scores of {', '.join(sorted(unknown))}; it has {', '.join(sorted(contents))}")
    missing = [f"{number:02}_{level}" for number in range(1, 25) for level in range(1, 6) if not scores[number, level]]
    if missing:
        raise ConfigError(
            f"{path} lacks scores of {len(missing)} kinds and levels, such as {missing[0]}: take the whole file"
        )
    means = {place: sum(each) / len(each) for place, each in scores.items()}
    return Opinions(means, tuple(sorted(contents - left_out)), tuple(sorted(left_out)), digest_of(path))
