"""Backgrounds: parts of larger pictures, made smaller, so that they are sharp at the pixel."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from runtime.decode import Pixels
from runtime.opencv import cv2
from training.data.picture import decode_picture, find_pictures

LEAST_ENERGY = 25.0
"""Mean squared gradient, in squared grey levels a pixel, that a background must have: softer ones would be labelled
sharp, and flat ones show no blur."""
_ROOM = 1.5
"""How much larger than a frame a picture is kept, to be cut from at several scales."""
_TRIES = 8


@dataclass(frozen=True)
class Scenery:
    """A picture at least as large as a frame, but not much larger."""

    name: str
    sha256: str
    pixels: Pixels


def gradient_energy(pixels: Pixels) -> float:
    """Mean of the squared gradient (central differences) of the grey levels."""
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.float32)
    across, down = grey[1:-1, 2:] - grey[1:-1, :-2], grey[2:, 1:-1] - grey[:-2, 1:-1]
    return float(np.mean(across**2 + down**2) / 4)


def load_scenery(folders: Sequence[Path], size: tuple[int, int]) -> tuple[list[Scenery], dict[str, str]]:
    """The pictures that can be backgrounds of frames of this height and width, each content once; and why others not.

    Raises:
        ConfigError: no such folder, no picture in it, or one that cannot be read.
    """
    taken: dict[str, Scenery] = {}
    refused: dict[str, str] = {}
    for folder in folders:
        for path in find_pictures(folder):
            name = f"{folder.name}/{path.relative_to(folder).as_posix()}"
            content = path.read_bytes()
            digest = hashlib.sha256(content).hexdigest()
            pixels = decode_picture(content, path)
            fault = f"the same picture as {taken[digest].name}" if digest in taken else _fault(pixels, size)
            if fault:
                refused[name] = fault
            else:
                taken[digest] = Scenery(name, digest, _reduced(pixels, size, _ROOM))
    return list(taken.values()), refused


def background(scenery: Scenery, size: tuple[int, int], rng: np.random.Generator) -> Pixels | None:
    """A random part at a random scale, mirrored or not, as (height, width, 3); None: the parts looked at were soft."""
    height, width = size
    own_height, own_width = scenery.pixels.shape[:2]
    for _ in range(_TRIES):
        scale = rng.uniform(1, min(own_height / height, own_width / width))
        part_height, part_width = int(height * scale), int(width * scale)
        top = int(rng.integers(0, own_height - part_height + 1))
        left = int(rng.integers(0, own_width - part_width + 1))
        part = scenery.pixels[top : top + part_height, left : left + part_width]
        frame = np.asarray(cv2.resize(part, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
        if gradient_energy(frame) >= LEAST_ENERGY:
            return np.ascontiguousarray(frame[:, ::-1] if rng.random() < 0.5 else frame)
    return None


def _fault(pixels: Pixels, size: tuple[int, int]) -> str:
    if pixels.shape[0] < size[0] or pixels.shape[1] < size[1]:
        return f"{pixels.shape[1]} x {pixels.shape[0]} pixels are less than a frame's: nothing is enlarged"
    energy = gradient_energy(_reduced(pixels, size, 1))
    return "" if energy >= LEAST_ENERGY else f"soft or flat: its gradient energy is {energy:.1f}, not {LEAST_ENERGY:g}"


def _reduced(pixels: Pixels, size: tuple[int, int], room: float) -> Pixels:
    """Made smaller (area average) to ``room`` times what covers a frame, if it is larger."""
    scale = room * max(size[0] / pixels.shape[0], size[1] / pixels.shape[1])
    if scale >= 1:
        return pixels
    shape = (max(size[1], round(pixels.shape[1] * scale)), max(size[0], round(pixels.shape[0] * scale)))
    return np.asarray(cv2.resize(pixels, shape, interpolation=cv2.INTER_AREA), np.uint8)
