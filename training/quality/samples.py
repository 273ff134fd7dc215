"""What a no-reference network learns from: pairs of pictures of one content, under one window."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from runtime.decode import Pixels
from runtime.errors import ConfigError
from runtime.manifest import Input
from runtime.preprocess import Preprocessor
from training.data.order import Order
from training.data.picture import read_picture
from training.generator import generator
from training.quality.rated import Rated, RatedSet
from training.quality.target import Target


@dataclass(frozen=True)
class Batch:
    """What one step learns from."""

    inputs: tuple[Pixels, ...]
    """Per input of the network: (n, ..., 3) uint8 RGB."""
    distribution: NDArray[np.float32]
    """(n, 5): shares of the votes."""
    mos: NDArray[np.float32]
    """(n,) in [1, 5]."""
    pair: NDArray[np.int64]
    """(n,): pictures of one number are of one content, kind and window, and differ."""
    level: NDArray[np.float32]
    """(n,): within a pair the stronger distortion has the higher one; NaN where people's scores settle the order."""


@dataclass(frozen=True, slots=True)
class _Judged:
    picture: Rated
    target: Target
    level: float
    """NaN where a set's scores are people's."""


class Pairs:
    """An endless sequence of pairs; each place in it is settled by the seed and its number alone.

    A pair is two pictures of one content: two strengths of one kind of distortion, or one and the undistorted picture.
    Both are cut and turned alike, so that they differ in nothing else. A set that names no kinds, or has one picture of
    each content, gives pairs of the same content where it can, and single pictures twice where it cannot.

    Args:
        sets: with the targets of their pictures, in their order.
        inputs: what the network is shown.
        least_window: of a picture's height and width each this part is shown at least.
        seed: settles all that is drawn.
    """

    def __init__(
        self, sets: Sequence[tuple[RatedSet, Sequence[Target]]], inputs: Sequence[Input], least_window: float, seed: int
    ) -> None:
        """Raises ConfigError where there is nothing to learn from."""
        self._groups = [group for rated, targets in sets for group in _judged(rated, targets)]
        if not self._groups:
            raise ConfigError(f"{', '.join(one.name for one, _ in sets)}: there is no picture to learn from")
        self._preprocessors = [Preprocessor(spec) for spec in inputs]
        self._least, self._seed = least_window, seed
        self._order = Order(len(self._groups), seed)

    def __len__(self) -> int:
        """Pairs of an epoch."""
        return len(self._groups)

    def batch(self, step: int, pairs: int) -> Batch:
        """A step's pairs: twice as many pictures."""
        places, mirrored = self._order.batch(step, pairs)
        drawn: list[tuple[_Judged, tuple[Pixels, ...], int]] = []
        for number, (place, mirror) in enumerate(zip(places, mirrored, strict=True)):
            rng = generator(f"{self._seed}:quality:{step}:{number}")
            first, second = self._pair(self._groups[place], bool(mirror), rng)
            # Some strengths are rounded to one, and some kinds do nothing to a grey picture: no one can tell those two.
            other = number if _differ(first[1], second[1]) else pairs + number
            drawn += [(*first, number), (*second, other)]
        return Batch(
            tuple(np.stack(each) for each in zip(*(seen for _, seen, _ in drawn), strict=True)),
            np.array([one.target.distribution for one, _, _ in drawn], np.float32),
            np.array([one.target.mos for one, _, _ in drawn], np.float32),
            np.array([number for _, _, number in drawn], np.int64),
            np.array([one.level for one, _, _ in drawn], np.float32),
        )

    def _pair(
        self, group: Sequence[_Judged], mirror: bool, rng: np.random.Generator
    ) -> list[tuple[_Judged, tuple[Pixels, ...]]]:
        chosen = rng.choice(len(group), size=2, replace=len(group) < 2)
        return [
            (group[place], self._seen(group[place].picture.path, mirror, window))
            for window in [rng.random(4)]
            for place in chosen
        ]

    def _seen(self, path: Path, mirror: bool, window: NDArray[np.float64]) -> tuple[Pixels, ...]:
        pixels = read_picture(path)
        height, width = pixels.shape[:2]
        tall, wide = (
            round(side * (self._least + (1 - self._least) * share))
            for side, share in zip((height, width), window[:2], strict=True)
        )
        top, left = int(window[2] * (height - tall + 1)), int(window[3] * (width - wide + 1))
        part = pixels[top : top + tall, left : left + wide]
        return shown(np.ascontiguousarray(part[:, ::-1] if mirror else part), self._preprocessors)


def shown(pixels: Pixels, preprocessors: Sequence[Preprocessor]) -> tuple[Pixels, ...]:
    """A picture as the gateway shows it to each input."""
    slots = []
    for preprocessor in preprocessors:
        batch = preprocessor.batch(1)
        preprocessor.fill(pixels, batch[0])
        slots.append(batch[0])
    return tuple(slots)


def ladders(pictures: Sequence[Rated]) -> list[list[int]]:
    """Places of the pictures of one reference and kind, with the undistorted one."""
    by_kind: dict[tuple[str, str], list[int]] = defaultdict(list)
    undistorted: dict[str, int] = {}
    for place, picture in enumerate(pictures):
        source = str(picture.reference or picture.name)
        if picture.level == 0:
            undistorted[source] = place
        else:
            by_kind[source, picture.kind or ""].append(place)
    groups = [
        [*group, undistorted[source]] if source in undistorted else group for (source, _), group in by_kind.items()
    ]
    alone = undistorted.keys() - {source for source, _ in by_kind}
    return groups + [[undistorted[source]] for source in sorted(alone)]


def level_of(picture: Rated, proxy: bool) -> float:
    """Metrics misjudge how strong some distortions are, but we know: we made them. People are believed, by a NaN."""
    return picture.level if proxy and picture.level is not None else float("nan")


def _judged(rated: RatedSet, targets: Sequence[Target]) -> list[list[_Judged]]:
    """By ladders."""
    judged = [
        _Judged(picture, target, level_of(picture, rated.proxy))
        for picture, target in zip(rated.pictures, targets, strict=True)
    ]
    return [[judged[place] for place in group] for group in ladders(rated.pictures)]


def _differ(first: Sequence[Pixels], second: Sequence[Pixels]) -> bool:
    return not all(np.array_equal(one, two) for one, two in zip(first, second, strict=True))
