"""The order in which samples come."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from runtime.errors import ConfigError
from training.generator import generator


class Order:
    """An endless sequence of places 0..n-1, epoch after epoch, each shuffled anew; settled by the seed.

    With ``positive``, an epoch has as many places of one class as of the other: the smaller class comes again.
    """

    def __init__(self, count: int, seed: int, positive: NDArray[np.bool_] | None = None) -> None:
        """Raises ConfigError where one of two classes that are to be balanced has no sample."""
        self._seed = seed
        self._classes = [np.arange(count)]
        if positive is not None:
            self._classes = [np.flatnonzero(positive), np.flatnonzero(~positive)]
            if not all(map(len, self._classes)):
                raise ConfigError(
                    f"{len(self._classes[0])} useful and {len(self._classes[1])} useless samples cannot be balanced: "
                    "label harsher or milder damages, or set balance to false"
                )
        self._of = lru_cache(maxsize=4)(self._epoch)

    @property
    def epoch_length(self) -> int:
        """Places in an epoch."""
        return len(self._classes) * max(map(len, self._classes))

    def batch(self, step: int, size: int) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
        """A step's places (size,), and a coin (size,) for each, tossed anew each time."""
        positions = np.arange(step * size, (step + 1) * size)
        epochs, within = np.divmod(positions, self.epoch_length)
        drawn = [(self._of(int(epoch)), place) for epoch, place in zip(epochs, within, strict=True)]
        places = np.array([places[place] for (places, _), place in drawn])
        return places, np.array([coins[place] for (_, coins), place in drawn])

    def _epoch(self, number: int) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
        rng = generator(f"{self._seed}:order:{number}")
        longest = max(map(len, self._classes))
        parts = [np.resize(rng.permutation(own), longest) for own in self._classes]
        places = rng.permutation(np.concatenate(parts))
        return places, rng.random(len(places)) < 0.5
