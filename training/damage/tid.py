"""TID2013's 24 kinds of distortion (Ponomarenko et al., 2015), each at its five levels."""

from bisect import bisect_right
from collections.abc import Mapping

from training.damage.kinds import kind_named

KINDS_OF_TID: dict[int, tuple[str, ...]] = {
    1: ("noise",),
    2: ("chroma_noise",),
    3: ("correlated_noise",),
    4: ("masked_noise",),
    5: ("high_frequency_noise",),
    6: ("impulse",),
    7: ("quantisation",),
    8: ("gaussian",),
    9: ("denoise",),
    10: ("jpeg",),
    11: ("jpeg2000",),
    12: ("jpeg_errors",),
    13: ("jpeg2000_errors",),
    14: ("pattern_noise",),
    15: ("local_blocks",),
    16: ("brighter", "darker"),
    17: ("less_contrast", "more_contrast"),
    18: ("less_saturation",),
    19: ("multiplicative_noise",),
    20: ("comfort_noise",),
    21: ("noisy_jpeg",),
    22: ("dither",),
    23: ("aberration",),
    24: ("sparse",),
}
"""From its number there to our names. Kinds that go both ways there are two here."""

Ladder = Mapping[int, float]
"""From levels, 1 the mildest and 5 the harshest, to strengths. A kind may lack some."""


def five(*strengths: float) -> Ladder:
    """A ladder of the levels 1 to 5."""
    return dict(enumerate(strengths, 1))


LADDERS: dict[str, Ladder] = {
    "noise": five(5.8, 8.1, 11.4, 16.5, 23.7),
    "chroma_noise": five(1.6, 2.25, 3.2, 4.5, 6.6),
    "correlated_noise": five(5.8, 8.1, 11.4, 16.5, 23.2),
    "masked_noise": five(5.8, 8.3, 11.7, 16.9, 24.9),
    "high_frequency_noise": five(6.1, 8.7, 15.7, 26.8, 49.3),
    "impulse": five(0.0022, 0.0045, 0.0088, 0.018, 0.036),
    "quantisation": five(19.6, 24.6, 38.7, 55.5, 82.6),
    "gaussian": five(0.61, 0.98, 1.47, 2.17, 3.2),
    "denoise": five(7.7, 10.6, 15.3, 25.7, 63),
    "jpeg": five(75, 45, 20, 10, 6),
    "jpeg2000": five(19, 34, 74, 180, 400),
    "jpeg_errors": five(0.04, 0.08, 0.15, 0.27, 0.45),
    "jpeg2000_errors": five(0.02, 0.06, 0.106, 0.187, 0.292),
    "pattern_noise": five(102, 204, 305, 407, 509),
    "local_blocks": five(10, 20, 31, 41, 51),
    "brighter": {2: 10, 4: 30},
    "darker": {1: 6, 3: 20, 5: 40},
    "less_contrast": {1: 1.11, 3: 1.33, 5: 2},
    "more_contrast": {2: 1.2, 4: 1.43},
    "less_saturation": five(0.29, 0.41, 0.58, 0.83, 1),
    "multiplicative_noise": five(0.047, 0.066, 0.097, 0.137, 0.199),
    "comfort_noise": five(12, 19, 38, 80, 200),
    "noisy_jpeg": five(6.1, 10.9, 19, 29.4, 42),
    "dither": five(138, 55, 27, 12, 4),
    "aberration": five(0.55, 1.05, 1.83, 2.77, 4.65),
    "sparse": five(0.085, 0.041, 0.0196, 0.0118, 0.0059),
}
"""Strengths at the levels that TID2013 has.

Read off its pictures: shifts of the mean go down, up, down, up, down (6, 10, 20, 30 and 40 of 255), and contrast
likewise (divided by 1.11, 1.33 and 2, times 1.2 and 1.43), so each direction has two or three levels. Of patches that
lie where they do not belong there are 20 to 100, further and further away; and of blocks of a colour ten at its first
level and two at its last: people mind those ten more, so here that is the harshest (``level_of_tid``).

The others are chosen by the median PSNR over photographs that are not TID2013's. It has 33, 30, 27, 24 and 21 dB for
most kinds, and others for some. Additive noise, impulses and quantisation meet its levels within half a decibel over
any photographs. With other kinds the picture matters: of 14 photographs the medians are mostly within 2 dB, but blur's
are 3 to 5 lower, and JPEG 2000's 2.5 lower at the mild levels. TID2013 takes colour away until it has these, from some
pictures so much that they turn into their complements; that is another distortion, and ours ends at grey.
"""


def level_of_tid(kind: str, level: int) -> int:
    """The level that TID2013 gives to a level of ours."""
    return 6 - level if kind == "local_blocks" else level


def between(kind: str, ladder: Ladder, level: float) -> float:
    """The strength at a level of a ladder: between two of its strengths, and beyond its ends, by their ratio.

    Args:
        kind: of damage; the strength stays in its bounds.
        ladder: two strengths at least.
        level: from about 0.4 to 6.4.
    """
    levels = sorted(ladder)
    below = levels[min(max(bisect_right(levels, level) - 1, 0), len(levels) - 2)]
    above = levels[levels.index(below) + 1]
    low, high = ladder[below], ladder[above]
    known = kind_named(kind)
    strength = low * (high / low) ** ((level - below) / (above - below))
    strength = min(max(strength, known.bounds[0]), known.bounds[1])
    return float(round(strength)) if known.whole else float(f"{strength:.4g}")
