"""Which gates are runs of one fit: over seeds, and over splits, tables tell the median of such."""

import re
import shlex
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from runtime.manifest import Provenance

_OF_A_RUN = {"--seed", "--split-seed", "--name", "--output", "--threads"}
"""Options that say nothing of how a network is fitted but for chance."""
_CODE = "; code "
_CALIBRATED = re.compile(r"(calibrate quality) \S+")
"""It begins with the checkpoint of the run, which is another for each seed."""
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
    """The fit of a network of this variant, or, where it has none, of this name, by what its maker tells."""
    words = iter(_words(_CALIBRATED.sub(r"\1", provenance.command)))
    kept = [word for word in words if word not in _OF_A_RUN or not next(words, "")]
    return Fit(without_seed(variant), shlex.join([*kept, _SPLIT.sub("", provenance.data.partition(_CODE)[0])]))


def columns_of(fits: Mapping[str, Fit]) -> dict[str, str]:
    """What the column of each gate is called, by the gates' names: a column is of one fit.

    That is the variant; where it was fitted in more than one way, with the name of each fit's first gate.
    """
    first: dict[Fit, str] = {}
    for name, fit in fits.items():
        first.setdefault(fit, name)
    of_variant = Counter(fit.variant for fit in first)
    short = Counter((fit.variant, without_seed(name)) for fit, name in first.items())
    titles = {}
    for fit, name in first.items():
        told = without_seed(name) if short[fit.variant, without_seed(name)] == 1 else name
        titles[fit] = fit.variant if of_variant[fit.variant] == 1 else f"{fit.variant}: {told}"
    return {name: titles[fit] for name, fit in fits.items()}


def without_seed(name: str) -> str:
    """A name without a seed at its end: ``proposed-seed3`` and ``proposed-s3`` are of one group.

    What would leave nothing stays as it is.
    """
    return _SEED.sub("", name) or name


def _words(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError:  # of an engine from elsewhere it may be any text
        return command.split()
