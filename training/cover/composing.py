"""A folder of composed frames: ``frames``, ``masks``, ``sources.csv`` and ``compose.json``."""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import simplejpeg

from runtime.decode import Pixels
from runtime.errors import ConfigError
from runtime.opencv import cv2
from training.cover.build import Watcher
from training.cover.compose import Frame, Groups, Material, compose, grouped
from training.cover.cutout import load_cutouts
from training.cover.manifest import source_split
from training.cover.scenery import Scenery, load_scenery
from training.cover.written import png_of
from training.data.composed import COLUMNS, FILE
from training.data.mask import FOREGROUND, Mask
from training.data.split import Split
from training.feeder import made_ahead
from training.files import write_whole
from training.lock import only_writer

SETTINGS = "compose.json"
_QUALITY = 95
_SIDES: tuple[Split, ...] = ("train", "test")


@dataclass(frozen=True)
class Composition:
    """What is asked for."""

    cutouts: tuple[Path, ...]
    scenery: tuple[Path, ...]
    props: tuple[Path, ...] = ()
    count: int = 1000
    size: tuple[int, int] = (720, 1280)
    """Height and width."""
    seed: int = 0
    test_share: float = 0.2
    """Of the frames, and of the groups of cut-outs and the scenery that they are made of."""
    encoding: Literal["jpeg", "png"] = "jpeg"
    """JPEG: quality 95, colours at full resolution."""

    def sides(self) -> list[Split]:
        """The side of each frame: first those to learn from."""
        tested = round(self.count * self.test_share)
        return ["train" if number < self.count - tested else "test" for number in range(self.count)]


def compose_set(folder: Path, asked: Composition, watcher: Watcher, *, workers: int = 2) -> list[float]:
    """Compose frames into a folder; returns the share that subjects cover in each.

    A group of cut-outs, and a scenery, serves one side only. A scenery's side is settled by its content and the seed,
    as ``build cover`` does it: with one seed and share it is the same in every set.

    Raises:
        ConfigError: the folder holds composed frames already, a side has too little material, or the material does
            not serve, see ``compose``.
    """
    with only_writer(folder):
        if (folder / FILE).exists():
            raise ConfigError(f"{folder} holds composed frames already: give another --output, or delete it")
        watcher.begin("reading", 1)
        material, refused = _material(asked)
        sides = asked.sides()
        watcher.begin("composing", asked.count)
        numbered = list(enumerate(sides))
        rows = []
        for row in made_ahead(
            lambda one: _written(folder, one[0], one[1], material[one[1]], asked),
            numbered,
            workers=workers,
            ahead=workers,
        ):
            rows.append(row)
            watcher.advance()
        write_whole(folder / SETTINGS, _settings(asked, refused))
        write_whole(folder / FILE, _table(rows))
    return [float(row[COLUMNS.index("foreground_share")]) for row in rows]


def _material(asked: Composition) -> tuple[dict[Split, Material], dict[str, str]]:
    """What the frames of each side are made of, and which scenery is not used and why."""
    subjects, props = (grouped(load_cutouts(folders)) for folders in (asked.cutouts, asked.props))
    scenery, refused = load_scenery(asked.scenery, asked.size)
    material = {
        side: Material(
            _groups_of(side, subjects, asked), _scenery_of(side, scenery, asked), _groups_of(side, props, asked)
        )
        for side in _SIDES
    }
    for side in set(asked.sides()):
        own = material[side]
        if not own.subjects or not own.scenery:
            raise ConfigError(
                f"for the side {side} there are {len(own.subjects)} of {len(subjects)} groups of cut-outs and "
                f"{len(own.scenery)} of {len(scenery)} pictures of scenery ({len(refused)} more are soft, small or "
                "repeated): at least one of each is needed; give more, or another --seed or --test-share"
            )
    return material, refused


def _groups_of(side: Split, groups: Groups, asked: Composition) -> Groups:
    return [group for group in groups if source_split(group[0].group, asked.seed, asked.test_share) == side]


def _scenery_of(side: Split, scenery: Sequence[Scenery], asked: Composition) -> list[Scenery]:
    return [one for one in scenery if source_split(one.sha256, asked.seed, asked.test_share) == side]


def _written(folder: Path, number: int, side: Split, material: Material, asked: Composition) -> list[str]:
    """Compose and write a frame; its row of ``sources.csv``."""
    frame = compose(material, asked.size, np.random.default_rng([asked.seed, number]))
    image = f"frames/{side}-{number:05}.{'jpg' if asked.encoding == 'jpeg' else 'png'}"
    mask = f"masks/{side}-{number:05}.png"
    write_whole(folder / image, _jpeg(frame.pixels) if asked.encoding == "jpeg" else png_of(frame.pixels))
    write_whole(folder / mask, _mask_png(frame.mask))
    return _row(image, mask, side, frame)


def _row(image: str, mask: str, side: Split, frame: Frame) -> list[str]:
    names = ("|".join(frame.subjects), "|".join(frame.props), frame.scenery)
    return [image, mask, side, f"{frame.foreground_share:.5f}", *names]


def _jpeg(pixels: Pixels) -> bytes:
    return bytes(
        simplejpeg.encode_jpeg(np.ascontiguousarray(pixels), quality=_QUALITY, colorspace="RGB", colorsubsampling="444")
    )


def _mask_png(mask: Mask) -> bytes:
    _, png = cv2.imencode(".png", np.where(mask == FOREGROUND, 255, 0).astype(np.uint8))
    return png.tobytes()


def _table(rows: Sequence[Sequence[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([COLUMNS, *rows])
    return text.getvalue().encode()


def _settings(asked: Composition, refused: dict[str, str]) -> bytes:
    facts = {
        "format": "framegate/composed/1",
        "proxy": True,
        "cutouts": [folder.name for folder in asked.cutouts],
        "scenery": [folder.name for folder in asked.scenery],
        "props": [folder.name for folder in asked.props],
        "count": asked.count,
        "height": asked.size[0],
        "width": asked.size[1],
        "seed": asked.seed,
        "test_share": asked.test_share,
        "encoding": asked.encoding,
        "scenery_left_out": refused,
    }
    return json.dumps(facts, indent=1).encode() + b"\n"
