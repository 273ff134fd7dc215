"""What several tests of training stand on."""

from pathlib import Path

import pytest

from tests.route import write_brightness_engine


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Utility is the mean brightness at 64 x 64, threshold .3."""
    path = tmp_path_factory.mktemp("engine") / "brightness.onnx"
    write_brightness_engine(path)
    return path
