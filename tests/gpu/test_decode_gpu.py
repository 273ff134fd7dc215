"""nvJPEG itself: the pictures of ``docs/pictures.md`` on a GPU, beside the CPU decoder."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from runtime import metrics
from runtime.decode_cuda import CudaDecoder
from runtime.device import Device
from runtime.errors import ConfigError, FrameError
from runtime.open_device import open_device
from runtime.preprocess_cuda import DevicePicture
from tests.pictures import jpeg, noise, scene
from tests.unit.test_decode_cuda import ALL, BAD, END, MAX_PIXELS, PLAIN, SUITING, UNSUITING, on_cpu

pytestmark = pytest.mark.gpu

MEAN_LEVELS = 2.0
"""Of 255, as torchvision's own tests allow nvJPEG: another inverse transform, another interpolation of colour."""


@pytest.fixture(scope="module")
def device() -> Device:
    try:
        return open_device()
    except ConfigError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def decoder(device: Device) -> Iterator[CudaDecoder]:
    pytest.importorskip("nvidia.nvimgcodec", reason="nvImageCodec is missing: pip install 'framegate[cuda]'")
    with ThreadPoolExecutor(4) as workers:
        yield CudaDecoder(device, MAX_PIXELS, workers=workers, threads=4, part_bytes=100_000)


def decode(device: Device, decoder: CudaDecoder, values: list[Any]) -> list[Any]:
    """Each value's pixels or FrameError; a part's way back is only queued before the next one is asked for."""
    stream = device.stream()
    outcomes: list[Any] = []
    for part in decoder.decode(values, stream):
        for outcome in part:
            if isinstance(outcome, DevicePicture):
                assert outcome.row_stride == 3 * outcome.width
                host = device.pinned(outcome.height * outcome.row_stride)
                device.download(host, outcome.pointer, stream)
                outcomes.append(host.reshape(outcome.height, outcome.width, 3))
            else:
                outcomes.append(outcome)
    stream.synchronize()
    return outcomes


def test_every_kind(device: Device, decoder: CudaDecoder) -> None:
    """The same reason as on the CPU; exact pixels from the CPU decoder, near ones from nvJPEG, which takes its own."""
    names = sorted(ALL)
    before = metrics.decoded("gpu")

    for name, outcome in zip(names, decode(device, decoder, [ALL[name] for name in names]), strict=True):
        expected = on_cpu(ALL[name])
        if name in BAD:
            assert isinstance(outcome, FrameError), name
            assert outcome.reason is expected.reason, name
        elif name in UNSUITING:
            np.testing.assert_array_equal(outcome, expected, err_msg=name)
        else:
            assert outcome.shape == expected.shape, name
            assert np.abs(outcome.astype(int) - expected).mean() <= MEAN_LEVELS, name
    assert metrics.decoded("gpu") - before == len(SUITING)


def test_parts_do_not_overtake_their_readers(device: Device, decoder: CudaDecoder) -> None:
    """Hundreds of pictures through the memory of a few, read by queued copies: each copy has its own picture."""
    values = [jpeg(scene(160, 120, seed), 95, "420") for seed in range(200)]
    before = metrics.decoded("gpu")

    for outcome, value in zip(decode(device, decoder, values), values, strict=True):
        assert np.abs(outcome.astype(int) - on_cpu(value)).mean() <= MEAN_LEVELS
    assert metrics.decoded("gpu") - before == len(values)


def test_damage_harms_nobody_else(device: Device, decoder: CudaDecoder) -> None:
    """Flipped bits and ends in the middle: an outcome each, never a crash, and the neighbours are whole."""
    random = np.random.default_rng(0)
    values = [PLAIN]
    for value in (PLAIN, SUITING["progressive"], jpeg(noise(64, 48))):
        for _ in range(40):
            damaged = bytearray(value)
            damaged[random.integers(20, len(value) - 2)] ^= 1 << random.integers(0, 8)
            values += [bytes(damaged), value[: random.integers(len(value) // 2, len(value) - 2)] + END, PLAIN]

    outcomes = decode(device, decoder, values)

    assert all(isinstance(outcome, FrameError | np.ndarray) for outcome in outcomes)
    for outcome in outcomes[::3]:
        assert np.abs(outcome.astype(int) - on_cpu(PLAIN)).mean() <= MEAN_LEVELS
