"""Requests that several processes answer side by side, so that one that crashes hurts no other.

Each process answers one request after the other; what it has loaded serves all of them. It is spawned, since a fork
would share the threads of PyTorch and OpenCV, and it ends at once if the process that started it dies.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, Generic, TypeVar

from realfill.core.gpu import has_gpu

Request = TypeVar("Request")
Answer = TypeVar("Answer")
_SPAWN = multiprocessing.get_context("spawn")
# Threads that wait actively would take the cores of the other processes.
_CALM = {"OMP_WAIT_POLICY": "PASSIVE", "OPENBLAS_NUM_THREADS": "1"}


@dataclass(frozen=True)
class JobSettings:
    """How many albums are worked on at a time.

    Attributes:
        gigabytes: Free memory for each, 2^30 bytes. The albums of docs/quality.md took up to 2.4 with the embedded
            base model.
        gpu_jobs: The most where there is a GPU. Each has the base model in the GPU's memory. Set by hand: while one
            album is tuned, the next two are decoded and matched, or the last ones ranked and exported.
    """

    gigabytes: float = 3.0
    gpu_jobs: int = 3


def default_jobs(albums: int | None = None, settings: JobSettings = JobSettings()) -> int:
    """How many albums are worked on at a time: one a core, as far as the memory that is free holds them.

    Args:
        albums: How many there are, if that is known.
        settings: The memory of each, and the bound where there is a GPU.
    """
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    jobs = min(len(os.sched_getaffinity(0)), int(free / settings.gigabytes))
    jobs = max(1, jobs if albums is None else min(jobs, albums))
    return settings.gpu_jobs if jobs > settings.gpu_jobs and has_gpu() else jobs


def answer_side_by_side(
    requests: Sequence[Request],
    prepare: Callable[..., Callable[[Request], Answer]],
    arguments: Sequence[Any],
    on_death: Callable[[Request, str, float], Answer],
    *,
    jobs: int,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Answer]:
    """Answer requests in processes of their own.

    Args:
        requests: What is asked.
        prepare: Called once in each process; returns what answers a request there.
        arguments: Its arguments.
        on_death: Answers a request whose process died over it, by how the process ended and the seconds that it took.
            Called in another thread.
        jobs: Number of processes.
        environment: Variables that the processes have besides those of this one.

    Yields:
        The answers in the order of the requests. The processes end at once if the iteration ends early.
    """
    local, stopping = threading.local(), threading.Event()
    processes: list[_WorkerProcess[Request, Answer]] = []

    def answer(request: Request) -> Answer:
        started = time.monotonic()
        if not hasattr(local, "process"):
            local.process = _WorkerProcess(prepare, arguments)
            processes.append(local.process)
        try:
            result: Answer = local.process.ask(request)
        except (EOFError, OSError):
            ended = local.process.describe_end()
            del local.process
            if stopping.is_set():
                raise
            return on_death(request, ended, time.monotonic() - started)
        return result

    pool = ThreadPoolExecutor(jobs)
    calm = {name: value for name, value in _CALM.items() if name not in os.environ}
    try:
        with _variables({**calm, **(environment or {})}):
            yield from pool.map(answer, requests)
    except BaseException:
        stopping.set()
        pool.shutdown(wait=False, cancel_futures=True)
        for process in processes:
            process.terminate()
        raise
    finally:
        pool.shutdown()
        for process in processes:
            process.stop()


class _WorkerProcess(Generic[Request, Answer]):
    """A process that answers one request after the other."""

    def __init__(self, prepare: Callable[..., Callable[[Request], Answer]], arguments: Sequence[Any]) -> None:
        self._connection, theirs = _SPAWN.Pipe()
        self._process = _SPAWN.Process(target=_serve, args=(theirs, prepare, arguments), daemon=True)
        self._process.start()
        theirs.close()

    def ask(self, request: Request) -> Answer:
        """Have a request answered.

        Raises:
            EOFError: The process died over it.
            OSError: It is dead.
        """
        self._connection.send(request)
        answer: Answer = self._connection.recv()
        return answer

    def describe_end(self) -> str:
        """Exit status of the process, which has ended or is about to."""
        self._process.join()
        status = self._process.exitcode or 0
        return f"signal {-status}" if status < 0 else f"exit status {status}"

    def terminate(self) -> None:
        """End the process at once."""
        self._process.terminate()

    def stop(self) -> None:
        """Let the process end after the request that it answers."""
        self._connection.close()
        self._process.join()


def _serve(
    connection: Connection, prepare: Callable[..., Callable[[Request], Answer]], arguments: Sequence[Any]
) -> None:
    """Answer the requests that are sent, until there are no more."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    answer = prepare(*arguments)
    with suppress(EOFError, KeyboardInterrupt):
        while True:
            connection.send(answer(connection.recv()))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


@contextmanager
def _variables(values: Mapping[str, str]) -> Iterator[None]:
    """Let processes that start inside the block have variables in their environment."""
    before = {name: os.environ.get(name) for name in values}
    os.environ |= values
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
