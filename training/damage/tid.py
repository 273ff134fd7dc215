"""TID2013's 24 kinds of distortion (Ponomarenko et al., 2015), each at its five levels."""

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
    18: ("less_saturation", "more_saturation"),
    19: ("multiplicative_noise",),
    20: ("comfort_noise",),
    21: ("noisy_jpeg",),
    22: ("dither",),
    23: ("aberration",),
    24: ("sparse",),
}
"""From its number there to our names. Kinds that go both ways there are two here."""

Ladder = tuple[float, float, float, float, float]

LADDERS: dict[str, Ladder] = {
    "noise": (5.8, 8.1, 11.4, 16.5, 23.7),
    "chroma_noise": (1.6, 2.25, 3.2, 4.5, 6.6),
    "correlated_noise": (5.8, 8.1, 11.4, 16.5, 23.2),
    "masked_noise": (5.8, 8.3, 11.7, 16.9, 24.9),
    "high_frequency_noise": (6.1, 8.7, 15.7, 26.8, 49.3),
    "impulse": (0.0022, 0.0045, 0.0088, 0.018, 0.036),
    "quantisation": (19.6, 24.6, 38.7, 55.5, 82.6),
    "gaussian": (0.61, 0.98, 1.47, 2.17, 3.2),
    "denoise": (7.7, 10.6, 15.3, 25.7, 63),
    "jpeg": (75, 45, 20, 10, 6),
    "jpeg2000": (19, 34, 74, 180, 400),
    "jpeg_errors": (0.04, 0.1, 0.2, 0.4, 0.7),
    "jpeg2000_errors": (0.02, 0.06, 0.106, 0.187, 0.292),
    "pattern_noise": (80, 120, 170, 230, 320),
    "local_blocks": (8, 13, 20, 30, 45),
    "brighter": (6.5, 10.5, 20, 30, 37),
    "darker": (6.5, 10.5, 20, 30, 37),
    "less_contrast": (1.1, 1.2, 1.28, 1.58, 1.79),
    "more_contrast": (1.1, 1.19, 1.26, 1.49, 1.62),
    "less_saturation": (0.29, 0.41, 0.58, 0.83, 1.16),
    "more_saturation": (0.29, 0.42, 0.58, 0.9, 1.3),
    "multiplicative_noise": (0.047, 0.066, 0.097, 0.137, 0.199),
    "comfort_noise": (12, 19, 38, 80, 200),
    "noisy_jpeg": (6.1, 10.9, 19, 29.4, 42),
    "dither": (138, 55, 27, 12, 4),
    "aberration": (0.55, 1.05, 1.83, 2.77, 4.65),
    "sparse": (0.085, 0.041, 0.0196, 0.0118, 0.0059),
}
"""Strengths at the levels 1, the mildest, to 5, chosen by the median PSNR over photographs that are not TID2013's.

TID2013 has 33, 30, 27, 24 and 21 dB for most kinds, and others for some. Additive noise, impulses, quantisation and
brightness meet its levels within half a decibel over any photographs. With other kinds the picture matters: of 14
photographs the medians are mostly within 2 dB, but blur's are 3 to 5 lower, JPEG 2000's 2.5 lower at the mild levels,
and those of bit errors in a JPEG up to 5 higher in the middle. Changes of saturation have 4 less in stronger colours.
"""


def between(kind: str, ladder: Ladder, level: float) -> float:
    """The strength at a level of a ladder: between two of its strengths, and beyond its ends, by their ratio.

    Args:
        kind: of damage; the strength stays in its bounds.
        ladder: five strengths.
        level: from about 0.4 to 5.5.
    """
    step = min(max(int(level), 1), 4)
    low, high = ladder[step - 1], ladder[step]
    known = kind_named(kind)
    strength = min(max(low * (high / low) ** (level - step), known.bounds[0]), known.bounds[1])
    return float(round(strength)) if known.whole else float(f"{strength:.4g}")
