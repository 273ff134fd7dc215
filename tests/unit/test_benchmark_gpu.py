"""``python -m benchmarks gpu`` on a device in host memory: its figures are of the GPU's way, or there are none."""

from collections.abc import Sequence
from typing import Any

import pytest

from benchmarks import gpu
from benchmarks.gpu import Bench
from runtime.cuda import ENTRY
from runtime.errors import InferenceError
from runtime.preprocess_cuda import DevicePicture
from tests.cuda_host import host_kernel
from tests.fake_device import FakeDevice
from tests.host_codec import HostCodec


class Idle(HostCodec):
    """Decodes what proves it, and leaves all else to the CPU."""

    def decode(self, values: Sequence[bytes], stream: Any) -> list[DevicePicture | None]:
        return [None] * len(values) if self.seen else super().decode(values, stream)


def make_bench(monkeypatch: pytest.MonkeyPatch, codec: type[HostCodec]) -> tuple[Bench, FakeDevice]:
    monkeypatch.setattr(gpu, "_codec", lambda _: codec)
    device = FakeDevice({ENTRY: host_kernel()})
    arguments = gpu._parser().parse_args(["--batch", "2", "--in-flight", "1", "--frames", "2"])
    return Bench(arguments, device), device


def test_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Frames a second of decoding, alone and with the kernel; the memory is given back."""
    bench, device = make_bench(monkeypatch, HostCodec)

    assert bench.decode_fps() > 0
    assert bench.prepare_fps() > 0
    assert device.pieces == {}


def test_the_cpu_decoders_speed_is_not_the_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """A codec that leaves the frames to the CPU is not measured."""
    bench, _ = make_bench(monkeypatch, Idle)

    with pytest.raises(InferenceError, match="the GPU decoded 0 of the 2 frames"):
        bench.decode_fps()
