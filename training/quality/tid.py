"""TID2008 and TID2013 (Ponomarenko et al.): 25 references, 17 kinds of distortion at 4 levels, or 24 at 5.

``mos_std.txt`` is not read: it has the deviations of the means, which say nothing of how far opinions differ.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from runtime.errors import ConfigError
from training.data.picture import ENDINGS
from training.quality.rated import Rated, RatedSet
from training.quality.tables import digest_of
from training.quality.tid_table import Line, read_table

TABLE = "mos_with_names.txt"
SCALE = (0.0, 9.0)
"""As published; the highest means are about 7."""
CONTENTS = 25
UNORDERED = frozenset({15, 16, 17})
"""Kinds whose level is no strength: brightness and contrast go up and down by turns, and of blocks of a colour there
are ten faint ones at the first level and two strong ones at the last."""


@dataclass(frozen=True, slots=True)
class Release:
    """One of the two sets: TID2013 has TID2008's kinds, and more of them."""

    name: str
    kinds: int
    levels: int

    def __len__(self) -> int:
        return CONTENTS * self.kinds * self.levels


TID2008, TID2013 = Release("TID2008", 17, 4), Release("TID2013", 24, 5)


def read_tid2008(root: Path) -> RatedSet:
    """Read the set's folder. Names on disk may be of either case: ``I01.BMP`` stands beside ``i25.bmp``.

    A table of fewer lines is read, too, and the set's name says how many.

    Raises:
        ConfigError: the table is missing or a line is none, or is not of this release; or a picture or a reference of
            it is not there.
    """
    return _read(root, TID2008)


def read_tid2013(root: Path) -> RatedSet:
    """``read_tid2008`` for the later release."""
    return _read(root, TID2013)


READERS: dict[str, Callable[[Path], RatedSet]] = {"tid2008": read_tid2008, "tid2013": read_tid2013}


def may_be(root: Path, release: Release) -> bool:
    """Whether the table is there and is of this release. A part of TID2008 may be one of TID2013 as well.

    Raises:
        ConfigError: a line is none.
    """
    if not (root / TABLE).is_file():
        return False
    lines = read_table(root / TABLE)
    early = len(lines) <= len(TID2008) and all(_fits(line, TID2008) for line in lines)
    return early if release is TID2008 else not early or len(lines) < len(TID2008)


def _read(root: Path, release: Release) -> RatedSet:
    path = root / TABLE
    lines = read_table(path)
    for line in lines:
        if not _fits(line, release):
            limits = f"{CONTENTS} contents, {release.kinds} kinds and {release.levels} levels"
            raise ConfigError(f"{path}, line {line.number}: {line.name} is not of {release.name}, which has {limits}")
    pictures, references = (_by_lower_stem(root / name) for name in ("distorted_images", "reference_images"))
    rated = tuple(
        Rated(
            name=f"distorted_images/{line.name.lower()}",
            path=_there(path, line, pictures, line.name, "distorted_images"),
            reference=_there(path, line, references, f"{line.content}.bmp", "reference_images"),
            content=line.content,
            mos=line.mos,
            kind=f"{line.kind:02}",
            level=None if line.kind in UNORDERED else float(line.level),
        )
        for line in lines
    )
    part = "" if len(lines) == len(release) else f" ({len(lines)} of {len(release)})"
    return RatedSet(release.name + part, rated, SCALE, digest=digest_of(path))


def _fits(line: Line, release: Release) -> bool:
    content = int(line.content[1:])
    return 1 <= content <= CONTENTS and 1 <= line.kind <= release.kinds and 1 <= line.level <= release.levels


def _there(path: Path, line: Line, known: dict[str, Path], name: str, folder: str) -> Path:
    stem = Path(name.lower()).stem
    if stem not in known:
        raise ConfigError(f"{path}, line {line.number}: {name} is not in {folder}: put it there, or take the line out")
    return known[stem]


def _by_lower_stem(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        raise ConfigError(f"{folder} is not there: a TID folder has distorted_images and reference_images")
    return {one.stem.lower(): one for one in sorted(folder.iterdir()) if one.suffix.lower() in ENDINGS}
