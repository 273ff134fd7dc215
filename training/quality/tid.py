"""TID2008 and TID2013 (Ponomarenko et al.): 25 references, 17 kinds of distortion at 4 levels, or 24 at 5."""

import re
from pathlib import Path

from runtime.errors import ConfigError
from training.quality.rated import Rated, RatedSet
from training.quality.tables import digest_of

TABLE, DEVIATIONS = "mos_with_names.txt", "mos_std.txt"
SCALE = (0.0, 9.0)
"""As published; the highest means are about 7."""
WHOLE = {17 * 4 * 25: "TID2008", 24 * 5 * 25: "TID2013"}

_LINE = re.compile(r"(\S+)\s+((i\d\d)_(\d\d)_(\d)\.\w+)", re.IGNORECASE)


def is_tid(root: Path) -> bool:
    """Whether its table is there."""
    return (root / TABLE).is_file()


def read_tid(root: Path) -> RatedSet:
    """Read the set's folder. Names on disk may be of either case: ``I01.BMP`` stands beside ``i25.bmp``.

    A table of fewer lines is read, too, and the set's name says how many.

    Raises:
        ConfigError: the table is missing or a line is none, a picture or a reference of it is not there, or the
            deviations are of other pictures.
    """
    path = root / TABLE
    lines = [line for line in _text(path).splitlines() if line.strip()]
    if not lines:
        raise ConfigError(f"{path} has no line: take the whole file")
    deviations = _deviations(root / DEVIATIONS, len(lines))
    pictures, references = (_by_lower_name(root / name) for name in ("distorted_images", "reference_images"))
    rated = tuple(
        _rated(path, number, line, deviation, pictures, references)
        for number, (line, deviation) in enumerate(zip(lines, deviations, strict=True), 1)
    )
    kinds = {one.kind for one in rated}
    whole = next((count for count, name in WHOLE.items() if len(lines) == count), None)
    name = WHOLE[whole] if whole else f"TID, {len(lines)} pictures of {len(kinds)} kinds"
    return RatedSet(name, rated, SCALE, digest=digest_of(path))


def _rated(
    path: Path,
    number: int,
    line: str,
    deviation: float | None,
    pictures: dict[str, Path],
    references: dict[str, Path],
) -> Rated:
    found = _LINE.fullmatch(line.strip())
    if found is None:
        raise ConfigError(f"{path}, line {number}: {line[:60]!r} is not like '5.51429 I01_01_1.bmp'")
    mos, name, content, kind, level = found.groups()
    try:
        score = float(mos)
    except ValueError as error:
        raise ConfigError(f"{path}, line {number}: the score {mos!r} is not a number") from error
    content = content.lower()
    return Rated(
        name=f"distorted_images/{name.lower()}",
        path=_there(path, number, pictures, name, "distorted_images"),
        reference=_there(path, number, references, f"{content}.bmp", "reference_images"),
        content=content,
        mos=score,
        std=deviation,
        kind=kind,
        level=float(level),
    )


def _there(path: Path, number: int, known: dict[str, Path], name: str, folder: str) -> Path:
    stem = Path(name.lower()).stem
    if stem not in known:
        raise ConfigError(f"{path}, line {number}: {name} is not in {folder}: put it there, or take the line out")
    return known[stem]


def _by_lower_name(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        raise ConfigError(f"{folder} is not there: a TID folder has distorted_images and reference_images")
    return {one.stem.lower(): one for one in sorted(folder.iterdir()) if one.is_file()}


def _deviations(path: Path, count: int) -> list[float | None]:
    if not path.is_file():
        return [None] * count
    try:
        values: list[float | None] = [float(word) for word in _text(path).split()]
    except ValueError as error:
        raise ConfigError(f"{path}: {error}") from error
    if len(values) != count:
        raise ConfigError(f"{path} has {len(values)} deviations, {TABLE} {count} pictures: take both of one release")
    return values


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error
