"""Which gates are runs of one fit: over seeds, and over splits, tables tell the median of such."""

import re
import shlex
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from runtime.manifest import Provenance

_OF_A_RUN = {"--seed", "--split-seed", "--name", "--output", "--threads"}
"""Options that say nothing of how a network is fitted but for chance."""
_CODE = "; code "
_SPLIT = re.compile(r" \(split \w+ \d+\)")
_SEED = re.compile(r"[-_.](?:seed|s)[-_]?\d+$")


@dataclass(frozen=True, slots=True)
class Fit:
    """How a gate came about, but for chance and for which pictures of its sets it was shown."""

    variant: str
    """Of its network."""
    recipe: str
    """The command, and the sets."""


def fit_of(variant: str, provenance: Provenance) -> Fit:
    """The fit of a network of this variant, by what its maker tells."""
    words = iter(shlex.split(provenance.command))
    kept = [word for word in words if word not in _OF_A_RUN or not next(words, "")]
    return Fit(variant, shlex.join([*kept, _SPLIT.sub("", provenance.data.partition(_CODE)[0])]))


def columns_of(fits: Mapping[str, Fit]) -> dict[str, str]:
    """What the column of each gate is called, by the gates' names: a column is of one fit.

    That is the variant; where it was fitted in more than one way, the names without a seed tell them apart.
    """
    recipes: dict[str, set[str]] = defaultdict(set)
    for fit in fits.values():
        recipes[fit.variant].add(fit.recipe)
    return {
        name: fit.variant if len(recipes[fit.variant]) == 1 else f"{fit.variant}: {without_seed(name)}"
        for name, fit in fits.items()
    }


def without_seed(name: str) -> str:
    """A name without a seed at its end: ``proposed-seed3`` and ``proposed-s3`` are of one group.

    What would leave nothing stays as it is.
    """
    return _SEED.sub("", name) or name
