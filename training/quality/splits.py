"""Which contents are tested on, seed by seed; results over seeds are told by their median and their quartiles."""

import dataclasses
import hashlib
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from runtime.errors import ConfigError
from training.files import write_whole
from training.quality.rated import RatedSet

FORMAT = "framegate/quality-splits/1"
Division = Literal["content", "paper"]
SPLIT = " (split "
"""Stands between a set's digest and how it was divided."""
FITTED = "scores fitted to "
"""Stands before the digest of the people's scores that a proxy's were fitted to: those of TID2013."""
PAPER_TRAINING = 8073
"""Of KonIQ-10k's 10,073 pictures, by DeepRN (section 4)."""


@dataclass(frozen=True, slots=True)
class SplitOfSeed:
    """One division of a set's contents."""

    seed: int
    test: tuple[str, ...]
    """Contents; all others are learned from."""

    def apply(self, rated: RatedSet) -> RatedSet:
        """The set with these sides."""
        tested = set(self.test)
        pictures = tuple(
            dataclasses.replace(one, split="test" if one.content in tested else "train") for one in rated.pictures
        )
        return dataclasses.replace(rated, pictures=pictures)


def splits(rated: RatedSet, *, seeds: int = 10, test_share: float = 0.2) -> list[SplitOfSeed]:
    """For each seed from 0 a share of the contents, rounded: 6 of LIVE's 29 and of CSIQ's 30, 5 of TID's 25.

    Settled by the names of the contents alone, in whatever order they come. As many seeds after each other as it
    takes (five, at a fifth) test on every content, and go on in another order then.

    Raises:
        ConfigError: so few contents that one side would have none.
    """
    return [split_of_seed(rated, seed, test_share) for seed in range(seeds)]


def split_of_seed(rated: RatedSet, seed: int, test_share: float = 0.2) -> SplitOfSeed:
    """One of ``splits``.

    Raises:
        ConfigError: so few contents that one side would have none.
    """
    contents = sorted({one.content for one in rated.pictures})
    count = round(test_share * len(contents))
    if not 0 < count < len(contents):
        raise ConfigError(f"{rated.name}: {test_share:g} of {len(contents)} contents leaves one side without any")
    return SplitOfSeed(seed, _fold(contents, seed, count))


def paper_split(rated: RatedSet, seed: int) -> SplitOfSeed:
    """DeepRN's own for KonIQ-10k: 8073 pictures to learn from and the rest to test on, drawn at random.

    Raises:
        ConfigError: the set has not more pictures than are learned from.
    """
    contents = sorted({one.content for one in rated.pictures})
    if len(contents) <= PAPER_TRAINING:
        raise ConfigError(
            f"{rated.name}: the paper's split learns from {PAPER_TRAINING} of 10073 pictures, not of {len(contents)}"
        )
    return SplitOfSeed(seed, tuple(sorted(sorted(contents, key=_key(seed))[PAPER_TRAINING:])))


def with_sides(rated: RatedSet, seed: int, of: Division) -> RatedSet:
    """The set with the sides of one seed, so that a network learns from one and is held to the other.

    Args:
        rated: the set.
        seed: which split.
        of: ``content``, see ``splits``; ``paper``, see ``paper_split``, which replaces sides that the set has.

    Raises:
        ConfigError: the set has sides of its own, or cannot be divided so.
    """
    if of == "content" and has_sides(rated):
        raise ConfigError(f"{rated.name} has sides of its own, so none are drawn by a seed: leave --split-seed out")
    split = paper_split(rated, seed) if of == "paper" else split_of_seed(rated, seed)
    return dataclasses.replace(split.apply(rated), digest=f"{rated.digest}{SPLIT}{of} {seed})")


def has_sides(rated: RatedSet) -> bool:
    """Whether the set says itself what is learned from and what is tested on."""
    return any(one.split for one in rated.pictures)


def knows(rated: RatedSet, told: str, *, tested: bool) -> bool:
    """Whether a gate was trained on pictures that it is held to.

    Args:
        rated: the set, perhaps with sides of ``with_sides``.
        told: what the gate tells of its data: digests, and more.
        tested: whether it is held to the set's test or validation side alone, which the training of the same division
            left out; any mention of another division, or of the whole set, counts.

    A published set has several files of scores and parts of several sizes, so of those the name counts, too.
    """
    whole, _, own = rated.digest.partition(SPLIT)
    mentions = told.split(whole)[1:] if whole else []
    named = 0 if rated.proxy else told.count(rated.name.partition(" (")[0])
    if named > len(mentions):
        return True
    same = (after.startswith(SPLIT + own) if own else not after.startswith(SPLIT) for after in mentions)
    return any(not (tested and one) for one in same)


def may_know(rated: RatedSet, told: str) -> bool:
    """Whether a gate learned scores that were fitted to a table of the same published set, which may be another part.

    Args:
        rated: the set.
        told: what the gate tells of its data.
    """
    return FITTED in told and rated.name.startswith("TID2013")


def as_learned(rated: RatedSet, told: str) -> RatedSet | None:
    """A set with the sides of the division that a gate was trained with.

    Args:
        rated: the whole set, as its folder has it.
        told: what the gate tells of its data.

    Returns:
        None where it tells of no division of the set; it may tell of more than one (``knows``): this is the first.
    """
    _, mentioned, after = told.partition(rated.digest + SPLIT) if rated.digest else ("", "", "")
    if not mentioned:
        return None
    division, seed = after.partition(")")[0].split()
    return with_sides(rated, int(seed), "paper" if division == "paper" else "content")


def write_splits(path: Path, rated: RatedSet, drawn: Sequence[SplitOfSeed]) -> None:
    """A file by which others, with tools of their own, repeat them: which contents are on which side."""
    contents = {one.content for one in rated.pictures}
    document = {
        "format": FORMAT,
        "set": rated.name,
        "digest": rated.digest,
        "splits": [
            {"seed": one.seed, "train": sorted(contents - set(one.test)), "test": list(one.test)} for one in drawn
        ],
    }
    write_whole(path, json.dumps(document, indent=1).encode())


def median_and_quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    """Median, first and third quartile of results over seeds; NaN of nothing."""
    if not len(values):
        return float("nan"), float("nan"), float("nan")
    first, middle, third = np.quantile(values, [0.25, 0.5, 0.75])
    return float(middle), float(first), float(third)


def _fold(contents: Sequence[str], seed: int, count: int) -> tuple[str, ...]:
    folds = math.ceil(len(contents) / count)
    order = sorted(contents, key=_key(seed // folds))
    first = seed % folds * count
    return tuple(sorted(order[place % len(order)] for place in range(first, first + count)))


def _key(seed: int) -> Callable[[str], bytes]:
    return lambda content: hashlib.sha256(f"{seed}:{content}".encode(errors="replace")).digest()
