"""``manifest.csv``: the samples of a cover set, a row each."""

import csv
import functools
import hashlib
import io
import operator
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from runtime.errors import ConfigError
from training.cover.levels import HIGHEST, LOWEST
from training.data.split import Split, split_of
from training.data.text import read_text

FILE = "manifest.csv"
NEEDED = ("image", "mask", "source", "level", "sigma", "score")
COLUMNS = (*NEEDED, "split")
_SPLITS: dict[str, Split] = {"train": "train", "test": "test"}
FOREIGN_TEST_SHARE = 0.2
"""Of the sources of a manifest that says nothing of a split."""


@dataclass(frozen=True, slots=True)
class CoverSample:
    """A picture under one blur."""

    image: str
    """The picture's path below the set's root, with ``/``."""
    mask: str | None
    """Its mask's path; None: its subject is not marked."""
    source: str
    """Which undamaged picture it is of: samples of one source share it."""
    level: int
    """Place in the ladder, 0 for the sharp one."""
    sigma_px: float
    """Of the Gaussian, in pixels of the picture after any halving."""
    score: float | None
    """1 to 10; None: unknown, and only the mask counts."""
    split: Split


@dataclass(frozen=True, slots=True)
class Manifest:
    """The whole file."""

    samples: tuple[CoverSample, ...]
    has_splits: bool
    """Whether the file says on which side each sample is."""


def source_split(source: str, seed: int, test_share: float) -> Split:
    """The side of a source, from what names it (a picture's SHA-256 where there is one) and the seed alone."""
    return split_of(hashlib.sha256(f"{seed}:{source}".encode()).hexdigest(), test_share)


def read_manifest(path: Path) -> Manifest:
    """Every sample, in the file's order. Without the column ``split``, sources fall to their sides by their names.

    Raises:
        ConfigError: the file is missing, has other columns, no row, or a row that is no sample; the row is named.
    """
    rows = csv.reader(io.StringIO(read_text(path)))
    columns = [name.strip() for name in next(rows, [])]
    lacking = [name for name in NEEDED if name not in columns]
    if lacking:
        raise ConfigError(
            f"{path} has no column {', '.join(lacking)}: its first line must name {', '.join(COLUMNS)} (split may lack)"
        )
    splits = COLUMNS[-1] in columns
    order = operator.itemgetter(*(columns.index(name) for name in (COLUMNS if splits else NEEDED)))
    samples = []
    for number, row in enumerate(rows, start=2):
        try:
            if len(row) != len(columns):
                raise ValueError(f"{len(row)} fields; the first line names {len(columns)}")
            samples.append(_sample(*order(row)))
        except ValueError as error:
            raise ConfigError(f"{path}, row {number}: {error}") from error
    if not samples:
        raise ConfigError(f"{path} has no sample: only its first line is there")
    return Manifest(tuple(samples), splits)


def manifest_bytes(samples: Sequence[CoverSample]) -> bytes:
    """The file's content."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for one in samples:
        score = "" if one.score is None else f"{one.score:g}"
        writer.writerow([one.image, one.mask or "", one.source, one.level, f"{one.sigma_px:g}", score, one.split])
    return text.getvalue().encode()


def _sample(
    image: str, mask: str, source: str, level: str, sigma: str, score: str, split: str | None = None
) -> CoverSample:
    side = _foreign_split(source) if split is None else _SPLITS.get(split)
    if side is None:
        raise ValueError(f"the split is {split!r}; it must be train or test")
    sample = CoverSample(image, mask or None, source, int(level), float(sigma), float(score) if score else None, side)
    fault = _path_fault(image) or (mask and _path_fault(mask)) or _fault(sample)
    if fault:
        raise ValueError(fault)
    return sample


@functools.lru_cache(maxsize=2)  # a source's samples mostly follow one another
def _foreign_split(source: str) -> Split:
    return source_split(source, 0, FOREIGN_TEST_SHARE)


def _path_fault(path: str) -> str:
    if path and path[0] != "/" and not (".." in path and ".." in PurePosixPath(path).parts):
        return ""
    return f"the path {path!r} must lie below the set's root"


def _fault(sample: CoverSample) -> str:
    if sample.score is not None and not LOWEST <= sample.score <= HIGHEST:
        return f"the score {sample.score:g} is not from {LOWEST:g} to {HIGHEST:g}"
    if not 0 <= sample.sigma_px < float("inf"):
        return f"the sigma {sample.sigma_px:g} is no number of pixels"
    if not sample.source:
        return "the source is empty: it says which samples are of one picture"
    return "" if sample.score is not None or sample.mask else "there is neither a mask nor a score: nothing to learn"
