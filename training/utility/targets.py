"""From the networks' answers to what a gate is taught."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.errors import ConfigError
from training.utility.answers import ClassAnswers
from training.utility.header import PSEUDO_TRUTH
from training.utility.label_set import LabelSet
from training.utility.recipes import UtilityRecipe
from training.utility.rules import NEITHER

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Targets:
    """Samples that teach; the first axis counts them."""

    sample: NDArray[np.intp]
    """Place in the label set."""
    utility: Floats
    """In [0, 1]."""
    weight: Floats
    """In (0, 1]: how much the sample counts."""
    top_classes: NDArray[np.int16]
    """(n, 10 for each classifier)."""
    top_probabilities: Floats
    """(n, 10 for each classifier): over the classes, the mean of the networks; a class comes once for each of them."""

    def __len__(self) -> int:
        return len(self.sample)


def targets_of(labels: LabelSet, recipe: UtilityRecipe) -> Targets:
    """Of the networks that are in ``labels``.

    Raises:
        ConfigError: no sample teaches anything, or the auxiliary loss has no classifier to learn from.
    """
    utility, weight = utility_targets(labels, recipe)
    sample = np.flatnonzero(weight > 0)
    if not len(sample):
        raise ConfigError(
            f"none of {len(labels)} samples of {labels.header.name} gives a target by {recipe.target} ({recipe.rule}): "
            "the networks never agree, or recognise no source undamaged; take fewer networks, another rule or target"
        )
    classifiers = [own for own in labels.answers.values() if isinstance(own, ClassAnswers)]
    held = recipe.auxiliary_weight > 0 and recipe.auxiliary == "labellers"
    if held and not classifiers:
        raise ConfigError(
            "auxiliary: no classifier is among the networks that give labels; "
            "take auxiliary=start, or set auxiliary_weight to 0"
        )
    tops = _tops(classifiers if held else [], sample)
    return Targets(sample, utility[sample], weight[sample], *tops)


def utility_targets(labels: LabelSet, recipe: UtilityRecipe) -> tuple[Floats, Floats]:
    """(samples,) targets in [0, 1], and (samples,) weights in [0, 1], 0 where a sample teaches nothing."""
    if recipe.target in ("agreement", "majority"):
        verdicts = labels.agreed(recipe.rule) if recipe.target == "agreement" else labels.majority()
        known = verdicts != NEITHER
        return np.where(known, verdicts, 0).astype(np.float32), known.astype(np.float32)
    weights = np.stack([_weight(labels, name, recipe) for name in labels.networks])
    parts = np.stack([_part(labels, name, recipe) for name in labels.networks])
    total = weights.sum(axis=0)
    utility = (weights * parts).sum(axis=0) / np.maximum(total, 1e-9)
    return utility.astype(np.float32), (total / len(weights)).astype(np.float32)


def _weight(labels: LabelSet, network: str, recipe: UtilityRecipe) -> NDArray[Any]:
    recognised = labels.recognised(network)
    if recipe.weighting == "even":
        return recognised.astype(np.float32)
    counts = np.ones_like(recognised) if labels.header.truth == PSEUDO_TRUTH else recognised
    return counts * labels.answers[network].reference_confidence


def _part(labels: LabelSet, network: str, recipe: UtilityRecipe) -> NDArray[Any]:
    """(samples,) in [0, 1]: what one network says of each sample."""
    own, right = labels.answers[network], labels.right(network).astype(np.float32)
    left = np.minimum(own.ccsp / np.maximum(own.reference_confidence, 1e-6), 1)
    return {
        "share_right": right,
        "kept_confidence": left,
        "blend": (right + left) / 2,
        "confidence": (right + own.ccsp) / 2,
    }[recipe.target]


def _tops(classifiers: list[ClassAnswers], sample: NDArray[np.intp]) -> tuple[NDArray[np.int16], Floats]:
    if not classifiers:
        return np.zeros((len(sample), 0), np.int16), np.zeros((len(sample), 0), np.float32)
    classes = np.concatenate([own.top_classes[sample] for own in classifiers], axis=1)
    probabilities = np.concatenate([own.top_probabilities[sample] for own in classifiers], axis=1)
    return classes, (probabilities / len(classifiers)).astype(np.float32)
