"""A small set of covers: bright squares on textures, made by a seed."""

from pathlib import Path

import cv2
import numpy as np

from training.cover.build import Plan, build
from training.cover.cover_set import CoverSet

SIDE_PX = 160


class Nobody:
    """Follows a build and says nothing."""

    def begin(self, phase: str, total: int) -> None: ...

    def advance(self) -> None: ...


def write_pictures(folder: Path, count: int, *, masks: bool = True, seed: int = 0) -> Path:
    """``Image/NAME.png`` and ``Mask/NAME.png``: noise, and on it one square of another colour."""
    rng = np.random.default_rng(seed)
    for name in ("Image", "Mask"):
        (folder / name).mkdir(parents=True)
    for number in range(count):
        pixels = rng.integers(0, 120, (SIDE_PX, SIDE_PX + 20, 3), np.uint8)
        top, left = rng.integers(10, 80, 2)
        mask = np.zeros(pixels.shape[:2], np.uint8)
        mask[top : top + 60, left : left + 60] = 255
        pixels[mask > 0] = pixels[mask > 0] // 2 + np.array([0, 60, 190], np.uint8)
        cv2.imwrite(str(folder / "Image" / f"{number:03}.png"), pixels)
        if masks:
            cv2.imwrite(str(folder / "Mask" / f"{number:03}.png"), mask)
    return folder


def small_set(folder: Path, count: int = 6, *, written: bool = False, seed: int = 0) -> CoverSet:
    """A third of the pictures is held out."""
    pictures = write_pictures(folder / "pictures", count, seed=seed)
    return build(folder / "set", Plan(pictures, test_share=0.34, written=written), Nobody())
