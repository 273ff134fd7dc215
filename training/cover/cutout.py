"""Cut-outs: pictures of one thing each with alpha, made smaller and laid over others."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.decode import Pixels
from runtime.opencv import cv2
from training.data.cutouts import read_cutouts
from training.data.mask import Mask, decode_cutout

Colours = NDArray[np.float32]
"""(height, width, 3), 0..255."""
Coverage = NDArray[np.float32]
"""(height, width), 0..1."""

SOLID = 128
"""From this alpha up a pixel belongs to the thing."""
_LEADING_WORD = re.compile(r"[^-+_.\d\s]*")


@dataclass(frozen=True)
class Cutout:
    """A thing, cut to the pixels that it covers at all."""

    name: str
    group: str
    """Its folder and the first word of its name: pictures of one group may show one thing (``mage``,
    ``mage+female``, ``mage-attack-2``)."""
    pixels: Pixels
    alpha: Mask
    """0..255."""

    @property
    def area_px(self) -> int:
        """Pixels that belong to the thing."""
        return int((self.alpha >= SOLID).sum())


@dataclass(frozen=True)
class Piece:
    """A cut-out at the size it is laid down at; its colours are multiplied by the coverage."""

    colours: Colours
    coverage: Coverage

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        height, width = self.coverage.shape
        return height, width


def load_cutouts(folders: Sequence[Path]) -> list[Cutout]:
    """Every cut-out of these folders that covers a pixel, each content once.

    Raises:
        ConfigError: as ``read_cutouts``.
    """
    known: set[str] = set()
    cutouts = []
    for folder in folders:
        for source in read_cutouts(folder):
            content = source.picture.read_bytes()
            digest = hashlib.sha256(content).hexdigest()
            pixels, alpha = decode_cutout(content, source.picture)
            if digest not in known and (alpha >= SOLID).any():
                known.add(digest)
                cutouts.append(_trimmed(f"{folder.name}/{source.name}", pixels, alpha))
    return cutouts


def piece_of(cutout: Cutout, scale: float, *, mirrored: bool, feather_px: float) -> Piece:
    """The cut-out at a scale of at most 1 (area average), its edge softened by a Gaussian."""
    alpha = cutout.alpha.astype(np.float32) / 255
    colours: NDArray[Any] = cutout.pixels.astype(np.float32) * alpha[..., None]
    height, width = (max(1, round(side * scale)) for side in alpha.shape)
    if scale < 1:
        colours = cv2.resize(colours, (width, height), interpolation=cv2.INTER_AREA)
        alpha = np.asarray(cv2.resize(alpha, (width, height), interpolation=cv2.INTER_AREA), np.float32)
    pure = colours / np.maximum(alpha, 1e-3)[..., None]
    soft = np.minimum(cv2.GaussianBlur(alpha, (0, 0), feather_px), alpha)  # inwards: what lies outside has no colour
    coverage = np.asarray(soft[:, ::-1] if mirrored else soft, np.float32)
    pure = pure[:, ::-1] if mirrored else pure
    return Piece(np.asarray(pure * coverage[..., None], np.float32), coverage)


def _trimmed(name: str, pixels: Pixels, alpha: Mask) -> Cutout:
    left, top, width, height = cv2.boundingRect((alpha > 0).astype(np.uint8))
    part = np.s_[top : top + height, left : left + width]
    path = Path(name)
    word = _LEADING_WORD.match(path.stem)
    group = f"{path.parent.as_posix()}/{word[0] if word and word[0] else path.stem}"
    return Cutout(name, group, np.ascontiguousarray(pixels[part]), np.ascontiguousarray(alpha[part]))
