"""Which pictures of a set are learned from, and which only tell how the fit does."""

import dataclasses

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


def held_out(rated: RatedSet, count: int, seed: int) -> RatedSet:
    """At most so many pictures of the other sides, drawn by the seed; there may be none."""
    return drawn(rated.where(lambda one: one.split in {"validation", "test"}), count, seed)


def drawn(rated: RatedSet, count: int, seed: int) -> RatedSet:
    """At most so many pictures of a set, by the seed, in the set's order."""
    places = np.sort(np.random.default_rng(seed).permutation(len(rated))[:count])
    return dataclasses.replace(rated, pictures=tuple(rated.pictures[place] for place in places))
