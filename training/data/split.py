"""Which pictures a network learns from, and which it is tested on.

A picture's content decides, before anything is done to it, so that all damaged versions of a picture lie on one
side, in every run, on every machine, whatever else is in the data set.
"""

import re
from typing import Literal

from runtime.errors import ConfigError

Split = Literal["train", "test"]

_DIGEST = re.compile(r"(?:sha256:)?([0-9a-f]{64})")
_DIGITS = 13
"""52 bits, which a float holds exactly: no digest rounds up to 1."""


def split_of(sha256: str, test_share: float) -> Split:
    """The side of a picture. A larger share takes pictures over to ``test`` and none back.

    Args:
        sha256: of the undamaged file's bytes, 64 lower-case hexadecimal digits; ``sha256:`` may stand before them.
        test_share: share of all pictures that are tested on, 0 to 1.

    Raises:
        ConfigError: the share is no share, or the digest no digest.
    """
    if not 0 <= test_share <= 1:
        raise ConfigError(f"the test share is {test_share}; it must lie in 0..1")
    digest = _DIGEST.fullmatch(sha256)
    if digest is None:
        raise ConfigError(f"{sha256!r} is no SHA-256: 64 lower-case hexadecimal digits are")
    place = int(digest[1][:_DIGITS], 16) / 16**_DIGITS
    return "test" if place < test_share else "train"
