"""Threads for the photos of an album: NumPy, OpenCV and PyTorch compute outside of Python's lock."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

MAX_THREADS = 4  # each works on a photo of its own: the memory grows with them


def thread_count() -> int:
    """How many photos are worked on at a time: OMP_NUM_THREADS, or else the cores, `MAX_THREADS` at most."""
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    cores = int(wanted) if wanted.isdecimal() and int(wanted) else len(os.sched_getaffinity(0))
    return min(cores, MAX_THREADS)


class _Helpers:
    """Threads that work beside the one that called `map_parallel` first, counted over all calls."""

    def __init__(self) -> None:
        self._count = 0
        self._lock = threading.Lock()

    def take(self) -> bool:
        """Count one more, if a core is idle."""
        with self._lock:
            is_idle = self._count < thread_count() - 1
            self._count += is_idle
            return is_idle

    def change(self, difference: int) -> None:
        """Count more or fewer, whether a core is idle or not."""
        with self._lock:
            self._count += difference


_helpers = _Helpers()
_local = threading.local()


class _Work(Generic[Item, Result]):
    """The items of one call, which several threads take from its head."""

    def __init__(self, function: Callable[[Item], Result], items: Sequence[Item]) -> None:
        self.waiting = deque(range(len(items)))
        self.results: dict[int, Result] = {}
        self.errors: dict[int, BaseException] = {}
        self._function, self._items = function, items

    def run_next(self) -> None:
        """Apply the function to the next item; after an error no other item is begun."""
        try:
            number = self.waiting.popleft()
        except IndexError:  # another thread took the last one
            return
        try:
            self.results[number] = self._function(self._items[number])
        except BaseException as error:
            self.errors[number] = error
            self.waiting.clear()

    def help_out(self) -> None:
        """Work as a helper until no item waits."""
        _local.is_inside = True
        while self.waiting:
            self.run_next()
        _helpers.change(-1)


def map_parallel(function: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """Apply a function to items, several at a time.

    The thread that calls works itself, and before each item takes helpers if cores are idle. So a function that is
    itself run by `map_parallel` gets the threads that this one has no more items for, and there are never more than
    `thread_count()`. The results do not depend on the number of threads if the function does not.

    Args:
        function: Must not rely on the order of the calls.
        items: Its arguments.

    Returns:
        The results in the order of the items.

    Raises:
        BaseException: What the function raised for the first of the items for which it failed.
    """
    arguments = list(items)
    work = _Work(function, arguments)
    is_outermost = not getattr(_local, "is_inside", False)
    _local.is_inside = True
    with ThreadPoolExecutor(MAX_THREADS) as pool:
        while work.waiting:
            for _ in range(len(work.waiting) - 1):
                if not _helpers.take():
                    break
                pool.submit(work.help_out)
            work.run_next()
        if is_outermost:
            _helpers.change(-1)  # this thread is idle until the others are done
    if is_outermost:
        _local.is_inside = False
        _helpers.change(1)
    if work.errors:
        raise work.errors[min(work.errors)]
    return [work.results[number] for number in range(len(arguments))]
