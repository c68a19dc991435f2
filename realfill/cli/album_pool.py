"""Completing several albums at a time, each in a process of its own, so that one that crashes hurts no other."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from multiprocessing.connection import Connection
from pathlib import Path

from realfill.cli.complete_albums import AlbumOutcome, complete_album
from realfill.cli.console import configure_logging, print_error
from realfill.cli.options import AlbumOptions, album_folder, base_folder
from realfill.core.errors import StageError

GIGABYTES_PER_ALBUM = 3  # of memory; the albums of docs/quality.md took up to 2.4 with the embedded base model
_SPAWN = multiprocessing.get_context("spawn")  # a fork would share the threads of PyTorch and OpenCV


def default_jobs(albums: int) -> int:
    """How many albums are completed at a time: one a core, as far as the memory that is free holds them."""
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    return max(1, min(albums, len(os.sched_getaffinity(0)), int(free / GIGABYTES_PER_ALBUM)))


def complete_in_parallel(
    paths: Sequence[Path], options: AlbumOptions, *, force: bool, verbose: bool, jobs: int
) -> list[list[AlbumOutcome]]:
    """Complete albums, several at a time; the outcomes of each, in the order of the albums.

    One of them at a time runs the base model where there is a GPU. An album whose process dies has failed.
    """
    local, stopping = threading.local(), threading.Event()
    gpu = _SPAWN.Lock()
    workers: list[_Worker] = []

    def complete(path: Path) -> list[AlbumOutcome]:
        started, folder = time.monotonic(), base_folder(album_folder(path))
        if not hasattr(local, "worker"):
            local.worker = _Worker(options, force, verbose, gpu)
            workers.append(local.worker)
        outcomes: list[AlbumOutcome] | None = local.worker.complete(path)
        if outcomes is not None:
            return outcomes
        problem = f"The process that completed it ended ({local.worker.describe_end()}), most likely out of memory."
        error = StageError(problem, "Complete it alone, or with --jobs 1.", folder)
        del local.worker
        if not stopping.is_set():
            print_error(error)
        return [AlbumOutcome(folder, time.monotonic() - started, error=error)]

    pool = ThreadPoolExecutor(jobs)
    try:
        with _passive_waiting():
            return list(pool.map(complete, paths))
    except BaseException:
        stopping.set()
        pool.shutdown(wait=False, cancel_futures=True)
        for worker in workers:
            worker.terminate()
        raise
    finally:
        pool.shutdown()
        for worker in workers:
            worker.stop()


class _Worker:
    """A process that completes one album after the other."""

    def __init__(self, options: AlbumOptions, force: bool, verbose: bool, gpu: AbstractContextManager[bool]) -> None:
        self._connection, theirs = _SPAWN.Pipe()
        self._process = _SPAWN.Process(target=_serve, args=(theirs, options, force, verbose, gpu), daemon=True)
        self._process.start()
        theirs.close()

    def complete(self, path: Path) -> list[AlbumOutcome] | None:
        """Complete an album, with all its targets; None if the process died over it."""
        try:
            self._connection.send(path)
            outcomes: list[AlbumOutcome] = self._connection.recv()
        except (EOFError, OSError):
            return None
        return outcomes

    def describe_end(self) -> str:
        """Exit status of the process, which has ended or is about to."""
        self._process.join()
        status = self._process.exitcode or 0
        return f"signal {-status}" if status < 0 else f"exit status {status}"

    def terminate(self) -> None:
        """End the process at once; what its album has finished stays."""
        self._process.terminate()

    def stop(self) -> None:
        """Let the process end after the album that it works on."""
        self._connection.close()
        self._process.join()


def _serve(
    connection: Connection, options: AlbumOptions, force: bool, verbose: bool, gpu: AbstractContextManager[bool]
) -> None:
    """Complete the albums that are sent, until there are no more."""
    configure_logging(verbose=verbose)
    with suppress(EOFError, KeyboardInterrupt):
        while True:
            path, lock = connection.recv(), _lock_of_gpu(gpu)
            connection.send(complete_album(path, options, force=force, show_progress=False, model_lock=lock))


def _lock_of_gpu(gpu: AbstractContextManager[bool]) -> AbstractContextManager[bool] | None:
    """The lock of the GPU; None where there is none to take turns on."""
    import torch

    return gpu if torch.cuda.is_available() else None


@contextmanager
def _passive_waiting() -> Iterator[None]:
    """Let the threads of processes that start inside the block sleep while they wait, unless that is set already."""
    if "OMP_WAIT_POLICY" in os.environ:
        yield
        return
    os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
    try:
        yield
    finally:
        del os.environ["OMP_WAIT_POLICY"]
