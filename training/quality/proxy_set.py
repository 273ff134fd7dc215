"""The proxy set's files: ``ratings.csv``, a picture a row, and ``set.json``, what it is made of.

A proxy, since no person gave these scores: metrics that compare a picture with its reference did.
"""

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from runtime.errors import ConfigError
from runtime.faults import faults_of
from training.quality.rated import BEST, WORST, Rated, RatedSet, Side
from training.quality.tables import digest_of

RATINGS, HEADER = "ratings.csv", "set.json"
MOST_OFF = 0.001
"""How far from 1 the shares of a row may sum: they are written with six digits."""


class ProxyHeader(BaseModel):
    """What a proxy set was built of and how."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    format: Literal["framegate/quality-set/1"] = "framegate/quality-set/1"
    name: str
    proxy: Literal[True] = True
    """Scores of metrics, not of people."""
    labels: Literal["ranks", "opinions"]
    """``ranks``: mean rank of the three metrics in this set; ``opinions``: fitted to scores of people."""
    opinion_contents: tuple[str, ...] = ()
    """Whose scores the fit has seen."""
    opinions: str = ""
    """``sha256:`` of their table; empty: there is none, or the set was built before it was kept."""
    folders: tuple[str, ...]
    """Names of the folders that the photographs came from."""
    photographs: dict[str, str]
    """SHA-256 of each, by name."""
    size: tuple[int, int]
    """(height, width) of a reference, at most."""
    cuts: Annotated[int, Field(ge=1)]
    draws: Annotated[int, Field(ge=1)]
    votes: Annotated[int, Field(ge=1)]
    test_share: float
    seed: int


@dataclass(frozen=True, slots=True)
class ProxyRow:
    """One picture of ``ratings.csv``."""

    name: str
    reference: str
    """Both are paths below the set's folder."""
    content: str
    kind: str
    """Of distortion (``training.damage``), or ``none``."""
    strength: float
    level: float
    """0: none; 1 the mildest of TID2013's, 5 the harshest."""
    split: Side
    vsi: float
    mdsi: float
    haarpsi: float
    mos: float
    sd: float
    c1: float
    c2: float
    c3: float
    c4: float
    c5: float


_COLUMNS = [field.name for field in fields(ProxyRow)]
_TEXTS = {"name", "reference", "content", "kind", "split"}


def ratings_bytes(rows: Sequence[ProxyRow]) -> bytes:
    """``ratings.csv``; numbers as short as they come back the same."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, _COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(row) for row in rows)
    return text.getvalue().encode()


def read_rows(path: Path) -> list[ProxyRow]:
    """Rows of a ``ratings.csv``.

    Raises:
        ConfigError: it cannot be read, has other columns, or a row is none; it names the line.
    """
    try:
        reader = csv.DictReader(io.StringIO(path.read_text()))
        if reader.fieldnames != _COLUMNS:
            raise ConfigError(f"{path} has the columns {reader.fieldnames}; due are {_COLUMNS}")
        return [_row(path, reader.line_num, row) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error


def read_header(folder: Path) -> ProxyHeader:
    """The header of a set's folder.

    Raises:
        ConfigError: it cannot be read, or is none.
    """
    path = folder / HEADER
    try:
        return ProxyHeader.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be read ({error.strerror}): give a folder that `build quality` wrote"
        ) from error
    except ValidationError as error:
        raise ConfigError(f"{path} is no header of a quality set: {faults_of(error, 'set.json')}") from error


def read_proxy(root: Path) -> RatedSet:
    """A set that ``build quality`` wrote, none of its pictures read yet.

    Raises:
        ConfigError: as ``read_header`` and ``read_rows``.
    """
    header = read_header(root)
    path = root / RATINGS
    pictures = tuple(_rated(root, row) for row in read_rows(path))
    if not pictures:
        raise ConfigError(f"{path} has no picture: build the set again")
    return RatedSet(header.name, pictures, (WORST, BEST), proxy=True, digest=digest_of(path), fitted_to=header.opinions)


def _rated(root: Path, row: ProxyRow) -> Rated:
    return Rated(
        name=row.name,
        path=root / row.name,
        reference=root / row.reference,
        content=row.content,
        mos=row.mos,
        std=row.sd,
        distribution=(row.c1, row.c2, row.c3, row.c4, row.c5),
        kind=row.kind,
        level=row.level,
        split=row.split,
    )


def _row(path: Path, line: int, values: dict[str, str]) -> ProxyRow:
    try:
        numbers = {name: float(values[name]) for name in _COLUMNS if name not in _TEXTS}
        texts = {name: values[name] for name in _TEXTS}
        if texts["split"] not in {"train", "validation", "test"}:
            raise ValueError(f"split {texts['split']!r}")
        row = ProxyRow(**texts, **numbers)  # type: ignore[arg-type] # names are the fields
        _require_sound(row, numbers)
        return row
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{path}, line {line} is no rating: {error}") from error


def _require_sound(row: ProxyRow, numbers: dict[str, float]) -> None:
    """Raises ValueError for what no build writes, and no network should learn."""
    odd = [name for name, value in numbers.items() if not math.isfinite(value)]
    if odd:
        raise ValueError(f"{odd[0]} is {numbers[odd[0]]}")
    if not WORST <= row.mos <= BEST:
        raise ValueError(f"mos {row.mos:g} lies outside {WORST:g}..{BEST:g}")
    shares = (row.c1, row.c2, row.c3, row.c4, row.c5)
    if min(shares) < 0 or abs(sum(shares) - 1) > MOST_OFF:
        raise ValueError(f"the shares {shares} sum to {sum(shares):g}, where 1 is due, and none is below 0")
