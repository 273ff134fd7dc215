"""How well scores foretell whether a machine task still works, over all samples and by kind of damage."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from training.metrics.calibration import ece
from training.metrics.ranking import (
    Interval,
    auprc,
    auroc,
    balanced_accuracy,
    best_accuracy,
    bootstrap,
    discard_gain,
    risk_coverage,
)
from training.utility.baselines import confidence, encoded_size
from training.utility.judges import Judge
from training.utility.label_set import LabelSet
from training.utility.rules import NEITHER, USEFUL, Rule

ALL, DAMAGED = "all", "damaged"
"""Every sample, the undamaged ones among them, and without those."""
SHARES = (0.1, 0.2, 0.3)
ANCHOR = "own confidence"


@dataclass(frozen=True)
class Scoring:
    """Scores of every sample of the label set."""

    name: str
    kind: Literal["gate", "baseline", "anchor"]
    scores: NDArray[np.float64] | None
    """(samples,), or None for the anchor: each network's own confidence."""
    threshold: float | None = None
    """At and above it a sample counts as useful; None: the score has none of its own."""
    probability: bool = False
    """Whether it means a probability, so that its calibration can be told."""
    network: str | None = None
    """Whose confidence it is."""

    def of(self, judge: Judge) -> NDArray[np.float64] | None:
        """(n,) for the judge's samples; None where there is no such score, or it is the anchor by another name."""
        if self.scores is None:
            return judge.confidence
        return None if self.network == judge.name else self.scores[judge.sample]


@dataclass(frozen=True)
class Kept:
    """On the samples that a rule labels: the paper's accuracy (Tables I and II)."""

    samples: int
    grey_zone: float
    """Share of the judge's samples that the rule leaves out."""
    accuracy: float
    """At the scoring's own threshold; NaN where it has none."""
    accuracy_interval: Interval
    balanced_accuracy: float
    best_accuracy: float
    """At the threshold that suits these samples best: an upper bound."""


@dataclass(frozen=True)
class Measures:
    """All of one scoring, before one judge, on one kind of damage. What cannot be told is NaN."""

    samples: int
    sources: int
    right: float
    """Share of the samples on which the network is right."""
    auroc: float
    auroc_interval: Interval
    auprc_useless: float
    """Of finding the samples on which it is wrong; a random score has ``1 - right``."""
    accuracy: float
    """On all samples, by whether the network (of several: the majority) is right."""
    balanced_accuracy: float
    best_accuracy: float
    ece: float
    aurc: float
    aurc_perfect: float
    """Of a perfect filter; a random one has ``1 - right``."""
    gains: dict[str, float]
    """By discarded share: what the error rate falls by, as a part of what a perfect filter takes off it."""
    gain_20_interval: Interval
    kept: dict[Rule, Kept]
    """By rule."""


@dataclass(frozen=True)
class Row:
    """One line of the evaluation."""

    scoring: str
    judge: str
    kind: str
    measures: Measures


def baselines(labels: LabelSet, trained_on: Collection[str]) -> list[Scoring]:
    """What needs no picture: the encoded size, the confidence of each network that gave labels, and the anchor."""
    size = Scoring("encoded bytes per pixel", "baseline", encoded_size(labels))
    sure = [
        Scoring(f"confidence of {name}", "baseline", confidence(labels, name), probability=True, network=name)
        for name in labels.networks
        if name in trained_on
    ]
    return [size, *sure, Scoring(ANCHOR, "anchor", None, probability=True)]


def evaluate(labels: LabelSet, scorings: Sequence[Scoring], judges: Sequence[Judge], resamples: int) -> list[Row]:
    """Every scoring before every judge, over all samples and by kind.

    Args:
        labels: what the judges are of.
        scorings: names are distinct.
        judges: the same.
        resamples: draws of sources for each interval; 0: no intervals.
    """
    parts = [(judge, kind, part) for judge in judges for kind, part in _by_kind(labels, judge)]
    rows = []
    for judge, kind, part in track(parts, "measures", console=Console(stderr=True), transient=True):
        groups = labels.samples.source[part.sample]
        for scoring in scorings:
            scores = scoring.of(part)
            if scores is not None:
                rows.append(Row(scoring.name, judge.name, kind, measure(scoring, scores, part, groups, resamples)))
    return rows


def measure(
    scoring: Scoring, scores: NDArray[np.float64], judge: Judge, groups: NDArray[Any], resamples: int
) -> Measures:
    """One scoring before one judge.

    Args:
        scoring: whose threshold and meaning count.
        scores: (n,), n > 0.
        judge: of n samples.
        groups: (n,) the samples' sources: intervals are over these.
        resamples: of each interval.
    """
    order = np.argsort(-scores, kind="stable")  # once: each draw of an interval ranks them again
    scores, groups, judge = scores[order], groups[order], judge.where(order)
    right, wrong = judge.right, ~judge.right
    decisions = None if scoring.threshold is None else scores >= scoring.threshold
    return Measures(
        samples=len(scores),
        sources=len(np.unique(groups)),
        right=float(right.mean()),
        auroc=auroc(scores, right),
        auroc_interval=bootstrap(lambda drawn: auroc(scores, right, drawn), groups, resamples=resamples),
        auprc_useless=auprc(-scores, wrong),
        accuracy=float("nan") if decisions is None else float((decisions == right).mean()),
        balanced_accuracy=float("nan") if decisions is None else balanced_accuracy(decisions, right),
        best_accuracy=best_accuracy(scores, right),
        ece=ece(scores, right) if scoring.probability else float("nan"),
        aurc=risk_coverage(scores, wrong).area,
        aurc_perfect=risk_coverage(right.astype(np.float64), wrong).area,
        gains={f"{share:.0%}": discard_gain(scores, wrong, share) for share in SHARES},
        gain_20_interval=bootstrap(lambda drawn: discard_gain(scores, wrong, 0.2, drawn), groups, resamples=resamples),
        kept={rule: _kept(verdicts, scores, decisions, groups, resamples) for rule, verdicts in judge.verdicts.items()},
    )


def _kept(
    verdicts: NDArray[np.int8],
    scores: NDArray[np.float64],
    decisions: NDArray[np.bool_] | None,
    groups: NDArray[Any],
    resamples: int,
) -> Kept:
    labelled = verdicts != NEITHER
    useful = verdicts[labelled] == USEFUL
    accuracy, balanced, interval = float("nan"), float("nan"), (float("nan"), float("nan"))
    if decisions is not None and labelled.any():
        agrees = decisions[labelled] == useful
        accuracy, balanced = float(agrees.mean()), balanced_accuracy(decisions[labelled], useful)
        interval = bootstrap(
            lambda drawn: float(np.average(agrees, weights=drawn)), groups[labelled], resamples=resamples
        )
    return Kept(
        samples=int(labelled.sum()),
        grey_zone=float(1 - labelled.mean()),
        accuracy=accuracy,
        accuracy_interval=interval,
        balanced_accuracy=balanced,
        best_accuracy=best_accuracy(scores[labelled], useful),
    )


def _by_kind(labels: LabelSet, judge: Judge) -> Iterator[tuple[str, Judge]]:
    """Not the undamaged ones alone: all of them are right, for so the sources are chosen."""
    kinds, damaged = labels.samples.kind[judge.sample], labels.damaged[judge.sample]
    if len(kinds):
        yield ALL, judge
    if damaged.any():
        yield DAMAGED, judge.where(damaged)
    for kind in np.unique(kinds[damaged]):
        yield str(kind), judge.where(kinds == kind)
