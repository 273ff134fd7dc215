"""The aspect ratio that a cover is wanted in."""

import re
from typing import NamedTuple

MAX_TERM = 10_000
_ASPECT = re.compile(r"(\d{1,5}):(\d{1,5})", re.ASCII)


class Aspect(NamedTuple):
    """Width to height, in whole numbers: of pixels, so of the picture as it is seen."""

    width: int
    height: int

    def __str__(self) -> str:
        return f"{self.width}:{self.height}"


WIDE = Aspect(16, 9)


def parse_aspect(text: str) -> Aspect:
    """Read ``W:H``.

    Raises:
        ValueError: it is something else; the text says what is due.
    """
    given = _ASPECT.fullmatch(text.strip())
    if given is None or not all(0 < int(term) <= MAX_TERM for term in given.groups()):
        raise ValueError(f"an aspect is W:H, two whole numbers from 1 to {MAX_TERM} such as 16:9 or 239:100")
    return Aspect(int(given[1]), int(given[2]))
