"""Both ways to drive a GPU, held to ``tests.device_contract``; and ONNX Runtime's provider on the same memory."""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runtime.device import Device
from runtime.errors import ConfigError
from runtime.open_device import open_device, require_gpu
from tests.device_contract import CONTRACT
from tests.engines import OUTPUTS, PIXELS, brightness, make_engine

pytestmark = pytest.mark.gpu

try:
    require_gpu()
except ConfigError as error:
    pytest.skip(str(error), allow_module_level=True)


@pytest.fixture(scope="module")
def cuda_core() -> Device:
    pytest.importorskip("cuda.core", reason="the extra cuda is not installed: cuda-core")
    from runtime.device_cuda_core import CudaCoreDevice  # noqa: PLC0415 - imports the package

    return CudaCoreDevice()


@pytest.fixture(scope="module")
def pycuda() -> Device:
    pytest.importorskip("pycuda.driver", reason="the extra pycuda is not installed")
    from runtime.device_pycuda import PycudaDevice  # noqa: PLC0415 - likewise

    return PycudaDevice()


@pytest.mark.parametrize("promise", CONTRACT, ids=lambda promise: promise.__name__)
@pytest.mark.parametrize("name", ["cuda_core", "pycuda"])
def test_a_device_keeps_its_promises(request: pytest.FixtureRequest, name: str, promise: Callable[..., None]) -> None:
    """Each of the contract, by each package."""
    promise(request.getfixturevalue(name))


def test_the_device_that_is_opened() -> None:
    """cuda.core's where it is installed, for its graphs."""
    if find_spec("cuda") is None and find_spec("pycuda") is None:
        pytest.skip("neither cuda-core nor pycuda is installed: the extras cuda, pycuda")

    assert open_device().graphs == (find_spec("cuda") is not None)


def test_both_at_once(request: pytest.FixtureRequest) -> None:
    """They share the primary context: memory of one is memory of the other."""
    one, other = (request.getfixturevalue(name) for name in ("cuda_core", "pycuda"))
    memory, streams = one.memory(4), (one.stream(), other.stream())
    target = np.zeros(4, np.uint8)

    one.upload(memory.pointer, np.array([1, 2, 3, 4], np.uint8), streams[0])
    streams[0].synchronize()
    other.download(target, memory.pointer, streams[1])
    streams[1].synchronize()

    assert target.tolist() == [1, 2, 3, 4]


@pytest.mark.parametrize("provider", ["cuda", "tensorrt"])
def test_onnx_runtime_in_the_slots_memory(tmp_path: Path, provider: Any) -> None:
    """The provider judges what was uploaded there, and its answers are those of the graph."""
    ort = pytest.importorskip("onnxruntime", reason="the extra gpu is not installed: onnxruntime-gpu")
    from runtime.engine_onnx import PROVIDERS  # noqa: PLC0415 - likewise
    from runtime.engine_onnx_cuda import open_onnx_cuda_engine  # noqa: PLC0415 - likewise

    if PROVIDERS[provider] not in ort.get_available_providers():
        pytest.skip(f"this ONNX Runtime has no {PROVIDERS[provider]}: the extra gpu is not installed")
    batch = np.random.default_rng(0).integers(0, 256, (5, *PIXELS.shape), dtype=np.uint8)
    path = make_engine(tmp_path / "u.onnx")

    engine = open_onnx_cuda_engine(path, provider=provider, max_batch=8, in_flight=2)
    outputs = engine.infer({"frames": batch})
    engine.close()

    np.testing.assert_allclose(outputs[OUTPUTS["utility"]], [brightness(frame) for frame in batch], atol=1e-5)
