"""How often people's own scores fall with each step of strength: what may be asked of a network, kind by kind."""

from collections import defaultdict
from pathlib import Path

import numpy as np

from runtime.errors import ConfigError
from training.damage.tid import KINDS_OF_TID, LADDERS, level_of_tid
from training.quality.monotony import ALL_KINDS
from training.quality.tid_table import read_table


def people_fall(path: Path) -> dict[str, float]:
    """By kind of the proxy that TID2013 has, too, and of all of these together under ``ALL_KINDS``.

    Args:
        path: TID2013's ``mos_with_names.txt``; contents that lack levels of a kind are left out of it.

    Returns:
        The share of contents whose mean score falls strictly at every step of our ladder's levels.

    Raises:
        ConfigError: the file cannot be read, a line is another, or no content has all levels of a kind.
    """
    scores: dict[tuple[int, str], dict[int, float]] = defaultdict(dict)
    for line in read_table(path):
        scores[line.kind, line.content][line.level] = line.mos
    contents = sorted({content for _, content in scores})
    shares, everything = {}, []
    for number, kinds in KINDS_OF_TID.items():
        for kind in kinds:
            levels = [level_of_tid(kind, level) for level in sorted(LADDERS[kind])]
            own = [scores[number, content] for content in contents]
            falls = [
                bool(np.all(np.diff([one[level] for level in levels]) < 0)) for one in own if one.keys() >= {*levels}
            ]
            if not falls:
                raise ConfigError(f"{path} has no content with all levels of kind {number:02}: take the whole file")
            shares[kind] = float(np.mean(falls))
            everything += falls
    return {**shares, ALL_KINDS: float(np.mean(everything))}
