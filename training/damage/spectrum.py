"""Damage done in the frequencies of small blocks, as codecs and reconstructions do it."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.decode import Pixels
from runtime.opencv import cv2

CODER_BLOCK, SPARSE_BLOCK = 8, 16
"""Pixels along a block's side: of JPEG and its kin, and of what is reconstructed from few coefficients."""

SPARSE_SHIFTS = ((0, 0), (4, 11), (11, 4), (8, 8))

Blocks = NDArray[np.float32]
"""(rows, columns, side, side, channels) of coefficients."""


def comfort_noise(pixels: Pixels, magnitude: float, rng: np.random.Generator) -> Pixels:
    """Texture that is like the picture's own and is not it: coefficients up to ``magnitude`` get random signs.

    Codecs fill in so what they have thrown away. The mean of each 8x8 block stays.
    """
    blocks = _forward(cv2.cvtColor(pixels, cv2.COLOR_RGB2YCrCb), CODER_BLOCK)
    signs = np.where(rng.random(blocks.shape, dtype=np.float32) < 0.5, np.float32(-1), np.float32(1))
    small = np.abs(blocks) <= np.float32(magnitude)
    small[:, :, 0, 0] = False
    changed = _backward(np.where(small, blocks * signs, blocks), pixels.shape)
    return np.asarray(cv2.cvtColor(changed, cv2.COLOR_YCrCb2RGB), np.uint8)


def sparse(pixels: Pixels, share: float) -> Pixels:
    """What is left where only the largest coefficients of 16x16 blocks are known: ``share`` of them.

    Mean over four places of the blocks' grid, so that the reconstruction is smooth.
    """
    planes = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2YCrCb), np.uint8)
    height, width = pixels.shape[:2]
    total = np.zeros(pixels.shape, np.float32)
    for down, right in SPARSE_SHIFTS:
        padded = np.pad(planes, ((down, 0), (right, 0), (0, 0)), mode="edge")
        total += _largest(padded, share)[down : down + height, right : right + width]
    changed = np.clip(np.rint(total / len(SPARSE_SHIFTS)), 0, 255).astype(np.uint8)
    return np.asarray(cv2.cvtColor(changed, cv2.COLOR_YCrCb2RGB), np.uint8)


def _largest(planes: NDArray[np.uint8], share: float) -> NDArray[np.float32]:
    blocks = _forward(planes, SPARSE_BLOCK)
    magnitudes = np.abs(blocks).reshape(*blocks.shape[:2], SPARSE_BLOCK**2, -1)
    kept = max(1, round(share * SPARSE_BLOCK**2))
    least = np.partition(magnitudes, -kept, axis=2)[:, :, -kept][:, :, None, None]
    return _picture(np.where(np.abs(blocks) >= least, blocks, 0), planes.shape)


def thresholded(pixels: Pixels, least: float) -> NDArray[np.float32]:
    """The picture without the coefficients of its 8x8 blocks whose magnitude is below ``least``; means stay. Float."""
    blocks = _forward(pixels, CODER_BLOCK)
    kept = np.abs(blocks) >= np.float32(least)
    kept[:, :, 0, 0] = True
    return _picture(np.where(kept, blocks, 0), pixels.shape)


def _basis(side: int) -> NDArray[np.float32]:
    """The orthonormal discrete cosine transform (type II): coefficients = basis @ block @ basis.T."""
    k, n = np.mgrid[:side, :side]
    basis = np.sqrt(2 / side) * np.cos(np.pi * (2 * n + 1) * k / (2 * side))
    basis[0] /= np.sqrt(2)
    return np.asarray(basis, np.float32)


def _forward(pixels: NDArray[Any], side: int) -> Blocks:
    height, width = pixels.shape[:2]
    down, right = -height % side, -width % side
    padded = np.pad(pixels, ((0, down), (0, right), (0, 0)), mode="edge").astype(np.float32)
    rows, columns = padded.shape[0] // side, padded.shape[1] // side
    blocks = padded.reshape(rows, side, columns, side, 3).transpose(0, 2, 4, 1, 3)
    basis = _basis(side)
    return np.ascontiguousarray((basis @ blocks @ basis.T).transpose(0, 1, 3, 4, 2))


def _backward(blocks: NDArray[Any], shape: tuple[int, ...]) -> Pixels:
    return np.clip(np.rint(_picture(blocks, shape)), 0, 255).astype(np.uint8)


def _picture(blocks: NDArray[Any], shape: tuple[int, ...]) -> NDArray[np.float32]:
    rows, columns, side = blocks.shape[:3]
    basis = _basis(side)
    pixels = basis.T @ blocks.transpose(0, 1, 4, 2, 3) @ basis
    pixels = pixels.transpose(0, 3, 1, 4, 2).reshape(rows * side, columns * side, 3)
    return np.asarray(pixels[: shape[0], : shape[1]], np.float32)
