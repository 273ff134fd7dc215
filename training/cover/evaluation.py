"""Shows every sample of a cover set to gates and keeps what the measures need: a few numbers a sample, no pictures."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from training.cover.cover_set import CoverPicture, CoverSet
from training.cover.gate import BATCH, CoverGate, Judgement
from training.cover.levels import GATE
from training.cover.manifest import CoverSample
from training.cover.pairs import SHARP, FurtherBlurs
from training.feeder import made_ahead
from training.metrics.saliency import SaliencySum, saliency_errors
from training.metrics.segmentation import OBJECT_FROM, Confusions, at_label_size, confusion

Floats = NDArray[np.float64]
AHEAD = 2
"""Batches that are read while one is judged."""
ALL, GATED = "all levels", f"y > {GATE:g}"
"""Which samples: every one, and those sharp enough for a mask (Eq. 3; the paper's threshold in testing)."""


@dataclass(frozen=True)
class Answers:
    """What one gate said of each sample, and what came of its masks."""

    clarity: Floats
    """(samples,) NaN where the gate or the sample has no score."""
    confusions: Confusions
    """(samples, 2, 2), all zero where the gate or the sample has no mask."""
    maes: Floats
    """(samples,) NaN likewise."""
    saliency: dict[str, SaliencySum] = field(default_factory=lambda: {ALL: SaliencySum(), GATED: SaliencySum()})
    """By which samples."""
    further: dict[float, Floats] = field(default_factory=dict)
    """By the sigma in px of a further blur: (samples,) clarity of the sharp samples under it, NaN for the others."""


def answers_of(chosen: CoverSet, gates: Sequence[CoverGate], further: FurtherBlurs, workers: int) -> list[Answers]:
    """Read each sample once and show it to every gate.

    Args:
        chosen: the samples.
        gates: each gives one of the answers.
        further: blurs that each sharp sample is shown under as well.
        workers: threads that read.

    Raises:
        ConfigError: a picture or a mask cannot be read.
        EngineError: a gate answers what its heads cannot mean.
    """
    count = len(chosen)
    answers = [
        Answers(
            np.full(count, np.nan),
            np.zeros((count, 2, 2), np.int64),
            np.full(count, np.nan),
            further={sigma: np.full(count, np.nan) for sigma in (SHARP, *further.sigmas_px)},
        )
        for _ in gates
    ]
    starts = range(0, count, BATCH)
    batches = made_ahead(
        lambda at: [chosen.read(one) for one in chosen.samples[at : at + BATCH]], starts, workers=workers, ahead=AHEAD
    )
    for at, pictures in zip(_tracked(starts), batches, strict=True):
        samples = chosen.samples[at : at + len(pictures)]
        for gate, own in zip(gates, answers, strict=True):
            _ask(gate, own, at, samples, pictures)
            if "clarity" in gate.kinds:
                _ask_further(gate, own, at, samples, pictures, further)
    return answers


def is_sharp(sample: CoverSample) -> bool:
    """Whether a sample's mask counts under the paper's gate; one without a score is taken as it is."""
    return sample.score is None or sample.score > GATE


def _ask(
    gate: CoverGate, own: Answers, at: int, samples: Sequence[CoverSample], pictures: Sequence[CoverPicture]
) -> None:
    judged = gate.judge([picture.pixels for picture in pictures])
    for place, (sample, picture, said) in enumerate(zip(samples, pictures, judged, strict=True), at):
        _keep(own, place, sample, picture, said)


def _ask_further(
    gate: CoverGate,
    own: Answers,
    at: int,
    samples: Sequence[CoverSample],
    pictures: Sequence[CoverPicture],
    further: FurtherBlurs,
) -> None:
    for place, (sample, picture) in enumerate(zip(samples, pictures, strict=True), at):
        if sample.sigma_px == 0 and (versions := further.versions(picture.pixels)):
            for sigma, said in zip(versions, gate.judge(list(versions.values())), strict=True):
                own.further[sigma][place] = np.nan if said.clarity is None else said.clarity


def _keep(own: Answers, place: int, sample: CoverSample, picture: CoverPicture, said: Judgement) -> None:
    if said.clarity is not None and sample.score is not None:
        own.clarity[place] = said.clarity
    if said.saliency is not None and picture.mask is not None:
        probability = at_label_size(said.saliency, picture.mask)
        errors = saliency_errors(probability, picture.mask)
        own.confusions[place] = confusion(probability >= OBJECT_FROM, picture.mask)
        own.maes[place] = errors.mae
        own.saliency[ALL].add(errors)
        if is_sharp(sample):
            own.saliency[GATED].add(errors)


def _tracked(starts: range) -> Iterator[int]:
    return iter(track(starts, "pictures", console=Console(stderr=True), transient=True))
