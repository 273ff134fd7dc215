"""The pictures of a label set as the trained network sees them."""

import hashlib
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
