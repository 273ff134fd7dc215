"""LIVE In the Wild Image Quality Challenge Database (Ghadiyaram and Bovik, 2016): 1,162 photographs of phones."""

from pathlib import Path

import numpy as np

from runtime.errors import ConfigError
from training.quality.rated import Rated, RatedSet
from training.quality.tables import digest_of, read_mat

TABLES = {
    "AllImages_release.mat": "AllImages_release",
    "AllMOS_release.mat": "AllMOS_release",
    "AllStdDev_release.mat": "AllStdDev_release",
}
"""In ``Data``, with the variable in each."""
TRAINING = 7
"""So many pictures, the first ones, taught people how to vote."""
SCALE = (0.0, 100.0)


def is_live_wild(root: Path) -> bool:
    """Whether its tables are there."""
    return all((root / "Data" / name).is_file() for name in TABLES)


def read_live_wild(root: Path) -> RatedSet:
    """Read the set's folder: mean scores from 0 to 100 with their deviations.

    Raises:
        ConfigError: a table is missing or is not this set's.
    """
    names, scores, deviations = (
        np.atleast_1d(read_mat(root / "Data" / table, (variable,))[0]) for table, variable in TABLES.items()
    )
    if not len(names) == len(scores) == len(deviations):
        counts = f"{len(names)} names, {len(scores)} scores and {len(deviations)} deviations"
        raise ConfigError(f"{root / 'Data'} has {counts}: one of each is due")
    pictures = tuple(
        Rated(f"Images/{name}", root / "Images" / str(name), None, str(name), float(score), float(deviation))
        for name, score, deviation in list(zip(names, scores, deviations, strict=True))[TRAINING:]
    )
    return RatedSet("LIVE In the Wild", pictures, SCALE, digest=digest_of(*(root / "Data" / table for table in TABLES)))
