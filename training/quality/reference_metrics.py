"""Metrics that compare a picture with its reference and learned nothing from it: what a network is held against."""

import numpy as np
import piq
import torch
from numpy.typing import NDArray
from scipy.stats import rankdata

from runtime.decode import Pixels
from training.quality.fidelity import fidelity

Floats = NDArray[np.float64]
METRICS = ("PSNR", "SSIM", "VSI", "MDSI", "HaarPSI")
MEAN_RANK = "mean rank of VSI, MDSI, HaarPSI"
MOST_PSNR_DB = 100.0
"""Of equal pictures, whose error has no logarithm."""


def measure(pixels: Pixels, reference: Pixels) -> tuple[float, ...]:
    """``METRICS`` in order, each the higher the better: MDSI's sign is turned.

    PSNR (dB) and SSIM are of the luminance, SSIM after shrinking by the shorter side over 256, as its authors advise.

    Args:
        pixels: (height, width, 3) uint8 RGB.
        reference: of the same size.

    Raises:
        ConfigError: the sizes differ.
    """
    found = fidelity(pixels, reference)
    return (*_plain(pixels, reference), found.vsi, -found.mdsi, found.haarpsi)


def with_mean_rank(values: Floats) -> dict[str, Floats]:
    """By name: each metric's (n,), and the mean of the last three's ranks among all n pictures.

    Args:
        values: (n, ``len(METRICS)``).
    """
    own = dict(zip(METRICS, values.T, strict=True))
    ranks = [rankdata(own[name]) for name in METRICS[2:]]
    return {**own, MEAN_RANK: np.mean(ranks, axis=0)}


@torch.inference_mode()  # type: ignore[untyped-decorator] # torch is untyped where only serving is installed
def _plain(pixels: Pixels, reference: Pixels) -> tuple[float, float]:
    pair = [torch.from_numpy(one).permute(2, 0, 1)[None].float() / 255 for one in (pixels, reference)]
    if torch.equal(*pair):
        return MOST_PSNR_DB, 1.0
    return float(piq.psnr(*pair, convert_to_greyscale=True)), float(piq.ssim(*[_luminance(one) for one in pair]))


def _luminance(planes: torch.Tensor) -> torch.Tensor:
    red, green, blue = planes.unbind(dim=1)
    return (0.299 * red + 0.587 * green + 0.114 * blue).clamp(0, 1)[:, None]
