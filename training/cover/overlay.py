"""What a game draws over its scene: translucent bars, words, numbers, a small map."""

import numpy as np
from numpy.typing import NDArray

from runtime.decode import Pixels
from runtime.opencv import cv2

_WORDS = ("LEVEL", "SCORE", "TEAM", "GOLD", "READY", "ROUND", "ALLY", "ENEMY", "WAVE", "MAP", "TIME", "KILLS")
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_MOST_BARS = 4


def overlaid(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """The frame, (height, width, 3), with none to four bars of text at its edges and perhaps a small map in a corner.

    All of it is translucent and none of it belongs to a subject.
    """
    frame = pixels.copy()
    for _ in range(int(rng.integers(0, _MOST_BARS + 1))):
        _draw_bar(frame, rng)
    if rng.random() < 0.4:
        _draw_map(frame, rng)
    return frame


def _draw_bar(frame: Pixels, rng: np.random.Generator) -> None:
    height, width = frame.shape[:2]
    tall = int(height * rng.uniform(0.03, 0.07))
    wide = int(width * rng.uniform(0.1, 0.35))
    top = int(rng.choice([0, height - tall])) if rng.random() < 0.8 else int(rng.integers(0, height - tall))
    left = int(rng.integers(0, width - wide + 1))
    part = frame[top : top + tall, left : left + wide]
    drawn = np.full_like(part, _colour(rng))
    if rng.random() < 0.4:
        drawn[:, : int(wide * rng.uniform(0.2, 0.9))] = _colour(rng)  # a gauge
    text = f"{rng.choice(_WORDS)} {rng.integers(0, 10_000)}"
    scale = tall / 40
    cv2.putText(drawn, text, (int(tall * 0.3), int(tall * 0.72)), _FONT, scale, _ink(rng), 1, cv2.LINE_AA)
    part[:] = _mixed(part, drawn, rng)


def _draw_map(frame: Pixels, rng: np.random.Generator) -> None:
    height, width = frame.shape[:2]
    side = int(height * rng.uniform(0.15, 0.25))
    top, left = int(rng.choice([0, height - side])), int(rng.choice([0, width - side]))
    part = frame[top : top + side, left : left + side]
    drawn = np.full_like(part, _colour(rng))
    for _ in range(int(rng.integers(4, 12))):
        centre = (int(rng.integers(0, side)), int(rng.integers(0, side)))
        cv2.circle(drawn, centre, max(2, side // 40), _ink(rng), -1, cv2.LINE_AA)
    cv2.rectangle(drawn, (0, 0), (side - 1, side - 1), _ink(rng), 2)
    part[:] = _mixed(part, drawn, rng)


def _mixed(under: Pixels, over: Pixels, rng: np.random.Generator) -> NDArray[np.uint8]:
    share = rng.uniform(0.35, 0.75)
    return np.asarray(cv2.addWeighted(under, 1 - share, over, share, 0), np.uint8)


def _colour(rng: np.random.Generator) -> NDArray[np.uint8]:
    return rng.integers(0, 120, 3).astype(np.uint8)


def _ink(rng: np.random.Generator) -> tuple[int, int, int]:
    red, green, blue = (int(level) for level in rng.integers(140, 256, 3))
    return red, green, blue
