"""Label sets of photographs under real damage, with answers that are set by hand."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.damage.damage import UNDAMAGED, Damage
from training.data.picture import read_picture
from training.data.source import Box
from training.utility.answers import Answers, BoxAnswers, ClassAnswers, Samples
from training.utility.header import TRUE_LABELS, Header, Labeller, Task, Truth
from training.utility.label_set import LabelSet
from training.utility.sources import LabelledSource

PHOTOS = Path(__file__).parents[2] / "demo" / "photos"
NAMES = sorted(path.name for path in PHOTOS.glob("*.jpg"))[:6]
SIDE = 64
DAMAGES = (UNDAMAGED, Damage("dark", 0.5), Damage("dark", 0.1), Damage("jpeg", 5), Damage("gaussian", 3))
TOTAL = len(NAMES) * len(DAMAGES)
FAMILIES = {"old": "elders", "older": "elders", "young": "youth", "younger": "children"}
Sure = dict[str, tuple[NDArray[Any], NDArray[Any]]]
"""By network: whether it is right on each sample, and how sure it is."""


def header(task: Task, networks: Sequence[str], truth: Truth = TRUE_LABELS) -> Header:
    return Header(
        name="by-hand",
        task=task,
        truth=truth,
        root=str(PHOTOS),
        pictures_sha256="0" * 64,
        side=SIDE,
        plan="dark:0.5,0.1 jpeg:5 gaussian:3",
        test_share=1.0,
        networks=tuple(Labeller(name=name, family=FAMILIES[name], digest="sha256:none") for name in networks),
    )


def sources(boxes: tuple[Box, ...] | None = None) -> tuple[LabelledSource, ...]:
    found = []
    for index, name in enumerate(NAMES):
        height, width = read_picture(PHOTOS / name, side=SIDE).shape[:2]
        sha256 = hashlib.sha256((PHOTOS / name).read_bytes()).hexdigest()
        found.append(LabelledSource(name, sha256, "test", height, width, index, boxes))
    return tuple(found)


def samples() -> Samples:
    """Source by source, undamaged first."""
    every = [damage for _ in NAMES for damage in DAMAGES]
    return Samples(
        source=np.repeat(np.arange(len(NAMES)), len(DAMAGES)).astype(np.int32),
        kind=np.array([damage.kind for damage in every]),
        strength=np.array([damage.strength for damage in every]),
        seed=np.array([damage.seed for damage in every]),
        encoded_bytes=np.arange(1000, 1000 + TOTAL, dtype=np.int32),
        extra=np.zeros(TOTAL, bool),
    )


def classifiers(sure: Sure, truth: Truth = TRUE_LABELS) -> LabelSet:
    """Whoever is right says the source's index, else class 999; on the undamaged sample, too."""
    own = samples()
    whole = own.source * len(DAMAGES)
    answers: dict[str, Answers] = {}
    for name, (right, confidence_) in sure.items():
        predicted = np.where(right, own.source, 999).astype(np.int16)
        ccsp = np.where(right, confidence_, 0.01).astype(np.float32)
        top = np.zeros((TOTAL, 10))
        answers[name] = ClassAnswers(
            predicted,
            confidence_.astype(np.float32),
            predicted[whole],
            ccsp[whole],
            ccsp,
            top.astype(np.int16),
            top.astype(np.float16),
        )
    return LabelSet(header("classification", list(sure), truth), sources(), own, answers)


def pattern(*right: bool) -> NDArray[np.bool_]:
    """The same for each source, one flag a damage."""
    return np.tile(np.array(right), len(NAMES))


def four_classifiers() -> LabelSet:
    """Old and older of one family; young does not recognise the first source; younger only stands darkness."""
    young = pattern(True, True, False, True, False)
    young[: len(DAMAGES)] = False
    return classifiers(
        {
            "old": (pattern(True, True, False, True, True), np.linspace(0.95, 0.5, TOTAL)),
            "older": (pattern(True, False, False, True, True), np.linspace(0.5, 0.95, TOTAL)),
            "young": (young, np.where(young, 0.95, 0.3)),
            "younger": (pattern(True, True, True, False, False), np.full(TOTAL, 0.92)),
        }
    )


def detectors(scores: dict[str, list[list[float]]], truth: Truth = TRUE_LABELS) -> LabelSet:
    """Each sample's detections, by their scores: the first lies on the one true box, the second elsewhere."""
    true = np.array([4, 4, 24, 24], np.float32)
    answers: dict[str, Answers] = {}
    for name, every in scores.items():
        hits = np.array([max(one[:1], default=0.0) for one in every])
        whole = hits[np.arange(TOTAL) // len(DAMAGES) * len(DAMAGES)]
        answers[name] = BoxAnswers(
            boxes=np.array([true + 30 * place for one in every for place in range(len(one))], np.float32).reshape(
                -1, 4
            ),
            labels=np.full(sum(map(len, every)), 7, np.int16),
            scores=np.array([score for one in every for score in one], np.float32),
            offsets=np.cumsum([0, *map(len, every)]).astype(np.int64),
            found=(hits >= 0.5).astype(np.int16),
            truths=np.ones(TOTAL, np.int16),
            ccsp=hits.astype(np.float32),
            reference_confidence=whole.astype(np.float32),
        )
    return LabelSet(header("detection", list(scores), truth), sources((Box(7, 4, 4, 24, 24),)), samples(), answers)
