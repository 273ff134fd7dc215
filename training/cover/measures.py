"""What an evaluation's answers come to: over all levels, above the paper's gate, and level by level."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.cover.evaluation import ALL, Answers, is_sharp
from training.cover.manifest import CoverSample
from training.metrics.correlation import lcc
from training.metrics.ranking import Interval, bootstrap
from training.metrics.segmentation import (
    foreground_iou,
    mean_image_iou,
    proportion_error,
    two_class_miou,
)

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Measures:
    """Of one gate, over some of the samples. What cannot be told is NaN."""

    samples: int
    """With a score or a mask that the gate answers."""
    sources: int
    lcc: float
    lcc_interval: Interval
    foreground_iou: float
    """Over the pixels of all pictures."""
    foreground_iou_interval: Interval
    mean_image_iou: float
    """Of the foreground, each picture counting the same."""
    two_class_miou: float
    proportion_error: float
    """Of the object's share of the picture, mean absolute, in points."""
    mae: float
    max_f: float
    mean_f: float
    adaptive_f: float


@dataclass(frozen=True)
class LevelMeasures:
    """Of one gate, on one level of blur."""

    level: int
    sigma_px: float
    score: float
    """NaN where the level's samples have none."""
    samples: int
    clarity: float
    """Mean."""
    clarity_spread: float
    """Standard deviation over the samples."""
    foreground_iou: float
    mean_image_iou: float
    proportion_error: float


def measures(samples: Sequence[CoverSample], answers: Answers, which: str, resamples: int) -> Measures:
    """Of one gate.

    Args:
        samples: that were shown, in order.
        answers: of the gate.
        which: ``ALL`` or ``GATED``.
        resamples: draws of sources for each interval; 0: none.
    """
    chosen = np.array([which == ALL or is_sharp(one) for one in samples], bool)
    scored, masked = chosen & np.isfinite(answers.clarity), chosen & np.isfinite(answers.maes)
    sources = np.array([one.source for one in samples])
    truth, clarity = _scores(samples)[scored], answers.clarity[scored]
    confusions, total = answers.confusions[masked], answers.saliency[which]
    return Measures(
        samples=int((scored | masked).sum()),
        sources=len(np.unique(sources[scored | masked])),
        lcc=lcc(truth, clarity),
        lcc_interval=_interval(lambda drawn: lcc(truth, clarity, drawn), sources[scored], resamples),
        foreground_iou=foreground_iou(confusions),
        foreground_iou_interval=_interval(lambda drawn: foreground_iou(confusions, drawn), sources[masked], resamples),
        mean_image_iou=mean_image_iou(confusions),
        two_class_miou=two_class_miou(confusions),
        proportion_error=proportion_error(confusions),
        mae=total.mae,
        max_f=total.max_f,
        mean_f=total.mean_f,
        adaptive_f=total.adaptive_f,
    )


def by_level(samples: Sequence[CoverSample], answers: Answers) -> list[LevelMeasures]:
    """Of one gate: each level that there is, from sharp to soft."""
    levels = np.array([one.level for one in samples])
    return [_level(samples, answers, np.flatnonzero(levels == level)) for level in sorted(set(levels.tolist()))]


def _level(samples: Sequence[CoverSample], answers: Answers, places: NDArray[np.intp]) -> LevelMeasures:
    first = samples[places[0]]
    clarity = answers.clarity[places]
    clarity = clarity[np.isfinite(clarity)]
    confusions = answers.confusions[places[np.isfinite(answers.maes[places])]]
    return LevelMeasures(
        level=first.level,
        sigma_px=first.sigma_px,
        score=float("nan") if first.score is None else first.score,
        samples=len(places),
        clarity=float(clarity.mean()) if len(clarity) else float("nan"),
        clarity_spread=float(clarity.std()) if len(clarity) else float("nan"),
        foreground_iou=foreground_iou(confusions),
        mean_image_iou=mean_image_iou(confusions),
        proportion_error=proportion_error(confusions),
    )


def _scores(samples: Sequence[CoverSample]) -> Floats:
    return np.array([np.nan if one.score is None else one.score for one in samples])


def _interval(statistic: Callable[[NDArray[np.int64]], float], groups: NDArray[np.str_], resamples: int) -> Interval:
    return bootstrap(statistic, groups, resamples=resamples if len(groups) else 0)
