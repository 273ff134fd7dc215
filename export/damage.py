"""Damaged copies of a picture: what a camera, a lens or a network in between can do to it."""

from collections.abc import Callable

import numpy as np
import simplejpeg
from numpy.typing import NDArray

from runtime.opencv import cv2

Pixels = NDArray[np.uint8]


def _encode(pixels: Pixels, quality: int = 95) -> bytes:
    return bytes(simplejpeg.encode_jpeg(np.ascontiguousarray(pixels), quality, "RGB", "420"))


def _blur(pixels: Pixels) -> Pixels:
    """Gaussian, sigma 2 % of the shorter side: the same picture is as blurred at any size."""
    sigma = 0.02 * min(pixels.shape[:2])
    return np.asarray(cv2.GaussianBlur(pixels, (0, 0), sigma), np.uint8)


COPIES: dict[str, Callable[[Pixels], bytes]] = {
    "whole": _encode,
    "JPEG 10": lambda pixels: _encode(pixels, 10),
    "JPEG 5": lambda pixels: _encode(pixels, 5),
    "blurred": lambda pixels: _encode(_blur(pixels)),
    "dark": lambda pixels: _encode((pixels * 0.1).astype(np.uint8)),
    "black": lambda pixels: _encode(np.zeros_like(pixels)),
}
"""Pixels (height, width, 3), uint8 RGB -> JPEG."""
LIVE_DAMAGE = tuple(name for name in COPIES if name not in ("whole", "black"))
"""Damage that leaves a picture."""
