"""How much memory a gateway takes does not depend on how far it is behind."""

from collections.abc import Callable

import pytest

from tests.gateway_process import ROOT
from tests.route import Route

pytestmark = pytest.mark.kafka

FEW, MANY = 300, 1200


def test_peak_memory_does_not_grow_with_what_waits(route: Callable[..., Route]) -> None:
    """With 1200 photographs of 1280 x 720 waiting (160 MB), the shipped engine's peak is within 10 % of 300's.

    About 120 frames are in hand at once, so 300 show what a running gateway needs. The least of two runs each:
    what the allocator happens to keep in one run is no growth with the lag.
    """
    few, many = (min(_peak_bytes(route, frames) for _ in range(2)) for frames in (FEW, MANY))

    print(f"peak: {few / 2**20:.1f} MiB with {FEW} waiting, {many / 2**20:.1f} MiB with {MANY}: {many / few:.3f}")
    assert many < 1.1 * few


def _peak_bytes(route: Callable[..., Route], frames: int) -> int:
    here = route(engine=ROOT / "models" / "utility-baseline.onnx")
    photos = [path.read_bytes() for path in sorted((ROOT / "demo" / "photos").glob("*.jpg"))]
    here.publish((b"cam-%d" % (number % 8), photos[number % 12]) for number in range(frames))
    with here.gateway() as gateway:
        gateway.wait_until_done(frames)
        return gateway.peak_rss_bytes()
