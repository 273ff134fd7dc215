"""Damages a picture."""

import numpy as np

from runtime.decode import Pixels
from training.damage.codec import CODECS
from training.damage.damage import UNDAMAGED, Damage
from training.damage.kinds import kind_named

PLAIN_QUALITY = 95
"""JPEG quality at which a frame travels whose damage is not a codec's."""


def damaged(pixels: Pixels, damage: Damage) -> Pixels:
    """The picture after the damage: (height, width, 3) uint8 RGB in, new pixels of the same shape out.

    Settled by pixels and damage alone. ``UNDAMAGED``: the very pixels that were given.

    Raises:
        ConfigError: there is no such kind, or the strength is out of its bounds.
    """
    if damage.kind == UNDAMAGED.kind:
        return pixels
    kind = kind_named(damage.kind)
    kind.check(damage.strength)
    return kind.apply(pixels, damage.strength, np.random.Generator(np.random.PCG64(damage.seed)))


def transmitted(pixels: Pixels, damage: Damage) -> tuple[Pixels, int]:
    """``damaged``, and how many bytes a gateway receives: the codec's own, else those of a JPEG of quality 95."""
    if damage.kind not in CODECS:
        after = damaged(pixels, damage)
        return after, len(CODECS["jpeg"].encode(after, PLAIN_QUALITY))
    kind_named(damage.kind).check(damage.strength)
    codec = CODECS[damage.kind]
    encoded = codec.encode(pixels, damage.strength)
    return codec.decode(encoded), len(encoded)
