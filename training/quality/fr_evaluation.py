"""Shows every picture of a set beside its reference to full-reference gates and metrics, and keeps what they said."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from threading import Lock

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from runtime.decode import Pixels
from training.data.picture import read_picture
from training.feeder import made_ahead
from training.quality.evaluation import Said
from training.quality.fr_gate import FullReferenceGate, Pair
from training.quality.rated import Rated, RatedSet
from training.quality.readers import require_references
from training.quality.reference_metrics import METRICS, measure, with_mean_rank

Floats = NDArray[np.float64]
AHEAD = 8
REFERENCES = 4
"""That are kept: a set lists the pictures of one reference one after the other."""


class References:
    """Reads references; the last few are kept. For any number of threads."""

    def __init__(self) -> None:
        self._kept: deque[tuple[Path, Pixels]] = deque(maxlen=REFERENCES)
        self._lock = Lock()

    def of(self, path: Path) -> Pixels:
        """A reference, not to be changed.

        Raises:
            PictureError: it cannot be read.
        """
        with self._lock:
            for known, pixels in self._kept:
                if known == path:
                    return pixels
        pixels = read_picture(path)
        with self._lock:
            self._kept.append((path, pixels))
        return pixels


def compare(rated: RatedSet, gates: Sequence[FullReferenceGate], workers: int = 1) -> list[Said]:
    """What each gate says of each picture beside its reference; pictures are read once for each gate.

    Raises:
        ConfigError: a picture cannot be read, or has no reference.
        EngineError: a gate answers what its head cannot mean, or the sizes do not fit.
    """
    require_references(rated)
    return [
        Said(gate.name, np.fromiter(gate.compare(_pairs(rated.pictures, gate.name, workers)), np.float64))
        for gate in gates
    ]


def measure_all(rated: RatedSet, workers: int = 1) -> list[Said]:
    """What metrics say, none of them trained: see ``training.quality.reference_metrics``.

    Raises:
        ConfigError: a picture cannot be read, has no reference, or one of another size.
    """
    require_references(rated)
    of = partial(_measured, References())
    measured = made_ahead(of, _tracked(rated.pictures, "metrics"), workers=workers, ahead=AHEAD)
    values = np.array(list(measured), np.float64).reshape(-1, len(METRICS))
    return [Said(name, own, on_scale=False) for name, own in with_mean_rank(values).items()]


def _measured(references: References, one: Rated) -> tuple[float, ...]:
    return measure(*_read(references, one))


def _pairs(pictures: Sequence[Rated], title: str, workers: int) -> Iterator[Pair]:
    return made_ahead(partial(_read, References()), _tracked(pictures, title), workers=workers, ahead=AHEAD)


def _read(references: References, one: Rated) -> Pair:
    assert one.reference is not None
    return read_picture(one.path), references.of(one.reference)


def _tracked(pictures: Sequence[Rated], title: str) -> Iterable[Rated]:
    return track(pictures, title, console=Console(stderr=True), transient=True)
