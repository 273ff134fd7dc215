"""The pictures of a label set as the trained network sees them, and the order in which they come."""

import hashlib
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from runtime.decode import Pixels
from runtime.errors import ConfigError
from runtime.manifest import Input
from runtime.preprocess import Preprocessor
from training.damage.apply import damaged
from training.data.picture import PictureError, decode_picture
from training.utility.label_set import LabelSet


def require_sources(labels: LabelSet, root: Path) -> None:
    """Look for the picture of every sample, before the long work.

    Raises:
        ConfigError: some are not there.
    """
    names = [labels.sources[index].name for index in np.unique(labels.samples.source)]
    missing = [name for name in names if not (root / name).is_file()]
    if missing:
        raise ConfigError(
            f"{root}: {len(missing)} of the {len(names)} pictures that were labelled are not there, "
            f"{missing[0]} among them; --pictures names their folder"
        )


def read_source(labels: LabelSet, index: int, root: Path) -> Pixels:
    """One undamaged picture of a label set, as it was labelled.

    Raises:
        ConfigError: it is missing, cannot be read, or is another than the one that was labelled.
    """
    source = labels.sources[index]
    path = root / source.name
    try:
        content = path.read_bytes()
    except OSError as error:
        raise PictureError(f"{path} cannot be read: {error.strerror}; --pictures names its folder") from error
    if hashlib.sha256(content).hexdigest() != source.sha256:
        raise ConfigError(f"{path} is another picture than the one that was labelled (its SHA-256 differs)")
    return decode_picture(content, path, side=labels.header.side)


class SamplePictures:
    """Makes each sample anew from its source and its damage, resized as the gateway does. For any number of threads."""

    def __init__(self, labels: LabelSet, root: Path, spec: Input) -> None:
        self._labels, self._root, self._preprocessor = labels, root, Preprocessor(spec)

    def batch(self, samples: NDArray[np.intp], mirrored: NDArray[np.bool_] | None = None) -> Pixels:
        """(n, height, width, 3) uint8 RGB.

        Args:
            samples: (n,) places in the label set.
            mirrored: (n,) which are turned left to right; None: none.

        Raises:
            ConfigError: a picture is missing, cannot be read, or is another than the one that was labelled.
        """
        batch = self._preprocessor.batch(len(samples))
        for place, sample in enumerate(samples):
            whole = read_source(self._labels, int(self._labels.samples.source[sample]), self._root)
            self._preprocessor.fill(damaged(whole, self._labels.damage(int(sample))), batch[place])
            if mirrored is not None and mirrored[place]:
                batch[place] = batch[place, :, ::-1].copy()
        return batch


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
        digest = hashlib.sha256(f"{self._seed}:order:{number}".encode()).digest()
        rng = np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16])))
        longest = max(map(len, self._classes))
        parts = [np.resize(rng.permutation(own), longest) for own in self._classes]
        places = rng.permutation(np.concatenate(parts))
        return places, rng.random(len(places)) < 0.5
