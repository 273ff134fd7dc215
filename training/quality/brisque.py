"""BRISQUE (Mittal, Moorthy and Bovik, 2012) as ``piq`` has it: what a no-reference method did before networks."""

from collections.abc import Sequence
from pathlib import Path
from urllib.error import URLError

import numpy as np
import piq
import torch
from numpy.typing import NDArray

from runtime.decode import Pixels
from runtime.errors import ConfigError
from training.quality.evaluation import Plain

NAME = "BRISQUE"
WEIGHTS = "brisque_svm_weights.pt"


def open_brisque() -> Plain:
    """The method, its weights at hand: ``piq`` takes them from the network once and keeps them.

    Raises:
        ConfigError: they cannot be had.
    """
    kept = Path(torch.hub.get_dir()) / "checkpoints" / WEIGHTS
    grain = np.random.default_rng(0).integers(0, 256, (32, 32, 3)).astype(np.uint8)
    try:
        _worse(grain)
    except (URLError, OSError, RuntimeError) as error:
        raise ConfigError(
            f"--baselines: BRISQUE's weights cannot be had ({error}): give the network, put piq's {WEIGHTS} at {kept}, "
            "or leave --baselines out"
        ) from error
    return Plain(NAME, rate)


def rate(pictures: Sequence[Pixels]) -> NDArray[np.float64]:
    """(n,): BRISQUE with its sign turned, so that higher is better; about -100 to 0.

    Args:
        pictures: (height, width, 3) uint8 RGB, of any size, not of one colour.

    Raises:
        ConfigError: one is of one colour: BRISQUE is about the spread of neighbouring pixels, and there is none.
    """
    for place, pixels in enumerate(pictures, start=1):
        if (pixels == pixels[:1, :1]).all():
            height, width = pixels.shape[:2]
            raise ConfigError(
                f"--baselines: picture {place} of a batch, of {width} x {height} pixels, is of one colour, which "
                "BRISQUE cannot judge: take such pictures out of the set, or leave --baselines out"
            )
    return np.array([-_worse(pixels) for pixels in pictures], np.float64)


@torch.inference_mode()  # type: ignore[untyped-decorator] # torch is untyped where only serving is installed
def _worse(pixels: Pixels) -> float:
    planes = torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1)[None].float() / 255
    return float(piq.brisque(planes, data_range=1.0))
