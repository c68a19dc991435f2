"""Threads for the photos of an album, and those that calls inside of calls get."""

import threading
import time
from collections.abc import Callable

import pytest

from realfill.core import parallel
from realfill.core.parallel import map_parallel, thread_count


@pytest.fixture(autouse=True)
def three_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")


def test_results_keep_the_order_and_items_run_at_a_time() -> None:
    together = threading.Barrier(3, timeout=10)

    def double(number: int) -> int:
        together.wait()
        return 2 * number

    assert map_parallel(double, range(3)) == [0, 2, 4]
    assert map_parallel(str, []) == []


def test_an_error_of_one_item_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        map_parallel(lambda number: 1 / number, [1, 0, 2])


def test_the_error_of_the_first_item_is_raised_and_the_next_call_works() -> None:
    together = threading.Barrier(2, timeout=10)

    def fail(number: int) -> None:
        together.wait()
        time.sleep(0.02 * (1 - number))
        raise ValueError(number)

    for _ in range(5):
        with pytest.raises(ValueError, match="0"):
            map_parallel(fail, range(2))
    assert map_parallel(abs, range(9)) == list(range(9))


def test_what_runs_in_a_thread_gets_those_that_are_idle() -> None:
    for last in (False, True):  # the long item is the caller's, or a helper's
        started, names = threading.Event(), set[str]()

        def note(_: int, started: threading.Event = started, names: set[str] = names) -> None:
            names.add(threading.current_thread().name)
            started.set()
            time.sleep(0.005)

        def run(is_long: bool, started: threading.Event = started, note: Callable[[int], None] = note) -> None:
            if is_long:
                map_parallel(note, range(20))
            else:
                started.wait(10)

        map_parallel(run, [not last, False, last])
        assert len(names) == 3, "all of them, once the other items are done"


def test_there_are_never_more_threads_than_allowed() -> None:
    working, most, lock = 0, 0, threading.Lock()

    def work(_: int) -> None:
        nonlocal working, most
        with lock:
            working += 1
            most = max(most, working)
        time.sleep(0.002)
        with lock:
            working -= 1

    for _ in range(3):
        map_parallel(lambda _: map_parallel(work, range(5)), range(7))
    assert most == 3


def test_the_environment_and_the_cores_limit_the_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    assert thread_count() == 3
    monkeypatch.setenv("OMP_NUM_THREADS", "100")
    assert thread_count() == parallel.MAX_THREADS
    for words in ("", "0", "two"):
        monkeypatch.setenv("OMP_NUM_THREADS", words)
        assert 1 <= thread_count() <= parallel.MAX_THREADS
