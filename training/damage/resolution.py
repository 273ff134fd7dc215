"""Resolution: a frame from a smaller camera."""

import numpy as np

from runtime.decode import Pixels
from runtime.opencv import cv2


def downscale(pixels: Pixels, factor: float) -> Pixels:
    """Both sides divided by ``factor`` (areas averaged), then drawn large again (bilinear): same size, less in it."""
    height, width = pixels.shape[:2]
    size = max(1, round(width / factor)), max(1, round(height / factor))
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)
