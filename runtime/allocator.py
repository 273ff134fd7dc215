"""How the C library keeps freed memory."""

import ctypes
from contextlib import suppress
from typing import Final

_M_MMAP_THRESHOLD: Final = -3
_LARGE_BYTES: Final = 64 << 10


def return_large_blocks() -> None:
    """Let blocks of 64 KiB and more go back to the system as soon as they are freed (glibc: ``mallopt``).

    Left alone, glibc raises that bound with what it sees, and pieces of frames and of the broker's answers stay in
    the heap of every thread: some 10 MB more, and not the same from run to run (``python -m benchmarks memory``).
    """
    with suppress(OSError, AttributeError):  # another C library has rules of its own
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)
