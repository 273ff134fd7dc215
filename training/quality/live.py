"""LIVE Image Quality Assessment Database, release 2 (Sheikh et al., 2006): 29 references, 779 distorted pictures."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from runtime.errors import ConfigError
from training.quality.rated import Rated, RatedSet
from training.quality.tables import digest_of, read_mat

FOLDERS = {"jp2k": 227, "jpeg": 233, "wn": 174, "gblur": 174, "fastfading": 174}
"""In the order of the scores, with how many pictures are in each."""
PLAIN, REALIGNED = "dmos.mat", "dmos_realigned.mat"
NAMES = "refnames_all.mat"
SCALE = (0.0, 100.0)
"""Realigned scores may lie a little outside."""


def is_live(root: Path) -> bool:
    """Whether its names and scores are there."""
    return (root / NAMES).is_file() and (root / PLAIN).is_file()


def is_only_realigned(root: Path) -> bool:
    """Whether its names are there, and of its scores the realigned ones alone."""
    return (root / NAMES).is_file() and (root / REALIGNED).is_file() and not (root / PLAIN).is_file()


def read_live(root: Path) -> RatedSet:
    """Read the set's folder with the scores of ``dmos.mat``: less is better.

    References among the pictures are left out: 203 of 982.

    Raises:
        ConfigError: a file is missing or is not this set's.
    """
    return _read(root, PLAIN, "dmos")


def read_live_realigned(root: Path) -> RatedSet:
    """``read_live`` with the scores of ``dmos_realigned.mat``, which most later work uses."""
    return _read(root, REALIGNED, "dmos_new")


READERS: dict[str, Callable[[Path], RatedSet]] = {"live": read_live, "live-realigned": read_live_realigned}


def _read(root: Path, table: str, variable: str) -> RatedSet:
    scores, originals = (np.atleast_1d(one) for one in read_mat(root / table, (variable, "orgs")))
    (references,) = read_mat(root / NAMES, ("refnames_all",))
    files = [f"{folder}/img{number}.bmp" for folder, count in FOLDERS.items() for number in range(1, count + 1)]
    lengths = {"scores": len(scores), "orgs": len(originals), "refnames_all": len(references)}
    if set(lengths.values()) != {len(files)}:
        raise ConfigError(f"{root}: {lengths} entries, where LIVE release 2 has {len(files)} of each")
    pictures = tuple(
        Rated(
            name=name,
            path=root / name,
            reference=root / "refimgs" / str(reference),
            content=str(reference).lower(),
            mos=float(score),
            kind=name.split("/")[0],
        )
        for name, score, original, reference in zip(files, scores, originals, references, strict=True)
        if not original
    )
    return RatedSet(
        f"LIVE release 2 ({table})",
        pictures,
        SCALE,
        lower_better=True,
        digest=digest_of(root / table, root / NAMES),
    )
