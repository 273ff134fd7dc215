import platform
from pathlib import Path

import cv2
import numpy as np
import pytest
import simplejpeg
from numpy.typing import NDArray

from export.graph import inputs
from export.manifest import load_model

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def shipped() -> Path:
    return ROOT / "models" / "utility-baseline.onnx"


@pytest.fixture(scope="session")
def photographs(shipped: Path) -> NDArray[np.uint8]:
    """The demo's photographs as a batch of the baseline's input."""
    _, height, width, _ = inputs(load_model(shipped))[0].shape
    paths = sorted((ROOT / "demo" / "photos").glob("*.jpg"))
    assert len(paths) >= 10
    pictures = [simplejpeg.decode_jpeg(path.read_bytes()) for path in paths]
    return np.stack([cv2.resize(picture, (int(width), int(height))) for picture in pictures])


def saturates() -> bool:
    """Whether this CPU cuts off the sum of two 8-bit products at 16 bits: x86 without VNNI, by its flags."""
    flags = Path("/proc/cpuinfo")
    known = flags.read_text() if flags.is_file() else ""
    return platform.machine() in ("x86_64", "AMD64") and "vnni" not in known
