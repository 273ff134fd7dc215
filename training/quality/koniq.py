"""KonIQ-10k (Hosu et al., 2020): 10,073 photographs as they are on the web, with the shares of the votes 1 to 5.

Two tables are in use, with one column of two meanings: in ``koniq10k_distributions_sets.csv`` MOS is on 0..100
(z-scores), in ``koniq10k_scores_and_distributions.csv`` it is on 1..5, beside a ``MOS_zscore``, which is what is read
then: the scores are the same by either table.
"""

from collections.abc import Mapping
from pathlib import Path

from runtime.errors import ConfigError
from training.quality.rated import Distribution, Rated, RatedSet, Side
from training.quality.tables import digest_of, number, read_csv

TABLES = ("koniq10k_distributions_sets.csv", "koniq10k_scores_and_distributions.csv")
FOLDERS = ("1024x768", "512x384")
Z_SCORE = "MOS_zscore"
OPINION_SCALE, Z_SCALE = (1.0, 5.0), (0.0, 100.0)
MOST_OFF = 0.02
"""How far from 1 the shares of a row may sum, by the rounding of tables."""
_SIDES: dict[str, Side] = {"training": "train", "validation": "validation", "test": "test"}
_VOTES = ("c1", "c2", "c3", "c4", "c5")


def is_koniq(root: Path) -> bool:
    """Whether one of the tables is there."""
    return any((root / name).is_file() for name in TABLES)


def read_koniq(root: Path) -> RatedSet:
    """Read the set's folder; pictures on disk without a row have no score, and are left out.

    Raises:
        ConfigError: no table, a row that is none, or no folder of pictures.
    """
    table = next((root / name for name in TABLES if (root / name).is_file()), None)
    if table is None:
        raise ConfigError(f"{root} has neither {' nor '.join(TABLES)}: give KonIQ-10k's folder")
    folder = next((root / name for name in FOLDERS if (root / name).is_dir()), None)
    if folder is None:
        raise ConfigError(f"{root} has neither of the folders {' and '.join(FOLDERS)}: unpack the pictures there")
    rows = read_csv(table, ("image_name", *_VOTES, "MOS", "SD"))
    column = Z_SCORE if Z_SCORE in rows[0][1] else "MOS"
    values = [number(table, line, row, column) for line, row in rows]
    scale = Z_SCALE if max(values) > OPINION_SCALE[1] else OPINION_SCALE
    pictures = tuple(
        _rated(table, folder, line, row, value, scale) for (line, row), value in zip(rows, values, strict=True)
    )
    return RatedSet(f"KonIQ-10k ({folder.name})", pictures, scale, digest=digest_of(table))


def _rated(
    table: Path, folder: Path, line: int, row: Mapping[str, str], mos: float, scale: tuple[float, float]
) -> Rated:
    if not scale[0] <= mos <= scale[1]:
        raise ConfigError(f"{table}, line {line}: MOS {mos:g} lies outside {scale[0]:g}..{scale[1]:g}")
    name = row["image_name"]
    # SD is of the votes, on 1..5, in both tables.
    deviation = number(table, line, row, "SD") * (scale[1] - scale[0]) / 4
    return Rated(
        name=f"{folder.name}/{name}",
        path=folder / name,
        reference=None,
        content=name,
        mos=mos,
        std=deviation,
        distribution=_shares(table, line, row),
        split=_side(table, line, row.get("set")),
    )


def _shares(table: Path, line: int, row: Mapping[str, str]) -> Distribution:
    """Shares, or in some copies of the tables counts, which ``c_total`` tells the sum of."""
    shares = [number(table, line, row, name) for name in _VOTES]
    total = sum(shares)
    counted = abs(total - 1) > MOST_OFF and bool(row.get("c_total"))
    due = number(table, line, row, "c_total") if counted else 1.0
    if min(shares) < 0 or total <= 0 or abs(total - due) > MOST_OFF:
        told = f"1 or, counted, {due:g}" if counted else "1"
        raise ConfigError(f"{table}, line {line}: the votes {shares} sum to {total:g}, where {told} is due")
    one, two, three, four, five = (share / total for share in shares)
    return (one, two, three, four, five)


def _side(table: Path, line: int, name: str | None) -> Side | None:
    if not name:
        return None
    if name not in _SIDES:
        raise ConfigError(f"{table}, line {line}: set {name!r} is none of {', '.join(_SIDES)}")
    return _SIDES[name]
