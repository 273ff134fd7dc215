"""From sharp photographs to a proxy set: each reference under kinds and strengths of distortion, with scores."""

import hashlib
import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

from runtime.decode import Pixels
from runtime.errors import ConfigError
from runtime.opencv import cv2
from training.damage.apply import damaged
from training.damage.damage import UNDAMAGED, Damage
from training.data.split import Split, split_of
from training.feeder import made_ahead
from training.files import write_whole
from training.generator import generator
from training.lock import only_writer
from training.quality.calibration import Calibration
from training.quality.fidelity import Fidelity, fidelity
from training.quality.ladders import LADDERS, strength_at
from training.quality.opinions import Opinions
from training.quality.proxy_scoring import Measured, measured_of, write_scores
from training.quality.proxy_set import RATINGS, ProxyHeader, read_header, read_proxy, read_rows
from training.quality.rated import RatedSet
from training.quality.references import Photograph, cuts, find_photographs

JOURNAL = "journal"
"""Folder of what is measured already: a build that was interrupted goes on from there."""
LEAST_LEVEL, MOST_LEVEL = 0.4, 6.4
"""What is trained on: beyond the ladder, for TID2013 distorts pictures without much detail harder than others."""


class Watcher(Protocol):
    """Who follows a build."""

    def begin(self, phase: str, total: int) -> None:
        """A phase of so many steps begins."""

    def advance(self) -> None:
        """One step is done."""


@dataclass(frozen=True)
class Plan:
    """What is built of which photographs."""

    folders: tuple[Path, ...]
    size: tuple[int, int] = (384, 512)
    """(height, width) of a reference."""
    cuts: int = 4
    """References of a photograph, at most."""
    limit: int | None = None
    """Photographs of a folder, at most."""
    draws: int = 20
    """Distorted pictures of each reference that is trained on: two strengths of half as many kinds."""
    test_share: float = 0.1
    """Of the photographs. Their first reference gets every kind at all its levels."""
    votes: int = 107
    seed: int = 0

    @property
    def digest(self) -> str:
        """Of all that decides the pictures of a photograph."""
        decisive = (self.size, self.cuts, self.draws, self.test_share, self.seed, LADDERS)
        return hashlib.sha256(repr(decisive).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class _Work:
    photograph: Photograph
    split: Split


def build(
    folder: Path, plan: Plan, watcher: Watcher, *, scores: Opinions | Calibration | None = None, workers: int = 2
) -> RatedSet:
    """Build a set into a folder; after an interruption, called alike, it goes on.

    Args:
        folder: of the set.
        plan: what is built.
        watcher: is told how far it is.
        scores: people's opinions to fit the scores to, or a fit of another set; None: mean ranks of the metrics.
        workers: threads.

    Raises:
        ConfigError: the folder holds a set already, or a build that was begun otherwise, or is among the photographs;
            a photograph cannot be used; or the opinions do not fit.
    """
    _require_apart(folder, plan.folders)
    with only_writer(folder):
        if (folder / RATINGS).exists():
            raise ConfigError(f"{folder} holds a quality set already: give another --output, or delete it")
        _require_begun_alike(folder, plan)
        photographs = find_photographs(plan.folders, plan.limit, plan.seed)
        works = [_Work(one, split_of(one.sha256, plan.test_share)) for one in photographs]
        if isinstance(scores, Opinions) and all(work.split != "test" for work in works):
            raise ConfigError(
                f"people's scores are fitted to the test side, and none of {len(works)} photographs is on it "
                f"(--test-share {plan.test_share:g}): give more, or a larger share, or another set's --calibration"
            )
        watcher.begin("distorting", len(works))
        measured: list[Measured] = []
        for each in made_ahead(lambda work: _measured(folder, plan, work), works, workers=workers, ahead=2 * workers):
            watcher.advance()
            measured += each
        write_scores(folder, _header(folder, plan, photographs), measured, scores)
        shutil.rmtree(folder / JOURNAL)
    return read_proxy(folder)


def rescore(folder: Path, scores: Opinions | Calibration | None) -> RatedSet:
    """Give a set's pictures other scores, as ``build`` would have done with them; no picture is made or compared anew.

    Raises:
        ConfigError: the folder holds no set, or the opinions do not fit.
    """
    if not (folder / RATINGS).is_file():
        raise ConfigError(f"{folder} holds no quality set: give the --output of a `build quality` that came to its end")
    with only_writer(folder):
        rows = read_rows(folder / RATINGS)
        write_scores(folder, read_header(folder), [measured_of(row) for row in rows], scores)
    return read_proxy(folder)


def _require_apart(folder: Path, photographs: Sequence[Path]) -> None:
    """Distorted pictures that lay among the photographs would be taken for photographs by the next build."""
    whole = folder.resolve()
    for one in photographs:
        if whole.is_relative_to(one.resolve()):
            raise ConfigError(f"--output {folder} lies in --pictures {one}: write the set to a folder outside of it")


def _require_begun_alike(folder: Path, plan: Plan) -> None:
    """What another plan wrote has the same names, and would stand beside references of this one."""
    journal = folder / JOURNAL
    if journal.is_dir() and any(one.name != plan.digest for one in journal.iterdir()):
        raise ConfigError(
            f"{folder} holds a build that was begun with other options (size, cuts, draws, test share, seed) or by "
            "another version: repeat those, give another --output, or delete it"
        )


def _measured(folder: Path, plan: Plan, work: _Work) -> list[Measured]:
    """All pictures of a photograph, written and compared; what the journal has is not made again."""
    journal = folder / JOURNAL / plan.digest / f"{work.photograph.sha256}.json"
    if journal.exists():
        return _recalled(journal)
    measured: list[Measured] = []
    count = 1 if work.split == "test" else plan.cuts
    for number, reference in enumerate(cuts(work.photograph, plan.size, count, plan.seed)):
        stem = f"{work.photograph.sha256[:16]}-{number}"
        place = f"references/{stem}.png"
        _write(folder / place, reference)
        for damage, level in _damages(plan, work.split, stem):
            pixels = damaged(reference, damage)
            name = f"pictures/{stem}-{damage.kind}-{level:g}.png"
            _write(folder / name, pixels)
            measured.append(
                Measured(
                    name,
                    place,
                    work.photograph.name,
                    damage.kind,
                    damage.strength,
                    level,
                    work.split,
                    fidelity(pixels, reference),
                )
            )
    _remember(journal, measured)
    return measured


def _damages(plan: Plan, split: Split, stem: str) -> Iterator[tuple[Damage, float]]:
    """The distortions of one reference with their levels; the reference itself comes first."""
    rng = generator(f"{plan.seed}:{stem}")
    yield UNDAMAGED, 0.0
    if split == "test":
        for kind in LADDERS:
            seed = int(rng.integers(2**31))  # one seed a kind: strengths differ in nothing else
            for level in LADDERS[kind]:
                yield Damage(kind, strength_at(kind, level), seed), float(level)
        return
    kinds = list(LADDERS)
    for place in rng.permutation(len(kinds))[: max(1, plan.draws // 2)]:
        seed = int(rng.integers(2**31))
        for drawn in sorted({round(float(level), 2) for level in rng.uniform(LEAST_LEVEL, MOST_LEVEL, size=2)}):
            yield Damage(kinds[place], strength_at(kinds[place], drawn), seed), drawn


def _header(folder: Path, plan: Plan, photographs: Sequence[Photograph]) -> ProxyHeader:
    return ProxyHeader(
        name=folder.resolve().name,
        labels="ranks",
        folders=tuple(one.resolve().name for one in plan.folders),
        photographs={one.name: one.sha256 for one in photographs},
        size=plan.size,
        cuts=plan.cuts,
        draws=plan.draws,
        votes=plan.votes,
        test_share=plan.test_share,
        seed=plan.seed,
    )


def _write(path: Path, pixels: Pixels) -> None:
    bgr = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    done, encoded = cv2.imencode(".png", bgr, [cv2.IMWRITE_PNG_COMPRESSION, 1])  # ten times as quick as the default
    assert done
    write_whole(path, encoded.tobytes())


def _remember(path: Path, measured: Sequence[Measured]) -> None:
    write_whole(path, json.dumps([asdict(one) for one in measured]).encode())


def _recalled(path: Path) -> list[Measured]:
    rows = json.loads(path.read_bytes())
    return [Measured(**{**row, "fidelity": Fidelity(**row["fidelity"])}) for row in rows]
