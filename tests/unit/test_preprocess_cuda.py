"""The CUDA kernel's code, run on the CPU, against the CPU's preprocessing and the slow plain reference: to the bit."""

import ctypes
import hashlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from benchmarks.kernel import Bench
from runtime.cuda import build, image_for, source
from runtime.cuda.plan import FRAME, SHARED_BYTES, plan_picture
from runtime.errors import ConfigError, EngineError, InferenceError
from runtime.manifest import Input, Patches, Resize
from runtime.opencv import cv2
from runtime.preprocess import Preprocessor
from runtime.preprocess_cuda import CudaPreprocessor, DevicePicture
from tests.cuda_host import build as build_host
from tests.cuda_host import host_kernel
from tests.device_pictures import LAYOUTS, device_picture
from tests.fake_device import FakeDevice
from tests.pictures import noise, scene
from tests.reference_preprocess import reference

MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
FITS: tuple[Literal["stretch", "crop", "pad"], ...] = ("stretch", "crop", "pad")
Array = NDArray[Any]


def an_input(height: int, width: int, dtype: str = "uint8", layout: str = "NHWC", **rest: Any) -> Input:
    scale = {} if dtype == "uint8" else {"mean": MEAN, "std": STD}
    fields = {"name": "image", "dtype": dtype, "layout": layout, "height": height, "width": width}
    return Input.model_validate(fields | scale | rest)


def a_device() -> FakeDevice:
    return FakeDevice({"framegate_preprocess": host_kernel()})


def filled(pictures: Sequence[DevicePicture], spec: Input, device: FakeDevice | None = None, first: int = 0) -> Array:
    """All samples of a batch of two more than there are pictures."""
    device = device or a_device()
    size = first + len(pictures) + 2
    nbytes = size * int(np.prod(spec.shape)) * np.dtype(spec.dtype).itemsize
    target, stream = device.memory(nbytes), device.stream()
    CudaPreprocessor(spec, device, size).fill(pictures, target.pointer, stream, first)
    stream.synchronize()
    return target.content.view(spec.dtype).reshape(size, *spec.shape).copy()


def expected(pixels: NDArray[np.uint8], spec: Input, full: tuple[int, int] | None = None) -> Array:
    preprocessor = Preprocessor(spec)
    batch = preprocessor.batch(1)
    preprocessor.fill(pixels, batch[0], full)
    sample: Array = batch[0]
    return sample


def planned(spec: Input, size: tuple[int, ...], strides: tuple[int, int, int]) -> Any:
    """The first descriptor's fields."""
    return np.frombuffer(plan_picture(spec, (size[0], size[1]), strides).frames, FRAME)[0]


def assert_same_bits(wanted: Array, actual: Array) -> None:
    assert wanted.dtype == actual.dtype
    assert wanted.shape == actual.shape
    assert wanted.tobytes() == actual.tobytes()


@pytest.fixture(params=[False, True], ids=["forwards", "backwards"])
def order(request: pytest.FixtureRequest) -> Iterator[None]:
    host_kernel().run_backwards(request.param)
    yield
    host_kernel().run_backwards(False)


sides = st.one_of(st.integers(1, 9), st.integers(1, 150))
resizes = st.builds(Resize, fit=st.sampled_from(FITS), halve=st.booleans(), pad_value=st.integers(0, 255))
specs = st.builds(
    an_input,
    st.integers(1, 80),
    st.integers(1, 80),
    st.sampled_from(["uint8", "float32", "float16"]),
    st.sampled_from(["NHWC", "NCHW"]),
    color=st.sampled_from(["RGB", "BGR"]),
    resize=resizes,
)
patch_specs = st.builds(
    an_input,
    st.integers(1, 40),
    st.integers(1, 40),
    st.sampled_from(["uint8", "float32", "float16"]),
    st.sampled_from(["NHWC", "NCHW"]),
    color=st.sampled_from(["RGB", "BGR"]),
    patches=st.builds(Patches, rows=st.integers(1, 4), columns=st.integers(1, 4), least_side=st.integers(1, 70)),
)


@given(
    spec=st.one_of(specs, patch_specs),
    sizes=st.lists(st.tuples(sides, sides), min_size=1, max_size=3),
    layout=st.sampled_from(LAYOUTS),
    shift=st.integers(0, 31),
    backwards=st.booleans(),
)
@settings(deadline=None, max_examples=500)
def test_equals_the_cpu(spec: Input, sizes: list[tuple[int, int]], layout: str, shift: int, backwards: bool) -> None:
    """Any pictures, in any memory layout at any address, to any input: every bit is the CPU's."""
    pictures = [noise(width, height, seed) for seed, (height, width) in enumerate(sizes)]
    host_kernel().run_backwards(backwards)

    samples = filled([device_picture(pixels, layout, shift) for pixels in pictures], spec)

    host_kernel().run_backwards(False)
    for pixels, sample in zip(pictures, samples, strict=False):
        assert_same_bits(expected(pixels, spec), sample)


@given(spec=st.one_of(specs, patch_specs), height=st.integers(1, 60), width=st.integers(1, 60))
@settings(deadline=None, max_examples=120)
def test_equals_the_reference(spec: Input, height: int, width: int) -> None:
    """The slow plain reference, which OpenCV has no part in, gives the same."""
    pixels = noise(width, height)

    assert_same_bits(reference(pixels, spec), filled([device_picture(pixels)], spec)[0])


@pytest.mark.parametrize("layout", ["interleaved", "planes"])
@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize(
    ("width", "height"),
    [(640, 480), (1280, 720), (1366, 768), (1919, 1079), (1920, 1080), (720, 1280), (3840, 2160), (225, 223), (90, 60)],
)
@pytest.mark.usefixtures("order")
def test_equals_the_cpu_at_real_sizes(width: int, height: int, fit: str, layout: str) -> None:
    """480p to 4K, odd sizes, upright phones and small pictures, all into 224 x 224."""
    spec = an_input(224, 224, "float16", "NCHW", resize={"fit": fit})
    pixels = scene(width, height)

    assert_same_bits(expected(pixels, spec), filled([device_picture(pixels, layout, 5)], spec)[0])


@pytest.mark.parametrize("layout", ["interleaved", "planes"])
@pytest.mark.parametrize(
    ("width", "height"), [(640, 480), (1280, 720), (1919, 1079), (720, 1280), (3840, 2160), (2881, 1441), (90, 60)]
)
@pytest.mark.usefixtures("order")
def test_patches_equal_the_cpu_at_real_sizes(width: int, height: int, layout: str) -> None:
    """Frames of 480p to 4K in one batch with a small one, each 20 patches of 64 x 64."""
    spec = an_input(64, 64, patches={"rows": 4, "columns": 5})
    pictures = [scene(width, height), scene(48, 40)]

    samples = filled([device_picture(pixels, layout, 5) for pixels in pictures], spec)

    for pixels, sample in zip(pictures, samples, strict=False):
        assert_same_bits(expected(pixels, spec), sample)


@given(spec=patch_specs, halvings=st.integers(0, 3), height=st.integers(1, 400), width=st.integers(1, 400))
@settings(deadline=None, max_examples=80)
def test_patches_of_a_scaled_picture_equal_the_cpu(spec: Input, halvings: int, height: int, width: int) -> None:
    """A picture that was decoded at 1/2, 1/4 or 1/8 says what its full size is; it is halved the fewer times."""
    assert spec.patches is not None
    full = (max(height, spec.patches.least_side << halvings), max(width, spec.patches.least_side << halvings))
    pixels = noise(-(-full[1] >> halvings), -(-full[0] >> halvings))
    picture = replace(device_picture(pixels), full_height=full[0], full_width=full[1])

    assert_same_bits(expected(pixels, spec, full), filled([picture], spec)[0])


@pytest.mark.parametrize("halvings", range(10))
def test_equals_the_cpu_whatever_the_halvings(halvings: int) -> None:
    """None in registers, one, two, more in shared memory, and what fits nowhere: the same bits."""
    spec = an_input(3, 5, "float32", "NHWC", color="BGR")
    pixels = noise((5 << halvings) + halvings, (3 << halvings) + halvings // 2)
    picture = device_picture(pixels, shift=3)
    strides = (picture.row_stride, 3, 1)
    assert planned(spec, pixels.shape[:2], strides)["halvings"] == halvings

    assert_same_bits(expected(pixels, spec), filled([picture], spec)[0])


def test_every_way_through_the_kernel_is_taken() -> None:
    """The test above goes through staged tiles with 0, 1, 2 and more halvings, and through direct ones."""
    spec = an_input(3, 5)
    frames = [planned(spec, (3 << n, 5 << n), (15 << n, 3, 1)) for n in range(10)]

    staged = [int(frame["halvings"]) for frame in frames if not frame["direct"]]
    assert staged[:4] == [0, 1, 2, 3]
    assert any(frame["direct"] for frame in frames)


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("size", [(65_535, 1), (1, 65_535), (65_535, 40), (37, 65_535), (1, 1)])
def test_equals_the_cpu_at_the_longest_sides(size: tuple[int, int], fit: str) -> None:
    """The longest sides there are, and the shortest."""
    spec = an_input(32, 36, resize={"fit": fit})
    pixels = noise(size[1], size[0])

    assert_same_bits(expected(pixels, spec), filled([device_picture(pixels)], spec)[0])


@given(
    height=st.integers(1, 900),
    width=st.integers(1, 900),
    wanted=st.tuples(st.integers(1, 300), st.integers(1, 300)),
)
@settings(deadline=None, max_examples=150)
def test_equals_opencv(height: int, width: int, wanted: tuple[int, int]) -> None:
    """Without halving and cutting it is cv2.resize(INTER_LINEAR), up and down, to the bit."""
    pixels = noise(width, height)
    spec = an_input(*wanted, resize={"halve": False})

    sample = filled([device_picture(pixels)], spec)[0]

    np.testing.assert_array_equal(cv2.resize(pixels, wanted[::-1], interpolation=cv2.INTER_LINEAR), sample)


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float16"])
@pytest.mark.parametrize("width", [30, 32])
@pytest.mark.parametrize("layout", ["NHWC", "NCHW"])
def test_touches_no_other_sample(dtype: str, layout: str, width: int) -> None:
    """Samples before the first one asked for and after the last stay as they were."""
    spec = an_input(24, width, dtype, layout)

    samples = filled([device_picture(noise(91, 67)), device_picture(noise(40, 30))], spec, first=1)

    assert (samples[[0, 3, 4]].view(np.uint8) == 0xAB).all()
    assert_same_bits(expected(noise(91, 67), spec), samples[1])
    assert_same_bits(expected(noise(40, 30), spec), samples[2])


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float16"])
def test_patches_touch_no_other_sample(dtype: str) -> None:
    """All patches of the samples asked for are written, and none of the samples beside them."""
    spec = an_input(9, 10, dtype, patches={"rows": 2, "columns": 3})

    samples = filled([device_picture(noise(91, 67)), device_picture(noise(5, 30))], spec, first=1)

    assert (samples[[0, 3, 4]].view(np.uint8) == 0xAB).all()
    assert_same_bits(expected(noise(91, 67), spec), samples[1])
    assert_same_bits(expected(noise(5, 30), spec), samples[2])


def test_pictures_keep_their_places() -> None:
    """The largest picture is worked on first, but its sample is where it was asked for."""
    sizes = [(40, 30), (1280, 720), (33, 9), (640, 480), (40, 30), (1920, 1080)]
    pictures = [noise(width, height, seed) for seed, (width, height) in enumerate(sizes)]
    spec = an_input(64, 64, "float16", "NCHW", color="BGR")

    samples = filled([device_picture(pixels) for pixels in pictures], spec)

    for pixels, sample in zip(pictures, samples, strict=False):
        assert_same_bits(expected(pixels, spec), sample)


@given(
    wanted=st.tuples(st.integers(1, 700), st.integers(1, 700)),
    size=st.tuples(st.integers(1, 65_535), st.integers(1, 65_535)),
    resize=resizes,
    patches=st.one_of(st.none(), st.builds(Patches, rows=st.integers(1, 4), columns=st.integers(1, 4))),
    layout=st.sampled_from(["interleaved", "planes"]),
)
@settings(deadline=None, max_examples=400)
def test_plans_fit_every_gpu(
    wanted: tuple[int, int], size: tuple[int, int], resize: Resize, patches: Patches | None, layout: str
) -> None:
    """No picture asks for more shared memory than a block has, and its tiles cover the input."""
    height, width = size
    strides = (3 * width, 3, 1) if layout == "interleaved" else (width, 1, width * height)

    spec = an_input(*wanted, **({"resize": resize} if patches is None else {"patches": patches}))
    plan = plan_picture(spec, size, strides)

    assert plan.shared_bytes <= SHARED_BYTES
    frame = planned(spec, size, strides)
    rows, columns = int(frame["tile_rows"]), int(frame["tile_columns"])
    assert columns % 4 == 0
    assert plan.tiles == -(-wanted[0] // rows) * -(-wanted[1] // columns)


def sanitized(sanitiser: str, runtime: str, *flags: str) -> str:
    """What ``tests.cuda_sanitized`` prints; a finding fails the test."""
    library = build_host("-fno-sanitize-recover", *flags)
    said = subprocess.run(["g++", f"-print-file-name={runtime}"], capture_output=True, text=True, check=True)
    options = {"ASAN_OPTIONS": "detect_leaks=0", "TSAN_OPTIONS": "halt_on_error=1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "tests.cuda_sanitized", str(library), sanitiser],
        cwd=Path(__file__).parents[2],
        env={"LD_PRELOAD": said.stdout.strip(), "PATH": "/usr/bin:/bin", **options},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout


def test_reads_and_writes_only_what_is_its_own() -> None:
    """Under the address sanitiser, with pictures and shared memory of exactly their sizes, nothing else is touched."""
    assert sanitized("address", "libasan.so", "-fsanitize=address,undefined") == "162 launches\n"


def test_no_barrier_is_missing() -> None:
    """Under the thread sanitiser, with a thread of the system for each of a block's, no two touch the same memory."""
    assert sanitized("thread", "libtsan.so", "-fsanitize=thread", "-DFRAMEGATE_REAL_THREADS=8") == "135 launches\n"


def test_the_frame_is_laid_out_alike() -> None:
    """NumPy's and the compiler's idea of a frame descriptor agree."""
    library = host_kernel().library

    assert library.frame_bytes() == FRAME.itemsize
    assert library.offset_of_last() == dict(FRAME.fields or {})["folded_words"][1]


def test_a_table_is_not_written_while_the_device_may_read_it() -> None:
    """More launches than there are tables, none waited for in between: each sees its own descriptors."""
    device, spec = a_device(), an_input(16, 20)
    preprocessor = CudaPreprocessor(spec, device, 1)
    pictures = [device_picture(noise(60, 50, seed)) for seed in range(11)]
    targets, streams = [device.memory(16 * 20 * 3) for _ in pictures], [device.stream() for _ in pictures]

    for picture, target, stream in zip(pictures, targets, streams, strict=True):
        preprocessor.fill([picture], target.pointer, stream)
    for stream in streams:
        stream.synchronize()

    for seed, target in enumerate(targets):
        np.testing.assert_array_equal(expected(noise(60, 50, seed), spec), target.content.reshape(16, 20, 3))


def test_eight_threads_share_one() -> None:
    """Eight threads with a stream each give what one gives."""
    device, spec = a_device(), an_input(56, 48, "float32", "NCHW", color="BGR")
    preprocessor = CudaPreprocessor(spec, device, 4)

    def run(seed: int) -> bool:
        device.activate()
        pictures = [noise(90 + 37 * seed + place, 60 + 29 * seed, seed) for place in range(4)]
        on_device = [device_picture(pixels) for pixels in pictures]
        target, stream = device.memory(4 * 56 * 48 * 12), device.stream()
        preprocessor.fill(on_device, target.pointer, stream)
        stream.synchronize()
        samples = target.content.view(np.float32).reshape(4, *spec.shape)
        return all((expected(pixels, spec) == sample).all() for pixels, sample in zip(pictures, samples, strict=True))

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(run, [seed % 8 for seed in range(32)]))


def test_closed() -> None:
    """All of the device's memory is given back: the tables of frames and of levels."""
    device = a_device()
    preprocessor = CudaPreprocessor(an_input(8, 8, "float32"), device, 2)
    held = len(device.pieces)

    preprocessor.close()

    assert held == 5
    assert device.pieces == {}


@pytest.mark.parametrize("room", range(5))
def test_too_little_memory(room: int) -> None:
    """What there was is given back."""
    device = FakeDevice({"framegate_preprocess": host_kernel()}, room=room)

    with pytest.raises(InferenceError, match="OUT_OF_MEMORY"):
        CudaPreprocessor(an_input(8, 8, "float32"), device, 2)

    assert device.pieces == {}


@pytest.mark.parametrize(("count", "first"), [(3, 0), (1, 2), (1, -1)])
def test_refuses_samples_outside_the_batch(count: int, first: int) -> None:
    """More pictures than samples is our mistake and raises, before anything is queued."""
    device = a_device()
    preprocessor = CudaPreprocessor(an_input(8, 8), device, 2)

    with pytest.raises(ValueError, match="in a batch of 2"):
        preprocessor.fill([device_picture(noise(9, 9))] * count, device.memory(999).pointer, device.stream(), first)


def test_refuses_more_patches_than_a_launch_takes() -> None:
    """A grid has 65535 rows: a larger batch of patches would not start, so the operator learns what would."""
    spec = an_input(8, 8, patches={"rows": 64, "columns": 64})
    device = a_device()

    with pytest.raises(ConfigError, match=r"--max-batch 16: .* shows 4096 parts of each frame, .* at most 15"):
        CudaPreprocessor(spec, device, 16)

    CudaPreprocessor(spec, device, 15).close()
    assert device.pieces == {}


def test_refuses_an_address_that_vectors_cannot_take() -> None:
    """Stores of 16 bytes want an address of 16 bytes."""
    device = a_device()
    preprocessor = CudaPreprocessor(an_input(8, 8), device, 2)

    with pytest.raises(ValueError, match="a multiple of 16"):
        preprocessor.fill([device_picture(noise(9, 9))], device.memory(999).pointer + 8, device.stream())


@pytest.mark.parametrize(
    ("size", "strides"), [((0, 4), (12, 3, 1)), ((4, 65_536), (196_608, 3, 1)), ((4, 4), (2**31, 3, 1))]
)
def test_refuses_pictures_beyond_the_descriptor(size: tuple[int, int], strides: tuple[int, int, int]) -> None:
    """What the kernel's numbers cannot say is our mistake and raises: it would read elsewhere."""
    with pytest.raises(ValueError, match="are due"):
        plan_picture(an_input(8, 8), size, strides)


class HostTimer:
    """Copies at once and takes the host's clock."""

    def copy(self, target: int, source: int, nbytes: int, stream: Any) -> None:
        stream.queue(lambda: ctypes.memmove(target, source, nbytes))

    def seconds(self, work: Callable[[], None], stream: Any) -> float:
        start = time.perf_counter()
        work()
        stream.synchronize()
        return time.perf_counter() - start


@pytest.mark.parametrize("graphs", [True, False])
def test_the_benchmark_runs(graphs: bool) -> None:
    """``python -m benchmarks kernel`` but for the device's clock: the answers are checked, the bytes counted."""
    device = FakeDevice({"framegate_preprocess": host_kernel()}, graphs=graphs)
    bench = Bench(device, HostTimer(), batch=3, size=32, rounds=2, fresh_bytes=50_000)

    row = bench.measure([(48, 64), (72, 128), (33, 35)], "float16 NCHW")

    assert row["bytes"] == 3 * (48 * 64 + 72 * 128 + 33 * 35) + 3 * 32 * 32 * 3 * 2
    assert row["share"] == pytest.approx(row["gb_per_s"] / row["copy_gb_per_s"], rel=0.9)
    assert min(row.values()) > 0


@pytest.mark.parametrize(
    ("capability", "image"),
    [
        *[((7, 5), "sm_75"), ((8, 0), "sm_80"), ((8, 6), "sm_86"), ((8, 7), "compute_80"), ((8, 9), "sm_89")],
        *[((9, 0), "sm_90"), ((10, 0), "sm_100"), ((10, 3), "sm_100"), ((12, 1), "sm_120")],
        *[((11, 0), "compute_80"), ((13, 0), "compute_80")],
    ],
)
def test_each_gpu_gets_the_nearest_image(capability: tuple[int, int], image: str) -> None:
    """The newest cubin of its generation that is not newer than it; PTX for what came after all, and for Orin."""
    known = source()["images"][image]

    assert hashlib.sha256(image_for(capability)).hexdigest() == known["sha256"]


def test_a_gpu_that_is_too_old_is_named() -> None:
    """An older GPU is refused with what ships and what to do."""
    with pytest.raises(
        EngineError, match=r"ships for sm_75, .* not for a GPU of compute capability 7\.0: preprocess on"
    ):
        image_for((7, 0))


def test_the_shipped_images_are_of_these_sources() -> None:
    """Whoever changes the kernel compiles it anew: ``python -m runtime.cuda.build``."""
    known = source()

    assert known["sources"] == build.source_digests()
    assert known["options"] == list(build.OPTIONS)
    for name, image in known["images"].items():
        shipped = (build.FOLDER / image["file"]).read_bytes()
        assert shipped.startswith(b"\x7fELF") if name.startswith("sm_") else shipped.endswith(b"\0"), name
        assert hashlib.sha256(shipped).hexdigest() == image["sha256"], name
    assert {path.name for path in build.FOLDER.glob("preprocess.*_*")} == {
        image["file"] for image in known["images"].values()
    }


def test_the_compiler_takes_the_sources_for_every_gpu() -> None:
    """NVRTC compiles them for all that ships; the very compiler that made the images gives the same bytes again."""
    pytest.importorskip("cuda.bindings.nvrtc", reason="NVRTC is missing: pip install 'framegate[train]' brings one")
    known = source()

    made = {name: hashlib.sha256(build.compile_image(name)).hexdigest() for name in known["images"]}

    if build.compiler() == known["compiler"]:
        assert made == {name: image["sha256"] for name, image in known["images"].items()}
