"""Frames with small subjects, as a game shows them: cut-outs over scenery, with exact masks.

They stand in for the paper's CIA set (frames of Honor of Kings with hand-drawn masks), which is not to be had. A
subject covers what its alpha covers, so the mask is exact; that nothing else gives the paste away, subjects and props
have the same soft edges and shadows, and props are labelled background.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from operator import attrgetter

import numpy as np
from numpy.typing import NDArray

from runtime.decode import Pixels
from runtime.errors import ConfigError
from runtime.opencv import cv2
from training.cover.cutout import Coverage, Cutout, Piece, piece_of
from training.cover.overlay import overlaid
from training.cover.scenery import Scenery, background
from training.data.mask import FOREGROUND, Mask

LEAST_SHARE, MOST_SHARE = 0.015, 0.1
"""Of a frame's pixels that belong to its subjects; the paper's objects cover 1.5 to a few per cent."""
MOST_SUBJECTS, MOST_PROPS = 4, 4
_AIMED = (0.017, 0.095)
_PROP_SHARE = (0.002, 0.025)
_TRIES = 50
_PLACES = 8
"""Tried for each piece, until it hides little of the others."""
_HIDDEN = 0.1

Groups = Sequence[Sequence[Cutout]]


@dataclass(frozen=True)
class Material:
    """What the frames of one side are made of; the other side's is made of other groups."""

    subjects: Groups
    """A group is drawn, then one of its pictures: animations count once."""
    scenery: Sequence[Scenery]
    props: Groups = ()


@dataclass(frozen=True)
class Frame:
    """A composed frame, (height, width, 3) uint8 RGB, its mask, and the names of what is in it."""

    pixels: Pixels
    mask: Mask
    subjects: list[str]
    props: list[str]
    scenery: str

    @property
    def foreground_share(self) -> float:
        """Of the pixels, 0 to 1."""
        return float((self.mask == FOREGROUND).mean())


@dataclass
class _Canvas:
    colours: NDArray[np.float32]
    subjects: Coverage
    """How much of each pixel belongs to a subject."""
    names: dict[bool, list[str]] = field(default_factory=lambda: {True: [], False: []})

    @property
    def size(self) -> tuple[int, int]:
        height, width = self.subjects.shape
        return height, width


def grouped(cutouts: Iterable[Cutout]) -> list[list[Cutout]]:
    """The cut-outs of each group, by its name."""
    in_order = sorted(cutouts, key=attrgetter("group", "name"))
    return [list(members) for _, members in groupby(in_order, key=attrgetter("group"))]


def compose(material: Material, size: tuple[int, int], rng: np.random.Generator) -> Frame:
    """One frame of this height and width; the generator settles it to the byte.

    Raises:
        ConfigError: the cut-outs are too small, or the scenery too soft.
    """
    for _ in range(_TRIES):
        canvas, scenery = _prepared(material, size, rng)
        for share in _shares(rng, int(rng.integers(0, MOST_PROPS + 1)) if material.props else 0, _PROP_SHARE):
            _lay(canvas, _drawn(material.props, rng), share, rng, subject=False)
        count = int(rng.integers(1, MOST_SUBJECTS + 1))
        whole = _shares(rng, 1, _AIMED)[0]
        for part in rng.dirichlet(np.full(count, 3.0)):
            _lay(canvas, _drawn(material.subjects, rng), whole * part, rng, subject=True)
        mask = (canvas.subjects >= 0.5).astype(np.uint8)
        if LEAST_SHARE <= float(mask.mean()) <= MOST_SHARE:
            pixels = overlaid(np.rint(canvas.colours).astype(np.uint8), rng)
            return Frame(pixels, mask, canvas.names[True], canvas.names[False], scenery)
    raise ConfigError(
        f"in {_TRIES} tries the subjects never covered {100 * LEAST_SHARE:g} to {100 * MOST_SHARE:g} % of a frame: "
        "cut-outs are never enlarged, so give larger ones, or ask for smaller frames"
    )


def _prepared(material: Material, size: tuple[int, int], rng: np.random.Generator) -> tuple[_Canvas, str]:
    for _ in range(_TRIES):
        scenery = material.scenery[int(rng.integers(len(material.scenery)))]
        pixels = background(scenery, size, rng)
        if pixels is not None:
            return _Canvas(pixels.astype(np.float32), np.zeros(size, np.float32)), scenery.name
    raise ConfigError(f"in {_TRIES} tries no part of the scenery was sharp enough: give pictures of larger detail")


def _shares(rng: np.random.Generator, count: int, limits: tuple[float, float]) -> list[float]:
    least, most = np.log(limits)
    return [float(np.exp(rng.uniform(least, most))) for _ in range(count)]


def _drawn(groups: Groups, rng: np.random.Generator) -> Cutout:
    group = groups[int(rng.integers(len(groups)))]
    return group[int(rng.integers(len(group)))]


def _lay(canvas: _Canvas, cutout: Cutout, share: float, rng: np.random.Generator, *, subject: bool) -> None:
    """Lay a cut-out down so that it covers this share of the frame, or less if it would have to be enlarged."""
    height, width = canvas.size
    own_height, own_width = cutout.alpha.shape
    scale = min(1.0, float(np.sqrt(share * height * width / cutout.area_px)), height / own_height, width / own_width)
    piece = piece_of(cutout, scale, mirrored=bool(rng.random() < 0.5), feather_px=rng.uniform(0.4, 0.8))
    top, left = _place(canvas, piece, rng)
    _cast_shadow(canvas, piece, top, left, rng)
    part = np.s_[top : top + piece.size[0], left : left + piece.size[1]]
    rest = 1 - piece.coverage
    canvas.colours[part] = canvas.colours[part] * rest[..., None] + piece.colours
    canvas.subjects[part] = canvas.subjects[part] * rest + (piece.coverage if subject else 0)
    canvas.names[subject].append(cutout.name)


def _place(canvas: _Canvas, piece: Piece, rng: np.random.Generator) -> tuple[int, int]:
    height, width = piece.size
    weight = float(piece.coverage.sum())
    for _ in range(_PLACES):
        top = int(rng.integers(0, canvas.size[0] - height + 1))
        left = int(rng.integers(0, canvas.size[1] - width + 1))
        under = canvas.subjects[top : top + height, left : left + width]
        if float((under * piece.coverage).sum()) <= _HIDDEN * weight:
            break
    return top, left


def _cast_shadow(canvas: _Canvas, piece: Piece, top: int, left: int, rng: np.random.Generator) -> None:
    """Darken what lies beside the piece: its shape, moved and blurred."""
    height = piece.size[0]
    sigma = max(1.5, 0.04 * height)
    reach = int(np.ceil(3 * sigma))
    down, across = int(height * rng.uniform(0.02, 0.1)), int(height * rng.uniform(-0.12, 0.12))
    strength = rng.uniform(0.2, 0.55)
    padded = cv2.copyMakeBorder(piece.coverage, reach, reach, reach, reach, cv2.BORDER_CONSTANT, value=0)
    dark = np.asarray(cv2.GaussianBlur(padded, (0, 0), sigma), np.float32) * np.float32(strength)
    first_row, first_column = top + down - reach, left + across - reach
    rows = slice(max(0, first_row), max(0, min(canvas.size[0], first_row + dark.shape[0])))
    columns = slice(max(0, first_column), max(0, min(canvas.size[1], first_column + dark.shape[1])))
    seen = dark[
        rows.start - first_row : rows.stop - first_row, columns.start - first_column : columns.stop - first_column
    ]
    canvas.colours[rows, columns] *= 1 - seen[..., None]
