"""How a cover network does on pictures that it does not learn from, while it is fitted: for the curves alone.

Nothing is chosen by these numbers, and ``evaluate cover`` is what tells them in full.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.decode import Pixels
from runtime.errors import ConfigError
from training.cover.cover_set import CoverSet
from training.cover.manifest import CoverSample
from training.cover.views import View, Views
from training.data.mask import IGNORE
from training.metrics.correlation import lcc
from training.metrics.segmentation import OBJECT_FROM, confusion, mean_image_iou
from training.models.clarity import OUTPUT as CLARITY
from training.models.mask_decoder import OUTPUT as SALIENCY

BATCH = 16
Judge = Callable[[Sequence[Pixels], tuple[int, int]], dict[str, NDArray[Any]]]
"""Per input of the network (n, ..., 3) uint8, and the height and width that maps are due at -> its outputs."""


@dataclass(frozen=True)
class Validation:
    """Held-out samples, each shown by its middle.

    Args:
        samples: with their sets.
        views: what the network is shown.
        gate: masks count where the score is above it.
    """

    samples: Sequence[tuple[CoverSet, CoverSample]]
    views: Views
    gate: float

    def run(self, judge: Judge) -> dict[str, float]:
        """``lcc`` of the scores, and ``iou``, the mean of the pictures' own, of the maps above the gate."""
        truth: list[float] = []
        predicted: list[float] = []
        confusions: list[NDArray[np.int64]] = []
        for start in range(0, len(self.samples), BATCH):
            part = self.samples[start : start + BATCH]
            views = [self._view(*each) for each in part]
            height, width = views[0].wanted.shape
            inputs = [np.stack(each) for each in zip(*(view.inputs for view in views), strict=True)]
            found = judge(inputs, (height, width))
            for place, ((_, sample), view) in enumerate(zip(part, views, strict=True)):
                if CLARITY in found and sample.score is not None:
                    truth.append(sample.score)
                    predicted.append(float(found[CLARITY][place]))
                above = sample.score is None or sample.score > self.gate
                if SALIENCY in found and above and view.counted.any():
                    confusions.append(_confusion(found[SALIENCY][place], view))
        measures = {"lcc": lcc(np.array(truth), np.array(predicted))} if truth else {}
        return measures | ({"iou": mean_image_iou(np.stack(confusions))} if confusions else {})

    def _view(self, samples: CoverSet, sample: CoverSample) -> View:
        picture = samples.read(sample)
        middle = self.views.middle(picture)
        mask = None if picture.mask is None else np.ascontiguousarray(middle.of(picture.mask))
        return self.views.view(np.ascontiguousarray(middle.of(picture.pixels)), mask)


def held_out(sets: Sequence[CoverSet], count: int, seed: int) -> list[tuple[CoverSet, CoverSample]]:
    """At most so many samples of the sets' test splits, drawn by the seed.

    Raises:
        ConfigError: no set has a test split.
    """
    found = [(one, sample) for one in sets for sample in one.of_split("test").samples]
    if not found:
        raise ConfigError(
            f"{', '.join(one.name for one in sets)}: no picture is held out, so nothing tells how the fit does; build "
            "a set with a share of test (--test-share 0.02)"
        )
    drawn = np.random.default_rng(seed).permutation(len(found))[:count]
    return [found[place] for place in np.sort(drawn)]


def _confusion(probability: NDArray[Any], view: View) -> NDArray[np.int64]:
    label = np.where(view.counted > 0, view.wanted >= OBJECT_FROM, IGNORE).astype(np.uint8)
    return confusion(probability >= OBJECT_FROM, label)
