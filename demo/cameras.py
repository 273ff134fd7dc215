"""Three cameras: what each of them sends, good frames and ruined ones."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
PHOTOS: Final = Path(__file__).with_name("photos")
CAMERAS: Final = {
    "entrance": ["oakland-zoo-otters", "kitten-on-lawn", "the-spices-of-life", "casa-mila"],
    "lakeside": ["lake-sherburne", "perched-osprey", "singaporean-cityscape", "canyon-wren"],
    "garden": ["dragonfly-on-lavender", "tea-gardens", "blue-periwinkle", "extreme-desert-hike"],
}


@dataclass(frozen=True)
class Frame:
    """One frame of a camera; ``shows`` says what it is, for people."""

    id: str
    camera: str
    shows: str
    value: bytes


def film() -> list[Frame]:
    """The frames of all cameras, in turns: every photograph as it is, then ruined in one way or another."""
    streams = [list(_shoot(camera, turn)) for turn, camera in enumerate(CAMERAS)]
    return [frame for frames in itertools.zip_longest(*streams) for frame in frames if frame]


def _shoot(camera: str, turn: int) -> Iterator[Frame]:
    shots = [(name.replace("-", " "), (PHOTOS / f"{name}.jpg").read_bytes()) for name in CAMERAS[camera]]
    ruins = [*RUINS[turn:], *RUINS[:turn]]  # so that the cameras ruin different things
    ruined = [(f"{name}, {how}", ruin(value)) for (name, value), (how, ruin) in zip(shots, ruins, strict=True)]
    broken = [(how.format(shots[1][0]), ruin(shots[1][1])) for how, ruin in BREAKS[camera]]
    for number, (shows, value) in enumerate([*shots, *ruined, *broken]):
        yield Frame(f"{camera}/{number:03d}", camera, shows, value)


def _encoded(pixels: Pixels, quality: int = 85) -> bytes:
    return bytes(simplejpeg.encode_jpeg(np.ascontiguousarray(pixels), quality=quality, colorsubsampling="420"))


def _decoded(value: bytes) -> Pixels:
    return np.asarray(simplejpeg.decode_jpeg(value), np.uint8)


def _blurred(value: bytes) -> bytes:
    return _encoded(np.asarray(cv2.GaussianBlur(_decoded(value), (0, 0), sigmaX=24), np.uint8))


def _hard_jpeg(value: bytes) -> bytes:
    return _encoded(_decoded(value), quality=3)


def _dark(value: bytes) -> bytes:
    return _encoded((_decoded(value) * 0.04).astype(np.uint8))


def _black(value: bytes) -> bytes:
    return _encoded(np.zeros_like(_decoded(value)))


def _truncated(value: bytes) -> bytes:
    return value[: len(value) * 2 // 5]


def _text(_value: bytes) -> bytes:
    return b"503 Service Unavailable: the camera restarts\n"


def _empty(_value: bytes) -> bytes:
    return b""


Ruin = Callable[[bytes], bytes]
RUINS: Final[list[tuple[str, Ruin]]] = [
    ("blurred", _blurred),
    ("JPEG quality 3", _hard_jpeg),
    ("dark", _dark),
    ("all black", _black),
]
"""One for each of a camera's four photographs: the gateway can judge what comes of it."""
BREAKS: Final[dict[str, list[tuple[str, Ruin]]]] = {
    "entrance": [("{}", _truncated), ("{}, blurred", _blurred)],
    "lakeside": [("a text file", _text), ("{}, blurred", _blurred)],
    "garden": [("nothing at all", _empty), ("{}", _truncated)],
}
"""And what nobody can judge, among others; the dead letter's reason says what is wrong with it."""
