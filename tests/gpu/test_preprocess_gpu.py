"""The shipped images on a real GPU: what the host tests cannot show."""

import ctypes
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from runtime.device import Device, Memory
from runtime.errors import ConfigError
from runtime.manifest import Input
from runtime.open_device import open_device
from runtime.preprocess import Preprocessor
from runtime.preprocess_cuda import CudaPreprocessor, DevicePicture
from tests.device_pictures import LAYOUTS, device_picture
from tests.pictures import noise

pytestmark = pytest.mark.gpu

MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
SIZES = [(640, 480), (1280, 720), (1919, 1079), (3840, 2160), (225, 223), (90, 60), (1, 1), (5000, 3), (2, 3000)]


@pytest.fixture(scope="module")
def device() -> Device:
    try:
        return open_device()
    except ConfigError as error:
        pytest.skip(str(error))


def an_input(dtype: str, layout: str, height: int, width: int, **rest: Any) -> Input:
    scale = {} if dtype == "uint8" else {"mean": MEAN, "std": STD}
    fields = {"name": "image", "dtype": dtype, "layout": layout, "height": height, "width": width}
    return Input.model_validate(fields | scale | rest)


def uploaded(pixels: NDArray[np.uint8], layout: str, device: Device) -> DevicePicture:
    """The picture with its strides, 7 bytes behind the start of its memory, which holds nothing after it."""
    there = device_picture(pixels, layout)
    ends = [
        (side - 1) * step
        for side, step in zip(pixels.shape, (there.row_stride, there.pixel_stride, there.channel_stride), strict=True)
    ]
    lowest, nbytes = sum(min(end, 0) for end in ends), sum(abs(end) for end in ends) + 1
    source = np.ctypeslib.as_array((ctypes.c_uint8 * nbytes).from_address(there.pointer + lowest))
    memory, stream = device.memory(nbytes + 7), device.stream()
    device.upload(memory.pointer + 7, source.copy(), stream)
    stream.synchronize()
    strides = (there.row_stride, there.pixel_stride, there.channel_stride)
    pointer = memory.pointer + 7 - lowest
    return DevicePicture(pointer, there.height, there.width, *strides, there.height, there.width, memory)


def downloaded(target: Memory, samples: int, spec: Input, device: Device) -> NDArray[Any]:
    found, stream = np.empty((samples, *spec.shape), spec.dtype), device.stream()
    device.download(found, target.pointer, stream)
    stream.synchronize()
    return found


def assert_as_on_the_cpu(device: Device, spec: Input, pictures: list[NDArray[np.uint8]], layout: str) -> None:
    on_device = [uploaded(pixels, layout, device) for pixels in pictures]
    cpu = Preprocessor(spec)
    wanted = cpu.batch(len(pictures))
    target, stream = device.memory(wanted.nbytes), device.stream()

    CudaPreprocessor(spec, device, len(pictures)).fill(on_device, target.pointer, stream)
    stream.synchronize()

    found = downloaded(target, len(pictures), spec, device)
    for place, pixels in enumerate(pictures):
        cpu.fill(pixels, wanted[place])
        assert wanted[place].tobytes() == found[place].tobytes(), f"{pixels.shape}, {spec}"


@pytest.mark.parametrize("fit", ["stretch", "crop", "pad"])
@pytest.mark.parametrize("layout", ["NHWC", "NCHW"])
@pytest.mark.parametrize("dtype", ["uint8", "float32", "float16"])
def test_equals_the_cpu(device: Device, dtype: str, layout: str, fit: str) -> None:
    """480p to 4K and odd sizes in one launch: every bit is the CPU's."""
    pictures = [noise(width, height, seed) for seed, (width, height) in enumerate(SIZES)]

    for height, width in ((224, 224), (37, 50)):
        for halve in (True, False):
            spec = an_input(dtype, layout, height, width, color="BGR", resize={"fit": fit, "halve": halve})
            assert_as_on_the_cpu(device, spec, pictures, "interleaved")


@pytest.mark.parametrize("memory_layout", LAYOUTS)
def test_equals_the_cpu_in_every_memory_layout(device: Device, memory_layout: str) -> None:
    """Interleaved, planes, padded rows, other strides: the same bits."""
    pictures = [noise(width, height) for width, height in SIZES]

    assert_as_on_the_cpu(device, an_input("float16", "NCHW", 224, 224), pictures, memory_layout)


@pytest.mark.parametrize("halvings", range(9))
def test_equals_the_cpu_whatever_the_halvings(device: Device, halvings: int) -> None:
    """Every way through the kernel: in registers, in shared memory, without it."""
    pixels = noise((5 << halvings) + halvings, (3 << halvings) + halvings)

    assert_as_on_the_cpu(device, an_input("float32", "NHWC", 3, 5), [pixels], "interleaved")


@pytest.mark.parametrize("memory_layout", ["interleaved", "planes"])
def test_patches_equal_the_cpu(device: Device, memory_layout: str) -> None:
    """Twenty patches of each frame, of 480p to 4K and of one that is smaller than a patch, in one launch."""
    pictures = [noise(width, height) for width, height in [*SIZES, (48, 40)]]
    spec = an_input("uint8", "NHWC", 64, 64, patches={"rows": 4, "columns": 5})

    assert_as_on_the_cpu(device, spec, pictures, memory_layout)


def test_a_thousand_random_pictures(device: Device) -> None:
    """Random sizes, inputs and fits, 50 batches of 20."""
    random = np.random.default_rng(5)
    for _ in range(50):
        dtype, layout = random.choice(["uint8", "float16", "float32"]), random.choice(["NHWC", "NCHW"])
        height, width = (int(side) for side in random.integers(1, 320, 2))
        spec = an_input(str(dtype), str(layout), height, width, resize={"fit": str(random.choice(["crop", "pad"]))})
        sizes = random.integers(1, 900, (20, 2))
        assert_as_on_the_cpu(device, spec, [noise(int(w), int(h)) for w, h in sizes], "interleaved")


def test_streams_run_side_by_side(device: Device) -> None:
    """Four threads, each with its stream, share one: nobody's descriptors reach another's launch."""
    spec = an_input("uint8", "NHWC", 224, 224)
    preprocessor = CudaPreprocessor(spec, device, 1)
    pictures = [noise(640 + 10 * seed, 480, seed) for seed in range(4)]
    on_device = [uploaded(pixels, "interleaved", device) for pixels in pictures]

    def run(which: int) -> bool:
        device.activate()
        target, stream, cpu = device.memory(224 * 224 * 3), device.stream(), Preprocessor(spec)
        wanted = cpu.batch(1)
        cpu.fill(pictures[which], wanted[0])
        for _ in range(50):
            preprocessor.fill([on_device[which]], target.pointer, stream)
            stream.synchronize()
            if downloaded(target, 1, spec, device).tobytes() != wanted.tobytes():
                return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(run, range(4)))
