"""Pictures with the opinions of people on them: what every reader of a published set gives, and the proxy set."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from runtime.heads import OPINIONS

WORST, BEST = 1.0, 5.0
"""The scale that networks learn: absolute category rating, ITU-T P.910."""

Side = Literal["train", "validation", "test"]
Distribution = tuple[float, float, float, float, float]
"""Shares of the votes 1 to 5; they sum to 1."""


@dataclass(frozen=True, slots=True)
class Rated:
    """One judged picture. What a set does not tell is None."""

    name: str
    """Path below the set's folder, with ``/``: unique in it."""
    path: Path
    reference: Path | None
    """The undistorted picture, of the same size."""
    content: str
    """What is shown. Pictures of one content lie on one side of every split."""
    mos: float
    """Mean opinion score, on the set's own scale."""
    std: float | None = None
    """Standard deviation of the opinions, on that scale."""
    distribution: Distribution | None = None
    kind: str | None = None
    """Of distortion, as the set names it."""
    level: float | None = None
    split: Side | None = None
    """The set's own."""


@dataclass(frozen=True)
class RatedSet:
    """A set of judged pictures, and what their scores mean."""

    name: str
    pictures: tuple[Rated, ...]
    scale: tuple[float, float]
    """Lowest and highest score that the set can give; real ones may lie a little beyond."""
    lower_better: bool = False
    """DMOS: how much worse than the reference."""
    proxy: bool = False
    """Scores are estimated, no person gave them."""
    digest: str = ""
    """``sha256:`` of the files that the scores were read from."""
    fitted_to: str = ""
    """Of a proxy: the digest of the people's scores that its own were fitted to, where there are any."""

    def __len__(self) -> int:
        return len(self.pictures)

    def truth(self) -> NDArray[np.float64]:
        """(n,): every picture's score, linear in the scale, whose ends are 1 and 5, 5 the best.

        As it was given: LIVE's realigned ones lie a little beyond both ends.
        """
        low, high = self.scale
        share = (np.array([one.mos for one in self.pictures], np.float64) - low) / (high - low)
        return WORST + (BEST - WORST) * (1 - share if self.lower_better else share)

    def mos5(self) -> NDArray[np.float64]:
        """(n,): every picture's score in [1, 5], as a network can give it: beyond the scale's ends these."""
        return np.clip(self.truth(), WORST, BEST)

    def opinions(self) -> NDArray[np.float64]:
        """(n,): what the mean of a predicted distribution should be, in [1, 5].

        The mean of the votes, where the set's scores are on another scale (KonIQ-10k's z-scores are no line of it);
        else its score.
        """
        if self.scale == (WORST, BEST):
            return self.mos5()
        return np.array(
            [
                score if one.distribution is None else float(np.dot(one.distribution, OPINIONS))
                for one, score in zip(self.pictures, self.mos5(), strict=True)
            ],
            np.float64,
        )

    def where(self, wanted: Callable[[Rated], bool]) -> "RatedSet":
        """The pictures that are wanted; there may be none."""
        return dataclasses.replace(self, pictures=tuple(one for one in self.pictures if wanted(one)))
