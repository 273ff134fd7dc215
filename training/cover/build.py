"""From a data set's pictures and masks to a cover set: each source under each blur of the ladder."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from runtime.errors import ConfigError
from training.cover import manifest
from training.cover.cover_set import CoverSet
from training.cover.header import CoverHeader, SplitRule, read_header, write_header
from training.cover.levels import LEVELS, Level
from training.cover.manifest import CoverSample, source_split
from training.cover.written import write_pictures
from training.data.layout_names import Layout
from training.data.layouts import Found, read_masked
from training.data.mask import MaskedSource, decode_mask
from training.data.picture import PictureError, picture_size
from training.data.split import Split
from training.feeder import made_ahead
from training.files import write_whole
from training.lock import only_writer

UNSCORED = (Level(0, 10),)
"""The one level of a set without scores."""


class Watcher(Protocol):
    """Who follows a build."""

    def begin(self, phase: str, total: int) -> None:
        """A phase of so many steps begins."""

    def advance(self) -> None:
        """One step is done."""


@dataclass(frozen=True)
class Plan:
    """What is built of which pictures."""

    pictures: Path
    layout: Layout | None = None
    """None: the one that the folder shows."""
    subset: str | None = None
    """PASCAL VOC's list."""
    levels: tuple[Level, ...] = LEVELS
    """None at all: each picture once, as it is, without a score."""
    split: SplitRule = "source"
    """Of no matter where the data set itself has a say: then it is ``given``, unless all go to one side."""
    test_share: float = 0.2
    seed: int = 0
    every: int = 1
    """Take each so many-th picture, by name."""
    limit: int | None = None
    """Take so many pictures, chosen by the seed."""
    halve: bool = False
    written: bool = False
    """Write blurred pictures and their masks, instead of blurring on reading."""
    without: tuple[Path, ...] = ()
    """Folders of cover sets whose pictures are left out."""


@dataclass(frozen=True)
class _Source:
    source: MaskedSource
    sha256: str
    mask_sha256: str | None


def build(folder: Path, plan: Plan, watcher: Watcher, *, workers: int = 2) -> CoverSet:
    """Build a set into a folder.

    Raises:
        ConfigError: the folder holds a set already, the pictures do not follow the layout, or one of them cannot be
            used; nothing of the set is there then but, with ``written``, some of its pictures.
    """
    known = _known_pictures(plan.without)
    with only_writer(folder):
        if (folder / manifest.FILE).exists():
            raise ConfigError(f"{folder} holds a cover set already: give another --output, or delete it")
        found = read_masked(plan.pictures, plan.layout, plan.subset)
        chosen = _chosen(found.sources, plan)
        watcher.begin("reading", len(chosen))
        inspected = []
        for one in made_ahead(lambda source: _inspect(source, found), chosen, workers=workers, ahead=4 * workers):
            watcher.advance()
            inspected.append(one)
        kept, left_out = _sorted_out(inspected, known)
        header = _header(folder, plan, found, kept, left_out)
        samples = tuple(_samples(kept, plan, header))
        if plan.written:
            header, samples = _written(folder, header, samples, kept, watcher, workers)
        write_header(folder, header)
        write_whole(folder / manifest.FILE, manifest.manifest_bytes(samples))
    return CoverSet.load(folder)


def _known_pictures(folders: Sequence[Path]) -> dict[str, str]:
    """From a picture's SHA-256 to the name of the set that has it."""
    known: dict[str, str] = {}
    for folder in folders:
        header = read_header(folder)
        if header is None:
            raise ConfigError(f"--without {folder}: there is no set.json: give a folder that `build cover` wrote")
        known |= dict.fromkeys(header.picture_digests, header.name)
    return known


def _chosen(sources: list[MaskedSource], plan: Plan) -> list[MaskedSource]:
    sources = sources[:: plan.every]
    if plan.limit is None or plan.limit >= len(sources):
        return sources
    drawn = sorted(sources, key=lambda one: hashlib.sha256(f"{plan.seed}:{one.name}".encode(errors="replace")).digest())
    return sorted(drawn[: plan.limit], key=lambda one: one.name)


def _inspect(source: MaskedSource, found: Found) -> _Source:
    picture = _content(source.picture)
    sha256 = hashlib.sha256(picture).hexdigest()
    if source.mask is None:
        picture_size(source.picture)
        return _Source(source, sha256, None)
    content = picture if source.mask == source.picture else _content(source.mask)
    if found.masks != "alpha":
        _require_one_size(source, source.mask)
    mask = decode_mask(content, found.masks or "grey", source.mask)
    if found.masks == "alpha" and not mask.any():
        raise ConfigError(f"{source.mask} is transparent all over: there is no subject. Take it out")
    return _Source(source, sha256, hashlib.sha256(content).hexdigest())


def _require_one_size(source: MaskedSource, mask: Path) -> None:
    picture, marked = (picture_size(path) for path in (source.picture, mask))
    if picture != marked:
        raise ConfigError(
            f"{source.picture} has {picture[1]} x {picture[0]} pixels, its mask {mask} {marked[1]} x {marked[0]}: "
            "they must be of one size; correct the mask, or take both out"
        )


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise PictureError(f"{path} cannot be read: {error.strerror}") from error


def _sorted_out(inspected: Iterable[_Source], known: dict[str, str]) -> tuple[list[_Source], dict[str, str]]:
    """What is used, and the names of the others with the reason.

    Repeated pictures of one set stay, for published ones have some, and published numbers count them: by its content
    a picture lies on one side, however often it is there.
    """
    kept: list[_Source] = []
    left_out: dict[str, str] = {}
    for one in inspected:
        if one.sha256 in known:
            left_out[one.source.name] = f"the set {known[one.sha256]} has the same picture"
        else:
            kept.append(one)
    if not kept:
        raise ConfigError("no picture is left: the sets given with --without have them all")
    return kept, left_out


def _header(folder: Path, plan: Plan, found: Found, kept: Sequence[_Source], left_out: dict[str, str]) -> CoverHeader:
    given = all(one.source.split for one in kept) and plan.split not in {"train", "test"}
    split: SplitRule = "given" if given else plan.split
    root = plan.pictures.resolve()
    digests = {one.source.name: one.sha256 for one in kept}
    for one in kept:
        if one.source.mask is not None and one.mask_sha256 is not None:
            digests[one.source.mask.relative_to(plan.pictures).as_posix()] = one.mask_sha256
    return CoverHeader(
        name=folder.resolve().name,
        root=str(root),
        layout=found.layout,
        masks=found.masks,
        blur="on-read",
        halve=plan.halve,
        levels=plan.levels,
        split=split,
        test_share=plan.test_share if split in {"source", "image"} else None,
        seed=plan.seed,
        proxy=found.layout == "composed",
        without=tuple(CoverSet.load(one).digest for one in plan.without),
        left_out=left_out,
        sha256=digests,
    )


def _samples(kept: Sequence[_Source], plan: Plan, header: CoverHeader) -> Iterator[CoverSample]:
    for one in kept:
        mask = None if one.source.mask is None else one.source.mask.relative_to(plan.pictures).as_posix()
        for number, level in enumerate(plan.levels or UNSCORED):
            score = level.score if plan.levels else None
            side = _side(one, number, header)
            yield CoverSample(one.source.name, mask, one.source.name, number, level.sigma_px, score, side)


def _side(one: _Source, level: int, header: CoverHeader) -> Split:
    if header.split in {"train", "test"}:
        return header.split
    if header.split == "given":
        assert one.source.split is not None
        return one.source.split
    named = one.sha256 if header.split == "source" else f"{one.sha256}:{level}"
    return source_split(named, header.seed, header.test_share or 0)


def _written(
    folder: Path,
    header: CoverHeader,
    samples: tuple[CoverSample, ...],
    kept: Sequence[_Source],
    watcher: Watcher,
    workers: int,
) -> tuple[CoverHeader, tuple[CoverSample, ...]]:
    """The set with its pictures written into the folder; its masks are of the kind ``palette`` then."""
    read = CoverSet(header, samples, Path(header.root), "")
    watcher.begin("writing", len(samples))
    digests: dict[str, str] = {}
    written = []
    for one in made_ahead(lambda sample: write_pictures(folder, read, sample), samples, workers=workers, ahead=workers):
        watcher.advance()
        written.append(one.sample)
        digests |= one.sha256
    changes = {
        "root": ".",
        "masks": header.masks and "palette",
        "blur": "written",
        "halve": False,  # what is written is halved already
        "sha256": digests,
        "sources": {one.source.name: one.sha256 for one in kept},
    }
    return header.model_copy(update=changes), tuple(written)
