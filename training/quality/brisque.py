"""BRISQUE (Mittal, Moorthy and Bovik, 2012) as ``piq`` has it: what a no-reference method did before networks."""

from pathlib import Path
from urllib.error import URLError

import numpy as np
import piq
import torch

from runtime.decode import Pixels
from runtime.errors import ConfigError
from training.data.picture import PictureError
from training.quality.evaluation import Plain

NAME = "BRISQUE"
WEIGHTS = "brisque_svm_weights.pt"
TOO_EVEN = "which BRISQUE cannot judge: take such pictures out of the set, or leave --baselines out"


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


def rate(pixels: Pixels) -> float:
    """BRISQUE with its sign turned, so that higher is better; about -100 to 0.

    Args:
        pixels: (height, width, 3) uint8 RGB, of any size, not all of one colour.

    Raises:
        PictureError: of one colour, or nearly so: BRISQUE is about the spread of neighbouring pixels.
    """
    if (pixels == pixels[:1, :1]).all():  # of some colours piq makes a number, out of what rounding leaves
        raise PictureError(f"of one colour, {TOO_EVEN}")
    try:
        worse: float = _worse(pixels)
    except AssertionError as error:  # how piq says that there is no spread
        raise PictureError(f"nearly of one colour, {TOO_EVEN}") from error
    return -worse


@torch.inference_mode()  # type: ignore[untyped-decorator] # torch is untyped where only serving is installed
def _worse(pixels: Pixels) -> float:
    planes = torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1)[None].float() / 255
    return float(piq.brisque(planes, data_range=1.0))
