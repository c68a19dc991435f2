"""Threads for the photos of an album: NumPy, OpenCV and PyTorch compute outside of Python's lock."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

MAX_THREADS = 4  # each works on a photo of its own: the memory grows with them
_local = threading.local()


def thread_count() -> int:
    """How many photos are worked on at a time: OMP_NUM_THREADS, or else the cores, `MAX_THREADS` at most."""
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    cores = int(wanted) if wanted.isdecimal() and int(wanted) else len(os.sched_getaffinity(0))
    return min(cores, MAX_THREADS)


def map_parallel(function: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """Apply a function to items, several at a time.

    A function that is itself run by `map_parallel` gets one thread. The results do not depend on the number of
    threads if the function does not.

    Args:
        function: Must not rely on the order of the calls.
        items: Its arguments.

    Returns:
        The results in the order of the items.
    """
    arguments = list(items)
    threads = min(len(arguments), thread_count())
    if threads < 2 or getattr(_local, "is_busy", False):
        return [function(item) for item in arguments]
    with ThreadPoolExecutor(threads, initializer=lambda: setattr(_local, "is_busy", True)) as pool:
        return list(pool.map(function, arguments))
