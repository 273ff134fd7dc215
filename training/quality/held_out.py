"""Which pictures of a set are learned from, and which only tell how the fit does."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from runtime.errors import ConfigError
from training.quality.rated import RatedSet


def learned(rated: RatedSet) -> RatedSet:
    """The training side; all of a set that has no sides of its own.

    Raises:
        ConfigError: nothing is on it.
    """
    chosen = rated.where(lambda one: one.split in {None, "train"})
    if not len(chosen):
        raise ConfigError(f"{rated.name} has no picture to learn from: all are of its test side")
    return chosen


def held_out(sets: Sequence[RatedSet], count: int, seed: int) -> list[RatedSet]:
    """At most so many pictures of the other sides, drawn by the seed: as many of each set that has such, one at least.

    There may be none; sets without are left out.
    """
    sides = [one.where(lambda picture: picture.split in {"validation", "test"}) for one in sets]
    filled = [one for one in sides if len(one)]
    return [drawn(one, max(1, count // len(filled)), seed) for one in filled]


def drawn(rated: RatedSet, count: int, seed: int) -> RatedSet:
    """At most so many pictures of a set, by the seed, in the set's order."""
    places = np.sort(np.random.default_rng(seed).permutation(len(rated))[:count])
    return dataclasses.replace(rated, pictures=tuple(rated.pictures[place] for place in places))
