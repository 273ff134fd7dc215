"""Small pictures with opinions on them: the more noise, the worse; as the makers of KonIQ-10k lay theirs out."""

import csv
from pathlib import Path

import numpy as np

from runtime.decode import Pixels
from runtime.opencv import cv2

HEIGHT_PX, WIDTH_PX = 72, 96
PICTURES = 40
SIDES = {0: "validation", 1: "test"}
"""By the picture's number modulo 5; the others are for training."""


def noisy(quality: float, seed: int) -> Pixels:
    """Smooth shapes under noise, which is strongest at a quality of 0 and none at 1."""
    rng = np.random.default_rng(seed)
    shapes = cv2.resize(rng.uniform(40, 215, (4, 5, 3)), (WIDTH_PX, HEIGHT_PX), interpolation=cv2.INTER_CUBIC)
    noise = rng.normal(scale=60 * (1 - quality), size=shapes.shape)
    return np.asarray(np.clip(np.asarray(shapes) + noise, 0, 255), np.uint8)


def votes(quality: float) -> tuple[float, ...]:
    """Shares of the votes 1 to 5: most of them near the quality."""
    weights = np.exp(-0.5 * ((np.arange(5) - 4 * quality) / 0.6) ** 2)
    return tuple(float(share) for share in weights / weights.sum())


def write_koniq(root: Path, *, pictures: int = PICTURES, sides: bool = True) -> Path:
    """KonIQ-10k in small: a CSV with scores from 0 to 100, with sides or without, and a folder."""
    (root / "512x384").mkdir(parents=True)
    rows = []
    for number in range(pictures):
        quality = (number * 7 % pictures) / (pictures - 1)
        name = f"{number:04}.png"
        cv2.imwrite(str(root / "512x384" / name), noisy(quality, number)[:, :, ::-1])
        side = SIDES.get(number % 5, "training") if sides else ""
        rows.append([name, *votes(quality), 100, 100 * quality, 0.6, side])
    with (root / "koniq10k_distributions_sets.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["image_name", "c1", "c2", "c3", "c4", "c5", "c_total", "MOS", "SD", "set"])
        writer.writerows(rows)
    return root
