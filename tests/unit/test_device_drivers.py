"""pycuda and cuda.core as they are, over a driver in host memory: every call that our two devices make of them.

The driver (``tests/fake_cuda.c``) takes its library's place for a process of its own. What is tried is that names,
arguments, contexts, threads and clean-up are right; what a GPU makes of it is ``tests/gpu``'s.
"""

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from runtime.errors import ConfigError
from runtime.open_device import require_gpu
from tests.device_contract import CONTRACT

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "tests" / "fake_cuda.c"
DEVICES = {
    "cuda.core": ("runtime.device_cuda_core", "CudaCoreDevice", "cuda-core is not installed: the extra cuda"),
    "pycuda": ("runtime.device_pycuda", "PycudaDevice", "pycuda is not installed: the extra pycuda"),
}
PROGRAM = """
import ctypes, gc, importlib, os, sys, threading
from runtime.open_device import require_gpu
from tests.device_contract import CONTRACT
module, name, promise = sys.argv[1:]
require_gpu()
device = getattr(importlib.import_module(module), name)()
[keep] = [each for each in CONTRACT if each.__name__ == promise]
keep(device)
gc.collect()
driver = ctypes.CDLL(os.environ["FAKE_CUDA"])
driver.fake_live.restype = ctypes.c_long
print(device.name, [driver.fake_live(which) for which in range(4)])
"""


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The driver's library, under the name that everyone looks for."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler: apt-get install gcc")
    path = tmp_path_factory.mktemp("driver") / "libcuda.so.1"
    command = [compiler, "-w", "-shared", "-fPIC", "-Wl,-soname,libcuda.so.1", "-o", str(path), str(SOURCE), "-ldl"]
    subprocess.run(command, check=True)
    return path


def run(driver: Path, program: str, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    paths = [str(driver.parent), os.environ.get("LD_LIBRARY_PATH", "")]
    here = {"FAKE_CUDA": str(driver), "LD_LIBRARY_PATH": ":".join(filter(None, paths))}
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=ROOT,
        env={**os.environ, **here, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def installed(package: str) -> bool:
    return find_spec(package.partition(".")[0]) is not None and find_spec(package) is not None


@pytest.mark.parametrize("promise", [promise.__name__ for promise in CONTRACT])
@pytest.mark.parametrize("package", DEVICES)
def test_a_device_keeps_its_promises(driver: Path, package: str, promise: str) -> None:
    """Each of the contract; the process ends in peace, and of the memory that was freed nothing is left."""
    module, name, reason = DEVICES[package]
    if not installed(package):
        pytest.skip(reason)

    done = run(driver, PROGRAM, module, name, promise)

    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert done.stdout.startswith("Fake H200 [")


@pytest.mark.parametrize("promise", ["launches_kernels", "memory_that_nobody_holds_is_freed", "events_order_streams"])
@pytest.mark.parametrize("package", DEVICES)
def test_nothing_is_left_behind(driver: Path, package: str, promise: str) -> None:
    """Memory, freed or not, and pinned arrays, streams and events that nobody holds, go back to the driver."""
    module, name, reason = DEVICES[package]
    if not installed(package):
        pytest.skip(reason)

    done = run(driver, PROGRAM, module, name, promise)

    assert done.stdout == "Fake H200 [0, 0, 0, 0]\n", done.stderr


@pytest.mark.parametrize(
    ("environment", "text"),
    [
        ({"FAKE_CUDA_INIT": "100"}, "no GPU: the driver answers CUDA_ERROR_NO_DEVICE; install NVIDIA's driver"),
        ({"FAKE_CUDA_COUNT": "0"}, "no GPU: the driver has no device; look at CUDA_VISIBLE_DEVICES"),
        ({}, "found"),
    ],
)
def test_a_driver_without_a_gpu(driver: Path, environment: dict[str, str], text: str) -> None:
    """Its own answer and what to do about it."""
    program = """
from runtime.errors import ConfigError
from runtime.open_device import require_gpu
try:
    require_gpu()
    print("found")
except ConfigError as error:
    print(error)
"""
    done = run(driver, program, **environment)

    assert done.stdout.startswith(text), done.stderr


def test_no_driver() -> None:
    """The library that is missing, and the remedy."""
    with pytest.raises(ConfigError, match=r"no GPU: the driver's libnone\.so\.1 cannot be loaded.*--gpus all"):
        require_gpu("libnone.so.1")


def test_a_package_that_cannot_be_loaded(driver: Path) -> None:
    """What it says, and the remedy."""
    program = """
import importlib.util, sys
importlib.util.find_spec = lambda name: object()
sys.modules["cuda"] = None
from runtime.errors import ConfigError
from runtime.open_device import open_device
try:
    open_device()
except ConfigError as error:
    print(error)
"""
    done = run(driver, program)

    assert "cannot be loaded: " in done.stdout, done.stderr
    assert "--force-reinstall 'framegate[cuda]'" in done.stdout


def test_an_engine_on_it(driver: Path, tmp_path: Path) -> None:
    """ONNX Runtime in memory that cuda.core gave, from several threads: each has its own answers."""
    if not installed("cuda.core"):
        pytest.skip(DEVICES["cuda.core"][2])
    program = """
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
import numpy as np
from runtime.engine_onnx_cuda import OnnxCudaEngine
from runtime.open_device import open_device
from tests.engines import PIXELS, brightness, make_engine
path = make_engine(Path(sys.argv[1]))
device = open_device()
engine = OnnxCudaEngine(path, provider="cpu", device=device, memory_kind="cpu", max_batch=4, in_flight=2)
batches = [np.random.default_rng(seed).integers(0, 256, (4, *PIXELS.shape), dtype=np.uint8) for seed in range(20)]
with ThreadPoolExecutor(4) as pool:
    answers = list(pool.map(lambda batch: engine.infer({"frames": batch})["usefulness"], batches))
engine.close()
np.testing.assert_allclose(answers, [[brightness(frame) for frame in batch] for batch in batches], atol=1e-6)
print(device.name)
"""
    done = run(driver, program, str(tmp_path / "u.onnx"))

    assert done.stdout == "Fake H200\n", done.stderr
    assert done.stderr == ""


def test_a_gpu_that_nothing_drives(driver: Path) -> None:
    """A driver, and neither package: the extra is named."""
    program = """
import sys
sys.modules["cuda"] = sys.modules["pycuda"] = None
import importlib.util
importlib.util.find_spec = lambda name: None
from runtime.errors import ConfigError
from runtime.open_device import open_device
try:
    open_device()
except ConfigError as error:
    print(error)
"""
    done = run(driver, program)

    assert "neither cuda.core nor pycuda is installed" in done.stdout, done.stderr
    assert "pip install 'framegate[cuda]'" in done.stdout
