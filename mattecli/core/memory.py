"""Keep freed memory for the next tensor instead of handing it back to the system."""

from __future__ import annotations

import ctypes
import sys

# From glibc's malloc.h.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3


def keep_freed_memory() -> None:
    """Make glibc serve big arrays from the heap and keep the heap when they are freed.

    By default each activation of more than 32 MiB is mapped and unmapped anew, and the kernel
    clears every page again. On virtual machines whose pages are slow to come, a training step was
    measured six times slower for it. Does nothing where the C library is another one.
    """
    if not sys.platform.startswith("linux"):
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return
    mallopt(_MMAP_THRESHOLD, 1 << 30)
    mallopt(_TRIM_THRESHOLD, (1 << 31) - 1)
