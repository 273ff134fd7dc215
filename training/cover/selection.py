"""Which samples of a cover set an evaluation is on."""

import dataclasses
import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from runtime.errors import ConfigError
from training.cover.cover_set import CoverSet

Part = Literal["train", "test", "all"]


@dataclass(frozen=True)
class Selection:
    """The samples, and how they were chosen."""

    chosen: CoverSet
    split: Part
    every: int
    levels: tuple[int, ...]
    """That are among them."""

    @property
    def digest(self) -> str:
        """Of the set and the choice: equal digests, equal samples."""
        text = f"{self.chosen.digest} {self.split} {self.every} {self.levels}"
        return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def select(whole: CoverSet, split: Part, every: int, levels: Collection[int] | None) -> Selection:
    """Choose samples.

    Args:
        whole: the set.
        split: the side.
        every: 3 takes the 1st, 4th, 7th ... source, with all of its levels.
        levels: numbers of the levels to take; None: all.

    Raises:
        ConfigError: the set has no such level, or nothing is left.
    """
    part = whole if split == "all" else whole.of_split(split)
    there = sorted({one.level for one in whole.samples})
    unknown = sorted(set(levels or ()) - set(there))
    if unknown:
        raise ConfigError(
            f"--levels {', '.join(map(str, unknown))}: the cover set {whole.name} has the levels "
            f"{', '.join(map(str, there))}"
        )
    kept = set(list(dict.fromkeys(one.source for one in part.samples))[::every])
    samples = tuple(one for one in part.samples if one.source in kept and (levels is None or one.level in levels))
    if not samples:
        raise ConfigError(f"--split {split}: the cover set {whole.name} has no such picture; try another")
    return Selection(
        dataclasses.replace(part, samples=samples), split, every, tuple(sorted({one.level for one in samples}))
    )
