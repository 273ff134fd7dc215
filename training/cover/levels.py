"""The ladder of Gaussian blurs and the score of each rung, from 10 (sharp) down to 1.

The paper ("News Cover Assessment via Multi-task Learning", section 4.1) names ten levels and scores in [1, 10], but no
sigmas. Its printed scores are 9.5, 7.5, 5.625 and 4.21875: a first step, then 10 x 0.75^k.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from runtime.decode import Pixels
from runtime.errors import ConfigError
from training.damage.blur import gaussian

HIGHEST, LOWEST = 10.0, 1.0
"""Scores, of a sharp picture and of the worst."""
GATE = 2.3
"""Eq. 3: below this score there is no subject to be found, and a picture's mask is not learnt from."""

_SOFTEST_PX, _HARSHEST_PX = 0.6, 8.0
_STEPS = 9


@dataclass(frozen=True, slots=True)
class Level:
    """A rung: the Gaussian's standard deviation in pixels of the picture, 0 for none, and the score, 1 to 10."""

    sigma_px: float
    score: float

    def __post_init__(self) -> None:
        if not (0 <= self.sigma_px < float("inf") and LOWEST <= self.score <= HIGHEST):
            raise ConfigError(
                f"the level {self.sigma_px:g}:{self.score:g} is none: a sigma is 0 pixels or more, a score "
                f"{LOWEST:g} to {HIGHEST:g}"
            )


def _ladder() -> tuple[Level, ...]:
    ratio = _HARSHEST_PX / _SOFTEST_PX
    sigmas = [0.0, *(round(_SOFTEST_PX * ratio ** (step / (_STEPS - 1)), 4) for step in range(_STEPS))]
    scores = [HIGHEST, 9.5, *(round(HIGHEST * 0.75**step, 4) for step in range(1, _STEPS))]
    return tuple(map(Level, sigmas, scores))


LEVELS = _ladder()
"""No blur and nine sigmas in geometric steps from 0.6 to 8 px; 10, 9.5, 7.5, 5.625 ... 1.0011."""


def parse_levels(text: str) -> tuple[Level, ...]:
    """Levels written as ``SIGMA:SCORE,SIGMA:SCORE,...``.

    Raises:
        ConfigError: it is written otherwise, or the levels are not in order, see ``check_levels``.
    """
    try:
        pairs = [entry.split(":") for entry in text.split(",")]
        levels = tuple(Level(float(sigma), float(score)) for sigma, score in pairs)
    except ValueError as error:
        raise ConfigError(f"--levels {text}: write SIGMA:SCORE,SIGMA:SCORE, such as 0:10,0.6:9.5,0.83:7.5") from error
    check_levels(levels)
    return levels


def check_levels(levels: Sequence[Level]) -> None:
    """Require more blur to score less.

    Raises:
        ConfigError: there is no level, or two of which the one with more blur does not score less.
    """
    if not levels:
        raise ConfigError("there is no blur level: give at least one")
    for one, other in pairwise(levels):
        if not (one.sigma_px < other.sigma_px and one.score > other.score):
            raise ConfigError(
                f"the levels {one.sigma_px:g}:{one.score:g} and {other.sigma_px:g}:{other.score:g} stand in this "
                "order: from one level to the next the sigma must grow and the score fall"
            )


def blurred(pixels: Pixels, sigma_px: float) -> Pixels:
    """A picture under a Gaussian: (height, width, 3) uint8 in, the same out; sigma 0 gives the same array.

    On the 8-bit values; the kernel ends at 4 sigma, rounded up to whole pixels; the border is mirrored without
    repeating its pixel (OpenCV's BORDER_REFLECT_101).
    """
    return pixels if sigma_px == 0 else gaussian(pixels, sigma_px)
