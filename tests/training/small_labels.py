"""A label set on the demo's photographs, as ``label utility`` writes one, with answers that follow the damage.

``keen`` is right until a damage is strong, ``weak`` (another family) fails earlier, and ``apart`` (a third) is right
on every second sample, whatever the damage.
"""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.data.picture import read_picture
from training.data.split import Split
from training.utility.answers import TOP, ClassAnswers, Samples
from training.utility.header import PSEUDO_TRUTH, Header, Labeller
from training.utility.label_set import LabelSet
from training.utility.sources import LabelledSource

PHOTOS = Path(__file__).parents[2] / "demo" / "photos"
SIDE = 64
STRENGTHS = (0.5, 1.0, 2.0, 4.0)
"""Of Gaussian blur, after the undamaged picture."""


def small_labels(folder: Path | None = None) -> LabelSet:
    """Six photographs for training, two for the test, five samples each; written to ``folder``, if any."""
    sources = [_source(path, "train" if place < 6 else "test") for place, path in enumerate(_photos()[:8])]
    strengths = np.tile([0.0, *STRENGTHS], len(sources))
    samples = Samples(
        source=np.repeat(np.arange(len(sources), dtype=np.int32), 5),
        kind=np.where(strengths > 0, "gaussian", "none"),
        strength=strengths,
        seed=np.zeros(len(strengths), np.int64),
        encoded_bytes=np.full(len(strengths), 1000, np.int32),
        extra=np.zeros(len(strengths), bool),
    )
    answers = {
        "keen": _answers(strengths, np.exp(-strengths / 1.7)),
        "weak": _answers(strengths, np.exp(-strengths / 1.2)),
        "apart": _answers(strengths, np.where((np.arange(len(strengths)) % 2 == 0) | (strengths == 0), 0.8, 0.05)),
    }
    header = Header(
        name="small",
        task="classification",
        truth=PSEUDO_TRUTH,
        root=str(PHOTOS),
        pictures_sha256="0" * 64,
        side=SIDE,
        plan="gaussian:0.5,1,2,4",
        test_share=0.25,
        networks=tuple(Labeller(name=name, family=name, digest="sha256:0") for name in answers),
    )
    labels = LabelSet(header, tuple(sources), samples, dict(answers))
    return labels if folder is None else labels.save(folder)


def _photos() -> list[Path]:
    return sorted(PHOTOS.glob("*.jpg"))


def _source(path: Path, split: Split) -> LabelledSource:
    height, width = read_picture(path, side=SIDE).shape[:2]
    return LabelledSource(path.name, hashlib.sha256(path.read_bytes()).hexdigest(), split, height, width)


def _answers(strengths: NDArray[Any], truth: NDArray[Any]) -> ClassAnswers:
    """Class 7 is true; what it does not get goes to class 8."""
    count = len(strengths)
    probabilities = np.zeros((count, TOP), np.float16)
    probabilities[:, 0], probabilities[:, 1] = np.maximum(truth, 1 - truth), np.minimum(truth, 1 - truth)
    truth = np.minimum(truth, 0.9).astype(np.float32)
    classes = np.tile(np.arange(10, 10 + TOP, dtype=np.int16), (count, 1))
    classes[:, 0], classes[:, 1] = np.where(truth > 0.5, 7, 8), np.where(truth > 0.5, 8, 7)
    return ClassAnswers(
        predicted=np.where(truth > 0.5, 7, 8).astype(np.int16),
        confidence=np.maximum(truth, 1 - truth),
        reference=np.full(count, 7, np.int16),
        reference_confidence=np.full(count, truth[0], np.float32),
        ccsp=truth,
        top_classes=classes,
        top_probabilities=probabilities,
    )
