"""Shows every picture of a set to methods that judge it, each picture read once, and keeps what they said."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from runtime.decode import Pixels
from runtime.errors import ConfigError
from runtime.heads import OPINIONS
from training.data.picture import PictureError, read_picture
from training.feeder import made_ahead
from training.quality.gate import BATCH, QualityGate
from training.quality.rated import Rated, RatedSet, Side
from training.quality.splits import has_sides

Floats = NDArray[np.float64]
Chosen = Literal["test", "validation", "train", "all"]
AHEAD = 2
"""Batches that are read while one is judged."""


@dataclass(frozen=True)
class Said:
    """What one method said of each picture."""

    method: str
    scores: Floats
    """(n,), the higher the better."""
    shares: Floats | None = None
    """(n, 5): of the votes 1 to 5; None where the method gives a number alone."""
    on_scale: bool = True
    """Whether the scores are on [1, 5], so that errors mean something before a curve is fitted."""


@dataclass(frozen=True)
class Plain:
    """A method that gives a number on a scale of its own, such as BRISQUE."""

    name: str
    rate: Callable[[Pixels], float]
    """A picture, (height, width, 3) uint8 RGB -> the higher the better; PictureError where it cannot judge it."""


def chosen(rated: RatedSet, side: Chosen, every: int = 1) -> RatedSet:
    """The pictures of one side, of every so many-th content by name; all of a set that has no sides of its own.

    Raises:
        ConfigError: there are none; it names the sides that there are.
    """
    own = {one.split for one in rated.pictures}
    if side != "all" and own != {None}:
        rated = rated.where(lambda one: one.split == side)
        if not len(rated):
            known = ", ".join(sorted(name for name in own if name))
            raise ConfigError(f"--split {side}: {rated.name} has no picture there; it has {known}, and all")
    if every > 1:
        kept = set(sorted({one.content for one in rated.pictures})[::every])
        rated = rated.where(lambda one: one.content in kept)
    return rated


def side_told(rated: RatedSet, side: Chosen) -> Chosen:
    """What a report calls the pictures of a side: ``all`` where the set has no sides."""
    return side if has_sides(rated) else "all"


def side_of(rated: RatedSet, side: Side) -> RatedSet:
    """The pictures of a side; there may be none."""
    return rated.where(lambda one: one.split == side)


def ask(rated: RatedSet, gates: Sequence[QualityGate], plain: Sequence[Plain] = (), workers: int = 1) -> list[Said]:
    """What each of the gates says of each picture, then each of the plain methods.

    Args:
        rated: the pictures.
        gates: that answer with distributions.
        plain: that answer with numbers.
        workers: threads that read.

    Raises:
        PictureError: a picture cannot be read, or judged by a plain method.
        EngineError: a gate answers what its head cannot mean.
    """
    shares: list[list[Floats]] = [[] for _ in gates]
    numbers: list[list[float]] = [[] for _ in plain]
    for batch, pictures in _batches(rated.pictures, workers):
        for own, gate in zip(shares, gates, strict=True):
            own.append(gate.judge(pictures))
        for scores, method in zip(numbers, plain, strict=True):
            scores += [_rated(method, one, pixels) for one, pixels in zip(batch, pictures, strict=True)]
    told = [np.concatenate(own) for own in shares]
    return [
        *(Said(gate.name, own @ OPINIONS, own) for gate, own in zip(gates, told, strict=True)),
        *(Said(method.name, np.array(own), on_scale=False) for method, own in zip(plain, numbers, strict=True)),
    ]


def true_shares(rated: RatedSet) -> tuple[RatedSet, Floats]:
    """The pictures whose distribution is known, and it: (n, 5)."""
    known = rated.where(lambda one: one.distribution is not None)
    return known, np.array([one.distribution for one in known.pictures], np.float64).reshape(-1, len(OPINIONS))


def has_shares(rated: RatedSet) -> NDArray[np.bool_]:
    """(n,): which pictures' distribution is known."""
    return np.array([one.distribution is not None for one in rated.pictures], np.bool_)


def at(said: Said, places: NDArray[np.bool_]) -> Said:
    """What was said of some of the pictures, (n,) true for those."""
    shares = None if said.shares is None else said.shares[places]
    return dataclasses.replace(said, scores=said.scores[places], shares=shares)


def _rated(method: Plain, picture: Rated, pixels: Pixels) -> float:
    try:
        return method.rate(pixels)
    except PictureError as error:
        raise PictureError(f"{picture.path}: {error}") from error


def _batches(pictures: Sequence[Rated], workers: int) -> Iterator[tuple[Sequence[Rated], list[Pixels]]]:
    batches = [pictures[place : place + BATCH] for place in range(0, len(pictures), BATCH)]
    yield from made_ahead(
        lambda batch: (batch, [read_picture(one.path) for one in batch]),
        track(batches, "pictures", console=Console(stderr=True), transient=True),
        workers=workers,
        ahead=AHEAD,
    )
