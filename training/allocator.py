"""Memory that a training step needs again in the next one."""

import ctypes
import ctypes.util

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4
"""glibc's numbers of ``mallopt``'s parameters."""
_EVER, _GROWTH_BYTES = 2**31 - 1, 64 << 20


def keep_memory() -> bool:
    """Let glibc keep what is freed: it gives large arrays back at once, and each step pays to have them zeroed anew.

    Only for programs that end: the process never shrinks. Returns whether the allocator is glibc's.
    """
    name = ctypes.util.find_library("c")
    mallopt = getattr(ctypes.CDLL(name), "mallopt", None) if name else None
    if mallopt is None:
        return False
    settings = ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, _EVER), (_TOP_PAD, _GROWTH_BYTES))
    return all(mallopt(parameter, value) == 1 for parameter, value in settings)
