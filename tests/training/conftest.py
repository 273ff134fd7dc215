"""What several tests of training stand on."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.route import write_brightness_engine


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Utility is the mean brightness at 64 x 64, threshold .3."""
    path = tmp_path_factory.mktemp("engine") / "brightness.onnx"
    write_brightness_engine(path)
    return path


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Small convolutions on shared cores: threads would wait for each other most of the time.

    For each test anew, since a command sets what its ``--threads`` says and leaves it so.
    """
    import torch  # noqa: PLC0415 - not every test of training needs it

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
