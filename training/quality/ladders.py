"""Kinds of distortion of the proxy set, each with its levels: TID2013's 24, and some that cameras add."""

from training.damage import tid
from training.damage.tid import Ladder, between, five

CAMERA: dict[str, Ladder] = {
    "blur": five(0.8, 1.5, 2.5, 4, 6.5),
    "motion": five(2.5, 5, 9, 15, 25),
    "downscale": five(1.3, 1.8, 2.5, 3.5, 5),
    "low_light": five(1500, 500, 170, 60, 20),
    "avif": five(60, 45, 30, 18, 8),
    "more_saturation": five(0.4, 0.8, 1.4, 2.3, 4),
}
"""Colours that are too strong are no kind of TID2013's: it takes colour away only."""
LADDERS: dict[str, Ladder] = tid.LADDERS | CAMERA


def strength_at(kind: str, level: float) -> float:
    """The strength of a kind of ``LADDERS`` at a level: 1 is the mildest of the ladder, 5 the harshest."""
    return between(kind, LADDERS[kind], level)
