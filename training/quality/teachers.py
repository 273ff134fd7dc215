"""What DeepRN learns from, out of several judged sets, and what only tells how it does."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from runtime.errors import ConfigError
from training.data.split import split_of
from training.models.deeprn import CLASSES
from training.quality.rated import BEST, WORST, Rated, RatedSet
from training.quality.target import targets

Opinions = Literal["votes", "mean and deviation", "mean"]


@dataclass(frozen=True)
class Teachers:
    """Judged pictures, and what is to be said of them."""

    names: tuple[str, ...]
    """SET/PICTURE; what is random of a picture is drawn by it."""
    paths: tuple[Path, ...]
    mos: NDArray[np.float32]
    """(n,) in [1, 5]."""
    shares: NDArray[np.float32]
    """(n, 5): of the votes 1 to 5."""

    def __len__(self) -> int:
        return len(self.names)

    def classes(self) -> NDArray[np.int64]:
        """(n,): the fifths of the quality scale, 0 the worst (section 3: E to A)."""
        share = (self.mos - WORST) / (BEST - WORST)
        return np.minimum((share * CLASSES).astype(np.int64), CLASSES - 1)

    def drawn(self, count: int, seed: int) -> "Teachers":
        """At most so many, drawn by the seed."""
        places = np.sort(np.random.default_rng(seed).permutation(len(self))[:count])
        return self._at(places)

    def _at(self, places: NDArray[np.int64]) -> "Teachers":
        names, paths = (tuple(own[place] for place in places) for own in (self.names, self.paths))
        return Teachers(names, paths, self.mos[places], self.shares[places])


def both_sides(sets: Sequence[RatedSet], validation_share: float) -> tuple[Teachers, Teachers]:
    """The training and the validation side; what is for the test is on neither.

    A set that has no validation side gives that share of its training contents, chosen by their names.

    Raises:
        ConfigError: one of them is empty.
    """
    learned, held = [], []
    for rated in sets:
        validated = _validated(rated, validation_share)
        usable = rated.where(lambda one: one.split != "test")
        learned.append(usable.where(lambda one, v=validated: one.name not in v))  # type: ignore[misc] # v is the set's
        held.append(usable.where(lambda one, v=validated: one.name in v))  # type: ignore[misc]
    train, validation = gathered(learned), gathered(held)
    names = ", ".join(rated.name for rated in sets)
    if not len(train):
        raise ConfigError(f"{names}: there is no picture to learn from: all are of the test or the validation side")
    if not len(validation):
        raise ConfigError(
            f"{names}: no picture tells how the fit does: there is no validation side, and of the contents "
            f"validation_share={validation_share:g} leaves none; give a larger one"
        )
    return train, validation


def gathered(sets: Sequence[RatedSet]) -> Teachers:
    """All pictures of the sets, in their order."""
    pictures = [(rated.name, one) for rated in sets for one in rated.pictures]
    wanted = [target for rated in sets for target in targets(rated)]
    return Teachers(
        tuple(f"{name}/{one.name}" for name, one in pictures),
        tuple(one.path for _, one in pictures),
        np.array([target.mos for target in wanted], np.float32),
        np.array([target.distribution for target in wanted], np.float32).reshape(-1, 5),
    )


def opinions_of(rated: RatedSet) -> Opinions:
    """What a set tells, at the least, of each picture: what its targets are made of."""
    if all(one.distribution is not None for one in rated.pictures):
        return "votes"
    told = all(one.distribution is not None or one.std is not None for one in rated.pictures)
    return "mean and deviation" if told else "mean"


def _validated(rated: RatedSet, share: float) -> set[str]:
    own = {one.name for one in rated.pictures if one.split == "validation"}
    return own or {one.name for one in rated.pictures if one.split != "test" and _drawn(rated, one, share)}


def _drawn(rated: RatedSet, picture: Rated, share: float) -> bool:
    digest = hashlib.sha256(f"{rated.name}:{picture.content}".encode()).hexdigest()
    return split_of(digest, share) == "test"
