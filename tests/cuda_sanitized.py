"""``python -m tests.cuda_sanitized LIBRARY address|thread``, under that sanitiser: what it finds ends the process."""

import ctypes
import itertools
import math
import sys
from typing import Any

import numpy as np

from runtime.cuda.plan import FRAME, Placed, describe, plan_picture
from runtime.manifest import Input
from tests.cuda_host import HostKernel

SIZES = ((1, 1), (37, 53), (61, 999), (480, 640), (701, 450), (1079, 1917))
VIEWS: tuple[dict[str, Any], ...] = (
    {"resize": {"fit": "crop"}},
    {"resize": {"fit": "pad"}},
    {"patches": {"rows": 2, "columns": 3, "least_side": 200}},
)
POISONED = 8
"""Bytes before a picture: its memory then begins between two multiples of 16."""


def main(library: str, sanitiser: str) -> None:
    kernel, launches = HostKernel(ctypes.CDLL(library)), 0
    sizes = SIZES if sanitiser == "address" else SIZES[:5]
    for size, layout, wanted, how in itertools.product(
        sizes, ("interleaved", "planes", "four bytes"), ((1, 1), (9, 6), (40, 44)), VIEWS
    ):
        launch(kernel, size, layout, wanted, how, poison=sanitiser == "address")
        launches += 1
    print(launches, "launches")


def launch(
    kernel: HostKernel,
    size: tuple[int, int],
    layout: str,
    wanted: tuple[int, int],
    how: dict[str, Any],
    *,
    poison: bool,
) -> None:
    """One picture in memory of just its own bytes, to a sample of just its own."""
    height, width = size
    spec = Input.model_validate({"name": "image", "height": wanted[0], "width": wanted[1], **how})
    parts = 1 if spec.patches is None else spec.patches.count
    strides = {"interleaved": (3 * width, 3, 1), "planes": (width, 1, width * height), "four bytes": (4 * width, 4, 1)}
    nbytes = height * width * 4 - 1 if layout == "four bytes" else height * width * 3
    pixels, sample = np.zeros(POISONED + nbytes, np.uint8), np.zeros(math.prod(spec.shape), np.uint8)
    before = ctypes.c_void_p(pixels.ctypes.data), ctypes.c_size_t(POISONED)
    if poison:
        ctypes.CDLL(None).__asan_poison_memory_region(*before)
    plan = plan_picture(spec, size, strides[layout])
    frames = np.empty(parts, FRAME)
    describe(frames, [Placed(plan, pixels.ctypes.data + POISONED, 0)])
    pointers = (frames.ctypes.data, sample.ctypes.data, 0)
    kernel.launch((plan.tiles, parts, 1), (*pointers, *wanted, 1, 0, 0, 9), plan.shared_bytes)
    if poison:
        ctypes.CDLL(None).__asan_unpoison_memory_region(*before)


if __name__ == "__main__":
    main(*sys.argv[1:])
