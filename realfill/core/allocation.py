"""How freed memory is kept by the C library: arrays of pictures are allocated and freed many times a second."""

from __future__ import annotations

import ctypes
from contextlib import suppress
from dataclasses import dataclass

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h


@dataclass(frozen=True)
class AllocationSettings:
    """When memory is kept for the next array instead of being given back, bytes; both set by hand.

    Attributes:
        mmap_threshold: Larger arrays are always given back when they are freed; the most that glibc allows.
        trim_threshold: As much is kept at most.
    """

    mmap_threshold: int = 2**25
    trim_threshold: int = 2**28


def keep_freed_memory(settings: AllocationSettings = AllocationSettings()) -> None:
    """Let glibc keep freed memory, as MALLOC_MMAP_THRESHOLD_ and MALLOC_TRIM_THRESHOLD_ do; others ignore it."""
    with suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_MMAP_THRESHOLD, settings.mmap_threshold)
        mallopt(_M_TRIM_THRESHOLD, settings.trim_threshold)
