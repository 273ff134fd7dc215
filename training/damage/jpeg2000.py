"""JPEG 2000, and its pictures after errors on the way."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.decode import Pixels
from runtime.opencv import cv2

LEAST_SIDE = 32
"""Pixels; OpenJPEG's five levels of wavelets need as many. Smaller pictures are enlarged for the coder."""
DEPTH = 4
"""Levels of wavelets in which errors fall."""
CODE_BLOCK = 16
"""Coefficients along a side of what one error spoils."""
SHARE_SCALE = 1000

Plane = NDArray[np.float32]


def jpeg2000(pixels: Pixels, ratio: float) -> Pixels:
    """Compressed to ``1 / ratio`` of its bytes, and decoded."""
    height, width = pixels.shape[:2]
    down, right = max(0, LEAST_SIDE - height), max(0, LEAST_SIDE - width)
    padded = np.pad(pixels, ((0, down), (0, right), (0, 0)), mode="edge")
    bgr = cv2.cvtColor(padded, cv2.COLOR_RGB2BGR)
    flags = [cv2.IMWRITE_JPEG2000_COMPRESSION_X1000, max(1, round(SHARE_SCALE / ratio))]
    done, encoded = cv2.imencode(".jp2", bgr, flags)
    assert done
    decoded = np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR_RGB), np.uint8)
    return np.ascontiguousarray(decoded[:height, :width])


def jpeg2000_errors(pixels: Pixels, share: float, rng: np.random.Generator) -> Pixels:
    """``share`` of the blocks of wavelet coefficients wrong, as after bit errors: blurred and ringing spots.

    Decoders conceal or give up, each in its own way; so the errors are made in a wavelet transform of our own (Haar):
    a wrong block's coefficients are lost, or doubled with random signs. Colour has a third as many as the luminance.
    """
    planes = cv2.cvtColor(pixels, cv2.COLOR_RGB2YCrCb).astype(np.float32)
    for channel, own_share in enumerate((share, share / 3, share / 3)):
        planes[:, :, channel] = _spoilt(planes[:, :, channel], own_share, rng)
    changed = np.clip(np.rint(planes), 0, 255).astype(np.uint8)
    return np.asarray(cv2.cvtColor(changed, cv2.COLOR_YCrCb2RGB), np.uint8)


def _spoilt(plane: Plane, share: float, rng: np.random.Generator) -> Plane:
    height, width = plane.shape
    unit = 2**DEPTH
    low = np.pad(plane, ((0, -height % unit), (0, -width % unit)), mode="edge")
    details: list[list[Plane]] = []
    for _ in range(DEPTH):
        low, own = _split(low)
        details.append([_with_errors(band, share, rng) for band in own])
    for own in reversed(details):
        low = _joined(low, own)
    return np.asarray(low[:height, :width], np.float32)


def _with_errors(band: Plane, share: float, rng: np.random.Generator) -> Plane:
    rows, columns = (-(-side // CODE_BLOCK) for side in band.shape)
    drawn = rng.random((rows, columns))  # the same blocks at a smaller share, and more at a larger
    flips = np.where(rng.random(band.shape) < 0.5, np.float32(-2), np.float32(2))
    lost = rng.random((rows, columns)) < 0.3
    grown = [
        np.kron(each, np.ones((CODE_BLOCK, CODE_BLOCK)))[: band.shape[0], : band.shape[1]] for each in (drawn, lost)
    ]
    wrong = np.where(grown[1] > 0, np.float32(0), band * flips)
    return np.where(grown[0] < share, wrong, band).astype(np.float32)


def _split(plane: Plane) -> tuple[Plane, list[Plane]]:
    """One level of Haar's wavelets: means, and the differences along, across and between."""
    one, two, three, four = plane[::2, ::2], plane[::2, 1::2], plane[1::2, ::2], plane[1::2, 1::2]
    quarter = np.float32(0.25)
    details = [one - two + three - four, one + two - three - four, one - two - three + four]
    return _scaled(one + two + three + four, quarter), [_scaled(each, quarter) for each in details]


def _scaled(plane: NDArray[Any], factor: np.float32) -> Plane:
    return np.asarray(plane * factor, np.float32)


def _joined(low: Plane, details: list[Any]) -> Plane:
    along, across, between = details
    plane = np.empty((2 * low.shape[0], 2 * low.shape[1]), np.float32)
    plane[::2, ::2] = low + along + across + between
    plane[::2, 1::2] = low - along + across - between
    plane[1::2, ::2] = low + along - across - between
    plane[1::2, 1::2] = low - along - across + between
    return plane
