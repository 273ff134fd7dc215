"""Small imitations of published sets of pictures and masks, with the traps of the real ones."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tests import pictures

WIDTH, HEIGHT = 48, 36
VOID, PERSON, CHAIR = 255, 15, 9
"""Indices in PASCAL VOC's masks."""


class Silent:
    """A watcher that shows nothing."""

    def begin(self, phase: str, total: int) -> None:
        pass

    def advance(self) -> None:
        pass


def put(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def jpeg(seed: int, width: int = WIDTH, height: int = HEIGHT) -> bytes:
    """A picture of which every seed is another."""
    return pictures.jpeg(pictures.scene(width, height, seed))


def grey_png(levels: NDArray[Any]) -> bytes:
    return _png(Image.fromarray(levels.astype(np.uint8)))


def subject(width: int = WIDTH, height: int = HEIGHT) -> NDArray[np.uint8]:
    """A mask of 0 and 255: the middle of the picture."""
    levels = np.zeros((height, width), np.uint8)
    levels[height // 4 : height // 2, width // 4 : width // 2] = 255
    return levels


def palette_png(indices: NDArray[Any]) -> bytes:
    """Colours that say nothing of the indices, as a palette may."""
    picture = Image.frombytes("P", (indices.shape[1], indices.shape[0]), indices.astype(np.uint8).tobytes())
    palette = np.random.default_rng(0).integers(0, 256, (256, 3), dtype=np.uint8)
    palette[1:20] = 0  # as black as the background
    palette[0] = 0
    picture.putpalette(palette.tobytes())
    return _png(picture)


def cutout_png(alpha: NDArray[Any], colour: tuple[int, int, int] = (200, 30, 40), seed: int = 0) -> bytes:
    noise = np.random.default_rng(seed).integers(-20, 20, (*alpha.shape, 3))
    rgb = np.clip(np.array(colour) + noise, 0, 255)
    return _png(Image.fromarray(np.dstack([rgb, alpha]).astype(np.uint8)))


def salient_set(root: Path, names: Sequence[str], *, images: str = "images", masks: str = "ground_truth_mask") -> Path:
    """A picture and a mask for each name."""
    for seed, name in enumerate(names):
        put(root / images / f"{name}.jpg", jpeg(seed))
        put(root / masks / f"{name}.png", grey_png(subject()))
    return root


def _png(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()
