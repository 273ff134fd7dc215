"""Whose answers a gate is held to: one network's, those of several together, or what several agree on."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from runtime.errors import ConfigError
from training.utility.baselines import confidence
from training.utility.header import Task
from training.utility.label_set import LabelSet
from training.utility.rules import NEITHER, USEFUL, Rule, Verdicts

Role = Literal["unseen", "kin", "labeller", "pooled", "agreement"]
ROLES: dict[Role, str] = {
    "unseen": "no network of its family gave training labels",
    "kin": "it gave no training labels, but a network of its family did",
    "labeller": "it gave training labels",
    "pooled": "the unseen networks' samples, one after the other",
    "agreement": "several networks at once: right is what most of them are",
}
RULES: dict[Task, tuple[Rule, ...]] = {"classification": ("paper", "relative"), "detection": ("correctness",)}
"""Which rules decide what is kept; a detector's only one has no grey zone."""


@dataclass(frozen=True)
class Judge:
    """On samples whose source it recognises undamaged; pooled, a sample comes once for each network."""

    name: str
    role: Role
    sample: NDArray[np.intp]
    """(n,) place in the label set."""
    right: NDArray[np.bool_]
    """(n,) whether the network still is right: what a gate should foretell."""
    verdicts: Mapping[Rule, Verdicts]
    """(n,) by rule."""
    confidence: NDArray[np.float64] | None
    """(n,) the network's own; None where there is not one network's."""

    def where(self, chosen: NDArray[Any]) -> "Judge":
        """Of a mask (n,), or of places in these n."""
        verdicts = {rule: own[chosen] for rule, own in self.verdicts.items()}
        own = None if self.confidence is None else self.confidence[chosen]
        return Judge(self.name, self.role, self.sample[chosen], self.right[chosen], verdicts, own)


def judges_of(labels: LabelSet, trained_on: Collection[str]) -> list[Judge]:
    """The unseen ones pooled, each network alone, and what the unseen, those that gave labels, and all, agree on.

    Args:
        labels: what is evaluated on.
        trained_on: the networks that gave training labels; none where a gate learned from quite others.

    Raises:
        ConfigError: the set has no such network.
    """
    unknown = sorted(set(trained_on) - set(labels.networks))
    if unknown:
        raise ConfigError(
            f"--trained-on {' '.join(unknown)}: the label set {labels.header.name} has {', '.join(labels.networks)}. "
            "For a gate that learned from networks that are not in it, give --trained-on without names"
        )
    families = {labels.family(name) for name in trained_on}
    roles: dict[str, Role] = {
        name: "labeller" if name in trained_on else "kin" if labels.family(name) in families else "unseen"
        for name in labels.networks
    }
    single = [_network(labels, name, role) for name, role in roles.items()]
    unseen = [judge for judge in single if judge.role == "unseen"]
    pooled = [_pooled(unseen)] if len(unseen) > 1 else []
    groups = {
        "agreement of the unseen": [judge.name for judge in unseen],
        "agreement of those that gave labels": list(trained_on),
        "agreement of all": labels.networks,
    }
    several = {frozenset(names): (title, names) for title, names in reversed(groups.items()) if len(names) > 1}
    agreements = [_agreement(labels.only(names), title) for title, names in reversed(several.values())]
    return [*pooled, *sorted(single, key=lambda judge: list(ROLES).index(judge.role)), *agreements]


def foremost(judges: Sequence[Judge]) -> list[Judge]:
    """Those that count most, and have samples: the unseen, pooled and each; where none is unseen, all."""
    unseen = [judge for judge in judges if judge.role in ("pooled", "unseen")]
    return [judge for judge in unseen or judges if len(judge.sample)]


def _network(labels: LabelSet, name: str, role: Role) -> Judge:
    alone = labels.only([name])
    verdicts = {rule: alone.verdicts(rule)[0] for rule in RULES[labels.header.task]}
    whole = Judge(name, role, np.arange(len(labels)), labels.right(name), verdicts, confidence(labels, name))
    return whole.where(labels.recognised(name))


def _pooled(judges: Sequence[Judge]) -> Judge:
    def joined(parts: Sequence[Any]) -> NDArray[Any]:
        return np.concatenate(parts)

    return Judge(
        f"pooled: {', '.join(judge.name for judge in judges)}",
        "pooled",
        joined([judge.sample for judge in judges]),
        joined([judge.right for judge in judges]),
        {rule: joined([judge.verdicts[rule] for judge in judges]) for rule in judges[0].verdicts},
        joined([judge.confidence for judge in judges]),
    )


def _agreement(labels: LabelSet, name: str) -> Judge:
    """Ties, and sources that none of them recognises, have no majority and are left out."""
    majority = labels.majority()
    verdicts = {rule: labels.agreed(rule) for rule in RULES[labels.header.task]}
    whole = Judge(name, "agreement", np.arange(len(labels)), majority == USEFUL, verdicts, None)
    return whole.where(majority != NEITHER)
