"""The CUDA kernel's own code, compiled by g++ and run on the CPU.

Blocks run one after another, a block's threads too, phase by phase, or as threads of the system under the thread
sanitiser. What this cannot show are the GPU's own instructions: their stand-ins are in ``portable.cuh``.
"""

import ctypes
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest

SOURCES = Path(__file__).parents[1] / "runtime" / "cuda"
MOST_SHARED_BYTES = 48 * 1024
WARNINGS = ("-Wall", "-Wextra", "-Werror", "-Wno-unknown-pragmas")

_ENTRY = r"""
#include <cstddef>
#include <cstdlib>
#include <thread>
#include <vector>
#include "preprocess.cuh"
using namespace framegate;

extern "C" void run_backwards(int yes) { backwards = yes; }

extern "C" int frame_bytes() { return sizeof(Frame); }
extern "C" int offset_of_last() { return offsetof(Frame, folded_words); }

static void run_block(const Frame& frame, const Output& out, int tile, u8* shared) {
#ifdef FRAMEGATE_REAL_THREADS
  pthread_barrier_init(&all_threads, nullptr, THREADS);
  std::vector<std::thread> threads;
  for (int i = 0; i < THREADS; ++i)
    threads.emplace_back([&, i] {
      own_thread = i;
      make_tile(frame, out, tile, shared);
    });
  for (std::thread& thread : threads) thread.join();
  pthread_barrier_destroy(&all_threads);
#else
  make_tile(frame, out, tile, shared);
#endif
}

// Fresh shared memory of just that size, full of rubbish, for every block; backwards, the blocks run so too.
extern "C" void preprocess(unsigned across, unsigned down, unsigned shared_bytes, const Frame* frames, u8* target,
                           const void* table, int rows, int columns, int value_bytes, int planes, int reversed,
                           int pad_value) {
  const Output out{target, table, rows, columns, value_bytes, planes, reversed, static_cast<u32>(pad_value)};
  for (unsigned i = 0; i < across * down; ++i) {
    const unsigned block = backwards ? across * down - 1 - i : i;
    const Frame frame = frames[block / across];
    const int tile = block % across;
    if (tile >= frame.tiles) continue;
    u8* shared = static_cast<u8*>(std::aligned_alloc(16, (shared_bytes + 15) & ~15u));
    std::memset(shared, 0xA5, shared_bytes);
    run_block(frame, out, tile, shared);
    std::free(shared);
  }
}
"""


class HostKernel:
    """``framegate_preprocess`` as a function of the host."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self.library = library
        self._preprocess = library.preprocess
        self._preprocess.restype = None
        self._preprocess.argtypes = [*[ctypes.c_uint32] * 3, *[ctypes.c_uint64] * 3, *[ctypes.c_int32] * 6]

    def __call__(self, grid: tuple[int, int, int], block: tuple[int, int, int], arguments: Sequence[Any]) -> None:
        """As ``FakeDevice`` calls it, with as much shared memory as any launch may have."""
        self.launch(grid, arguments, MOST_SHARED_BYTES)

    def launch(self, grid: tuple[int, int, int], arguments: Sequence[Any], shared_bytes: int) -> None:
        """Run it now; pointers are addresses in this process."""
        self._preprocess(grid[0], grid[1], shared_bytes, *(int(argument) for argument in arguments))

    def run_backwards(self, yes: bool) -> None:
        """Take blocks and threads in the opposite order from now on."""
        self.library.run_backwards(yes)


@cache
def host_kernel(*flags: str) -> HostKernel:
    """Compile it, or skip the test where there is no g++."""
    return HostKernel(ctypes.CDLL(str(build(*flags))))


@cache
def build(*flags: str) -> Path:
    """The library's path; compiled once for its sources, compiler and flags."""
    compiler = os.environ.get("CXX", "g++")
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is missing: apt-get install g++")
    version = subprocess.run([compiler, "--version"], capture_output=True, check=True).stdout
    texts = [path.read_bytes() for path in sorted(SOURCES.glob("*.cuh"))]
    digest = hashlib.sha256(b"\0".join([*texts, _ENTRY.encode(), version, *map(str.encode, flags)])).hexdigest()
    path = Path(tempfile.gettempdir()) / f"framegate-tests-{os.getuid()}" / f"preprocess-{digest[:16]}.so"
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            entry, made = Path(folder, "entry.cpp"), Path(folder, "made.so")
            entry.write_text(_ENTRY)
            command = [compiler, "-std=c++17", "-O2", "-g", "-ffp-contract=off", "-fPIC", "-shared", *WARNINGS, *flags]
            subprocess.run([*command, f"-I{SOURCES}", str(entry), "-o", str(made)], check=True)
            made.replace(path)
    return path
