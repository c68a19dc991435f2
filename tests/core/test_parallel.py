import threading

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


def test_what_runs_in_a_thread_gets_one_thread() -> None:
    def names(_: int) -> set[str]:
        return set(map_parallel(lambda _: threading.current_thread().name, range(5)))

    assert [len(inner) for inner in map_parallel(names, range(3))] == [1, 1, 1]


def test_the_environment_and_the_cores_limit_the_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    assert thread_count() == 3
    monkeypatch.setenv("OMP_NUM_THREADS", "100")
    assert thread_count() == parallel.MAX_THREADS
    for words in ("", "0", "two"):
        monkeypatch.setenv("OMP_NUM_THREADS", words)
        assert 1 <= thread_count() <= parallel.MAX_THREADS
