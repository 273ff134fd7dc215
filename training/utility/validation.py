"""How well a network that is being trained foretells what the labelling networks, and others, do on unseen sources."""

from collections.abc import Callable, Collection

import numpy as np
from numpy.typing import NDArray

from training.feeder import made_ahead
from training.metrics.ranking import auroc
from training.utility.label_set import LabelSet
from training.utility.recipes import UtilityRecipe
from training.utility.rules import NEITHER, USEFUL
from training.utility.samples import SamplePictures
from training.utility.targets import utility_targets

BATCH = 32
Scores = NDArray[np.float64]


class Validation:
    """Samples of the test split; their pictures are made once, and kept."""

    def __init__(
        self, labels: LabelSet, labellers: Collection[str], recipe: UtilityRecipe, pictures: SamplePictures
    ) -> None:
        """Keep what the measures need.

        Args:
            labels: the samples, with the answers of all networks.
            labellers: those that give training labels; the others are unseen.
            recipe: what is learned.
            pictures: of ``labels``.
        """
        self._labels, self._labellers, self._recipe, self._pictures = labels, list(labellers), recipe, pictures
        self._batches: list[NDArray[np.uint8]] = []

    def run(self, score: Callable[[NDArray[np.uint8]], Scores], *, workers: int = 1) -> dict[str, float]:
        """``measures`` of what a network says.

        Args:
            score: (n, height, width, 3) uint8 -> (n,) in [0, 1].
            workers: threads that make the pictures the first time.
        """
        if not self._batches:
            chunks = [np.arange(at, min(at + BATCH, len(self._labels))) for at in range(0, len(self._labels), BATCH)]
            self._batches = list(made_ahead(self._pictures.batch, chunks, workers=workers, ahead=workers))
        return self.measures(np.concatenate([np.zeros(0), *map(score, self._batches)]))

    def measures(self, scores: Scores) -> dict[str, float]:
        """NaN where no sample tells.

        ``loss`` against the training's own target; ``kept_accuracy``: at .5, of the samples on which all labellers
        agree by the recipe's rule; ``auroc_NAME``: of right answers before wrong ones, where the network recognises
        the source; pooled over the labellers, and over the unseen.
        """
        taught = self._labels.only(self._labellers)
        found = {
            "loss": _cross_entropy(scores, *utility_targets(taught, self._recipe)),
            "kept_accuracy": _kept_accuracy(scores, taught.agreed(self._recipe.rule)),
        }
        unseen = [name for name in self._labels.networks if name not in self._labellers]
        for group, names in (("labellers", self._labellers), ("unseen", unseen)):
            found[f"auroc_{group}"] = self._auroc(scores, names)
        return found | {f"auroc_{name}": self._auroc(scores, [name]) for name in self._labels.networks}

    def _auroc(self, scores: Scores, networks: Collection[str]) -> float:
        """Pooled: a sample comes once for each network."""
        recognised = [self._labels.recognised(name) for name in networks]
        right = [self._labels.right(name)[known] for name, known in zip(networks, recognised, strict=True)]
        own = [scores[known] for known in recognised]
        return auroc(np.concatenate(own), np.concatenate(right)) if own else float("nan")


def validation_samples(labels: LabelSet, limit: int, seed: int) -> LabelSet:
    """At most so many samples of the test split, chosen by the seed, in their order."""
    test = labels.of_split("test")
    rng = np.random.Generator(np.random.PCG64(seed))
    chosen = np.zeros(len(test), bool)
    chosen[rng.permutation(len(test))[:limit]] = True
    return test.where(chosen)


def _cross_entropy(scores: Scores, targets: NDArray[np.float32], weights: NDArray[np.float32]) -> float:
    if not weights.any():
        return float("nan")
    likely = np.clip(scores, 1e-7, 1 - 1e-7)
    losses = -(targets * np.log(likely) + (1 - targets) * np.log1p(-likely))
    return float((weights * losses).sum() / weights.sum())


def _kept_accuracy(scores: Scores, agreed: NDArray[np.int8]) -> float:
    kept = agreed != NEITHER
    return float(((scores[kept] >= 0.5) == (agreed[kept] == USEFUL)).mean()) if kept.any() else float("nan")
