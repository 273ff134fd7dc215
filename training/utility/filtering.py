"""What machines gain when a gate filters their pictures (machine-utility paper: Fig. 2, Tables III and IV)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.metrics.detection import Matches, average_precision, match
from training.metrics.ranking import Interval, bootstrap
from training.utility.answers import BoxAnswers
from training.utility.header import PSEUDO_TRUTH
from training.utility.label_set import LabelSet
from training.utility.rules import LEAST_SCORE

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class FilteredClassifier:
    """A classifier's accuracy on all samples, of sources that it recognises and of others, before and after."""

    network: str
    gate: str
    samples: int
    kept: float
    """Share of the samples that the gate lets through."""
    accuracy_before: float
    accuracy_after: float
    """On those."""
    rise_interval: Interval
    """Of after minus before, over sources."""
    right_kept: float
    """Share of the samples on which the network is right that pass."""
    wrong_dropped: float
    """Share of those on which it is wrong that do not."""


@dataclass(frozen=True)
class FilteredDetector:
    """A detector's recall of true boxes (score >= .5, IoU >= .5) and mAP on all samples, before and after.

    After, what the gate drops is either left out, or, as the paper does it to keep the true boxes the same, replaced
    by the undamaged picture.
    """

    network: str
    gate: str
    samples: int
    kept: float
    recall_before: float
    recall_dropped: float
    recall_replaced: float
    recall_rise_interval: Interval
    """Of dropped minus before, over sources."""
    ap_before: float
    """COCO's: mean over classes and IoU .5 to .95."""
    ap_dropped: float
    ap_replaced: float
    ap50_before: float
    ap50_dropped: float
    ap50_replaced: float


Filtered = list[FilteredClassifier] | list[FilteredDetector]


def filter_networks(labels: LabelSet, gates: Mapping[str, Flags], resamples: int) -> Filtered:
    """Every network of the set behind every gate.

    Args:
        labels: every source has its undamaged sample among them.
        gates: by name, which samples pass: (samples,).
        resamples: draws of sources for each interval; 0: no intervals.
    """
    if labels.header.task == "classification":
        return [
            _classifier(labels, network, gate, passes, resamples)
            for network in labels.networks
            for gate, passes in gates.items()
        ]
    return [
        _detector(labels, network, matches, gate, passes, resamples)
        for network in labels.networks
        for matches in [match_samples(labels, network)]
        for gate, passes in gates.items()
    ]


def _classifier(labels: LabelSet, network: str, gate: str, passes: Flags, resamples: int) -> FilteredClassifier:
    right = labels.right(network)
    return FilteredClassifier(
        network=network,
        gate=gate,
        samples=len(labels),
        kept=float(passes.mean()),
        accuracy_before=float(right.mean()),
        accuracy_after=_share(right, passes),
        rise_interval=bootstrap(
            lambda drawn: _share(right, passes * drawn) - _share(right, drawn),
            labels.samples.source,
            resamples=resamples,
        ),
        right_kept=_share(passes, right),
        wrong_dropped=_share(~passes, ~right),
    )


def _detector(
    labels: LabelSet, network: str, matches: list[Matches], gate: str, passes: Flags, resamples: int
) -> FilteredDetector:
    own = _boxes(labels, network)

    def recall(weights: NDArray[Any]) -> float:
        truths = int(own.truths @ weights.astype(np.int64))
        return int(own.found @ weights.astype(np.int64)) / truths if truths else float("nan")

    whole = np.arange(len(labels))
    replaced = np.where(passes, whole, undamaged_places(labels))
    before, dropped, after = (
        average_precision([matches[sample] for sample in places]) for places in (whole, whole[passes], replaced)
    )
    once = np.ones(len(labels))
    return FilteredDetector(
        network=network,
        gate=gate,
        samples=len(labels),
        kept=float(passes.mean()),
        recall_before=recall(once),
        recall_dropped=recall(passes),
        recall_replaced=recall(np.bincount(replaced, minlength=len(labels))),
        recall_rise_interval=bootstrap(
            lambda drawn: recall(passes * drawn) - recall(drawn), labels.samples.source, resamples=resamples
        ),
        ap_before=float(before.mean()),
        ap_dropped=float(dropped.mean()),
        ap_replaced=float(after.mean()),
        ap50_before=float(before[0]),
        ap50_dropped=float(dropped[0]),
        ap50_replaced=float(after[0]),
    )


def match_samples(labels: LabelSet, network: str) -> list[Matches]:
    """Each sample's detections beside the source's true boxes, or under pseudo-truth those found undamaged."""
    own, undamaged = _boxes(labels, network), undamaged_places(labels)
    matches = []
    for sample in range(len(labels)):
        found = own.detections(sample)
        truth = _truth(labels, own, sample, int(undamaged[sample]))
        matches.append(match(found.boxes, found.labels, found.scores, *truth))
    return matches


def _truth(
    labels: LabelSet, own: BoxAnswers, sample: int, undamaged: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    if labels.header.truth == PSEUDO_TRUTH:
        whole = own.detections(undamaged)
        sure = whole.scores >= LEAST_SCORE
        return whole.boxes[sure].astype(np.float64), whole.labels[sure]
    boxes = labels.sources[labels.samples.source[sample]].boxes or ()
    corners = [(box.left, box.top, box.right, box.bottom) for box in boxes]
    return np.array(corners, np.float64).reshape(-1, 4), np.array([box.label for box in boxes], np.int64)


def undamaged_places(labels: LabelSet) -> NDArray[np.intp]:
    """(samples,) place of the undamaged sample of each sample's source.

    Raises:
        ValueError: a source has none among these samples.
    """
    places = np.full(len(labels.sources), -1, np.intp)
    whole = np.flatnonzero(~labels.damaged)
    places[labels.samples.source[whole]] = whole
    found = places[labels.samples.source]
    if (found < 0).any():
        raise ValueError(f"the label set {labels.header.name} lacks the undamaged sample of a source")
    return np.asarray(found)


def _boxes(labels: LabelSet, network: str) -> BoxAnswers:
    own = labels.answers[network]
    if not isinstance(own, BoxAnswers):
        raise TypeError(f"{network} is no detector")
    return own


def _share(flags: Flags, weights: NDArray[Any]) -> float:
    return float(np.average(flags, weights=weights)) if weights.any() else float("nan")
