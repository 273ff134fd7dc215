"""What the trunk and the pyramid make of whole pictures, kept on disk: the second stage reads each many times.

A file is named by all that it depends on, so another trunk, pyramid or set of pictures never meets it, and runs that
share the first stage may share the folder: one after the other, as long as features are missing.
"""

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from runtime.decode import Pixels
from training.cover.training import as_tensor
from training.data.picture import read_picture
from training.feeder import made_ahead
from training.lock import only_writer
from training.models.deeprn import DeepRN
from training.quality.deeprn_recipes import Variants
from training.quality.teachers import Teachers
from training.quality.variants import variant

AHEAD = 4
"""Pictures that wait for the network."""
Features = NDArray[np.float32]


class FeatureStore:
    """A folder of features of one network, float32: the paper's 104,949 training pictures need 7.7 GB.

    Args:
        folder: need not be there.
        network: its trunk and pyramid are used; on its device.
        key: what the features depend on besides the pictures' names: the trunk, the pyramid, the sets.
        device: PyTorch's name of it.
        workers: threads that read pictures.
    """

    def __init__(
        self, folder: Path, network: DeepRN, key: dict[str, object], *, device: str = "cpu", workers: int = 1
    ) -> None:
        self._folder, self._network, self._key = folder, network.eval(), key
        self._device, self._workers = device, workers

    def of(
        self,
        pictures: Teachers,
        number: int = 0,
        variants: Variants | None = None,
        *,
        watch: Callable[[], None] = lambda: None,
    ) -> Features:
        """(n, features), mapped into memory: of each picture, or of one of its changed copies.

        Args:
            pictures: whose.
            number: of the copy, see ``variants.variant``.
            variants: that there are; None: the pictures as they are.
            watch: called after each picture that had to be seen.

        Raises:
            ConfigError: a picture cannot be read, or another run is writing to the folder.
        """
        variants = variants or Variants()
        path = self._folder / f"{self._name(pictures, number, variants)}.npy"
        if not path.exists():
            with only_writer(self._folder):
                self._make(path, pictures, number, variants, watch)
        found: Features = np.load(path, mmap_mode="r")
        return found

    def _name(self, pictures: Teachers, number: int, variants: Variants) -> str:
        drawn = variants.model_dump() if number else {}
        told = [self._key, pictures.names, number, drawn]
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:24]

    def _make(self, path: Path, pictures: Teachers, number: int, variants: Variants, watch: Callable[[], None]) -> None:
        def shown(place: int) -> Pixels:
            return variant(read_picture(pictures.paths[place]), number, variants, pictures.names[place])

        unfinished = path.with_name(f".{path.name}.unfinished")
        shape = (len(pictures), self._network.head.entering)
        rows = np.lib.format.open_memmap(unfinished, mode="w+", dtype=np.float32, shape=shape)
        with torch.inference_mode():
            seen = made_ahead(shown, range(len(pictures)), workers=self._workers, ahead=AHEAD)
            for place, pixels in enumerate(seen):
                rows[place] = self._network.features(as_tensor(pixels[None], self._device))[0].cpu().numpy()
                watch()
        rows.flush()
        os.replace(unfinished, path)
