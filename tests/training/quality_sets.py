"""Tiny sets of judged pictures as ``build quality`` lays them out: grey ones, that an engine of brightness judges."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from runtime.decode import Pixels
from training.metrics.votes import cut_gaussian, mean_and_deviation
from training.quality.proxy_set import HEADER, RATINGS, ProxyHeader, ProxyRow, ratings_bytes
from training.quality.rated import Side

SIDE_PX = 32
GREY = 128


def grey(level: int, side_px: int = SIDE_PX) -> Pixels:
    """A square of one grey."""
    return np.full((side_px, side_px, 3), level, np.uint8)


def row(content: str, kind: str, level: int, mos: float, split: Side = "test", deviation: float = 0.7) -> ProxyRow:
    """Of a picture whose votes are a Gaussian that is cut into five; its score is their mean, near ``mos``."""
    shares = cut_gaussian(np.array([mos]), np.array([deviation]))
    [mean], [spread] = mean_and_deviation(shares)
    name = f"pictures/{content}-{kind}-{level}.png"
    votes = map(float, shares[0])
    return ProxyRow(
        name,
        f"references/{content}.png",
        content,
        kind,
        level,
        level,
        split,
        1,
        0,
        1,
        float(mean),
        float(spread),
        *votes,
    )


def write_set(folder: Path, pictures: Sequence[tuple[ProxyRow, Pixels]], reference: Pixels | None = None) -> Path:
    """A set's folder; all contents have one reference: grey unless one is given."""
    for one, pixels in pictures:
        _write(folder / one.name, pixels)
        _write(folder / one.reference, grey(GREY) if reference is None else reference)
    header = ProxyHeader(
        name=folder.name,
        labels="ranks",
        folders=("photographs",),
        photographs={one.content: "0" * 64 for one, _ in pictures},
        size=(SIDE_PX, SIDE_PX),
        cuts=1,
        draws=2,
        votes=100,
        test_share=0.5,
        seed=0,
    )
    (folder / HEADER).write_text(header.model_dump_json())
    (folder / RATINGS).write_bytes(ratings_bytes([one for one, _ in pictures]))
    return folder


def _write(path: Path, pixels: Pixels) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), pixels[:, :, ::-1])
