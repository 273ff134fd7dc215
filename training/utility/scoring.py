"""Shows every sample of a label set to what scores pictures, once: scores are kept on disk."""

import hashlib
import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from runtime.decode import Pixels
from training.damage.apply import damaged
from training.files import write_whole
from training.utility.gate import PictureScorer
from training.utility.label_set import LabelSet
from training.utility.samples import read_source, require_sources

Scores = NDArray[np.float64]


def score_samples(labels: LabelSet, root: Path, scorers: Sequence[PictureScorer], cache: Path) -> dict[str, Scores]:
    """By the scorer's name: (samples,).

    Args:
        labels: what was labelled.
        root: the pictures' folder.
        scorers: with a name each of their own.
        cache: folder where scores are kept, by the samples' and the scorer's digest; what is there is not computed.

    Raises:
        ConfigError: a picture is missing, cannot be read, or is another than the one that was labelled.
    """
    files = {scorer.name: cache / f"{_digest(labels, scorer)}.npy" for scorer in scorers}
    missing = [scorer for scorer in scorers if not files[scorer.name].is_file()]
    if missing:
        require_sources(labels, root)
        for scorer, scores in zip(missing, _scored(labels, root, missing), strict=True):
            _write(files[scorer.name], scores)
    return {name: np.load(path, allow_pickle=False) for name, path in files.items()}


def sample_pictures(labels: LabelSet, root: Path) -> Iterator[tuple[NDArray[np.intp], list[Pixels]]]:
    """Source by source: the places of its samples, and their pixels; each source is read once.

    Raises:
        ConfigError: as ``score_samples``.
    """
    order = np.argsort(labels.samples.source, kind="stable")
    starts = np.flatnonzero(np.diff(labels.samples.source[order])) + 1
    groups = np.split(order, starts) if len(order) else []
    for group in track(groups, "pictures", console=Console(stderr=True), transient=True):
        whole = read_source(labels, int(labels.samples.source[group[0]]), root)
        yield group, [damaged(whole, labels.damage(int(sample))) for sample in group]


def _scored(labels: LabelSet, root: Path, scorers: Sequence[PictureScorer]) -> list[Scores]:
    scores = [np.full(len(labels), np.nan) for _ in scorers]
    for group, pictures in sample_pictures(labels, root):
        for scorer, own in zip(scorers, scores, strict=True):
            own[group] = scorer.scores(pictures)
    return scores


def _digest(labels: LabelSet, scorer: PictureScorer) -> str:
    """Of all that scores depend on: the pictures, what is done to them, and what scores them."""
    used = [source.sha256 for source in labels.sources]
    digest = hashlib.sha256(json.dumps([labels.header.side, used, scorer.digest]).encode())
    own = labels.samples
    for values in (own.source, own.kind.astype("U32"), own.strength, own.seed):
        digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()


def _write(path: Path, scores: Scores) -> None:
    buffer = io.BytesIO()
    np.save(buffer, scores)
    write_whole(path, buffer.getvalue())
