"""Pairs that nobody judged: of two strengths of a distortion of one photograph the stronger is the worse.

That needs neither people nor metrics, so any sharp photographs teach it, each time in another way (RankIQA, Liu et al.
2017). What a set of judged pictures has of them is few contents; and an order that is learned of few holds for few.
"""

from collections.abc import Sequence

import numpy as np

from runtime.decode import Pixels
from runtime.errors import ConfigError
from runtime.manifest import Input
from runtime.preprocess import Preprocessor
from training.damage.apply import damaged
from training.damage.damage import Damage
from training.data.order import Order
from training.data.split import split_of
from training.quality.ladders import LADDERS, LEAST_LEVEL, MOST_LEVEL, strength_at
from training.quality.proxy_set import ProxyHeader
from training.quality.references import Photograph, cuts
from training.quality.samples import Batch, differ, drawing, part_of, shown

SIZE = (384, 512)
"""(height, width) of a cut at most, as the sets of ``build quality`` have them."""
UNDISTORTED = 1 / 3
"""Share of pairs that are one strength beside the photograph itself; the others are two strengths."""


class OrderedPairs:
    """An endless sequence of pairs, each made anew; each place in it is settled by the seed and its number alone.

    Args:
        photographs: without a fault that anyone could see.
        inputs: what the network is shown.
        least_window: see ``training.quality.samples.Pairs``.
        seed: settles all that is drawn.
    """

    def __init__(
        self, photographs: Sequence[Photograph], inputs: Sequence[Input], least_window: float, seed: int
    ) -> None:
        self._photographs = photographs
        self._preprocessors = [Preprocessor(spec) for spec in inputs]
        self._least, self._seed = least_window, seed
        self._order = Order(len(photographs), seed)

    def batch(self, step: int, pairs: int) -> Batch:
        """A step's pairs: twice as many pictures, whose votes and scores are NaN."""
        places, mirrored = self._order.batch(step, pairs)
        seen: list[tuple[Pixels, ...]] = []
        levels: list[float] = []
        numbers: list[int] = []
        for number, (place, mirror) in enumerate(zip(places, mirrored, strict=True)):
            rng = drawing(self._seed, "ordered", step, number)
            first, second = self._pair(self._photographs[place], bool(mirror), rng)
            seen += [first[0], second[0]]
            levels += [first[1], second[1]]
            numbers += [number, number if differ(first[0], second[0]) else pairs + number]
        count = len(levels)
        return Batch(
            tuple(np.stack(each) for each in zip(*seen, strict=True)),
            np.full((count, 5), np.nan, np.float32),
            np.full(count, np.nan, np.float32),
            np.array(numbers, np.int64),
            np.array(levels, np.float32),
        )

    def _pair(
        self, photograph: Photograph, mirror: bool, rng: np.random.Generator
    ) -> list[tuple[tuple[Pixels, ...], float]]:
        [cut] = cuts(photograph, SIZE, 1, int(rng.integers(2**31)))
        kind, seed, window = str(rng.choice(list(LADDERS))), int(rng.integers(2**31)), rng.random(4)
        mild = 0.0 if rng.random() < UNDISTORTED else float(rng.uniform(LEAST_LEVEL, MOST_LEVEL))
        levels = [mild, float(rng.uniform(LEAST_LEVEL, MOST_LEVEL))]
        pictures = [damaged(cut, Damage(kind, strength_at(kind, level), seed)) if level else cut for level in levels]
        return [
            (shown(part_of(pixels, mirror, window, self._least), self._preprocessors), level)
            for pixels, level in zip(pictures, levels, strict=True)
        ]


def not_tested(photographs: Sequence[Photograph], sets: Sequence[ProxyHeader]) -> list[Photograph]:
    """Those that are not on the test side of a proxy set.

    Raises:
        ConfigError: none is left.
    """
    tested = {
        sha256 for one in sets for sha256 in one.photographs.values() if split_of(sha256, one.test_share) == "test"
    }
    left = [one for one in photographs if one.sha256 not in tested]
    if not left:
        raise ConfigError("--photographs: all are on the test side of a set in --data; give others")
    return left
