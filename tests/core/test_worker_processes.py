"""Processes that answer requests side by side."""

import multiprocessing
import os
import subprocess
import sys
import time

import psutil
import pytest

from realfill.core import worker_processes
from realfill.core.worker_processes import answer_side_by_side, default_jobs
from support.answering import prepare


def tell_death(number: int, ended: str, seconds: float) -> str:
    return f"{number} {ended} {seconds > 0}"


def test_a_request_over_which_a_process_dies_hurts_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    answers = answer_side_by_side([1, -1, 2], prepare, (10,), tell_death, jobs=1, environment={"MOON": "full"})
    assert list(answers) == ["11 full PASSIVE", "-1 signal 9 True", "12 full PASSIVE"]
    assert not multiprocessing.active_children()
    assert "MOON" not in os.environ


def test_the_processes_end_with_the_one_that_started_them() -> None:
    code = "\n".join(
        (
            "import time",
            "from realfill.core.worker_processes import answer_side_by_side",
            "def main():",
            "    for _ in answer_side_by_side([1, 600], eval, ('__import__(\"time\").sleep',), print, jobs=2): pass",
            "main() if __name__ == '__main__' else None",
        )
    )
    with subprocess.Popen([sys.executable, "-c", code]) as parent:
        process = psutil.Process(parent.pid)
        while (
            len(children := [child for child in process.children() if "spawn_main" in " ".join(child.cmdline())]) < 2
        ):
            time.sleep(0.01)
        parent.kill()
    assert not psutil.wait_procs(children, timeout=60)[1]


def test_there_is_a_job_for_each_album_at_most_and_few_share_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    assert default_jobs(1) == 1
    assert default_jobs(0) == 1
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)))
    monkeypatch.setattr(os, "sysconf", lambda _: 2**18)  # 64 GB free
    monkeypatch.setattr(worker_processes, "has_gpu", lambda: False)
    assert [default_jobs(), default_jobs(100), default_jobs(5)] == [16, 16, 5]
    monkeypatch.setattr(worker_processes, "has_gpu", lambda: True)
    assert [default_jobs(), default_jobs(2)] == [3, 2]
