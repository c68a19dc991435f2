"""A machine that works for a pool in its own clone of the library."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from realfill.core.errors import LibraryError
from realfill.core.gpu import worker_name
from realfill.core.worker_processes import default_jobs
from realfill.flows.server import require_server
from realfill.library.repository import Library

logger = logging.getLogger("realfill.worker")


@dataclass(frozen=True)
class WorkerSettings:
    """How a worker is kept running.

    Attributes:
        runs: Number of runs at a time; None: as many as the machine's cores, memory and GPU allow. Several keep a GPU
            busy: one tunes or samples while the others decode, match, rank or export.
        restart_seconds: Pause before a worker that ended with an error starts again. Set by hand.
    """

    runs: int | None = None
    restart_seconds: float = 10.0


def enter_library() -> dict[str, str]:
    """Change to this machine's clone before a run begins; a pull step of `prefect.yaml`.

    The clone is the one that REALFILL_LIBRARY names, which `realfill fleet work` sets. Without it, the clone in which
    this process was started, or the worker that started it: Prefect starts runs in a temporary folder.

    Raises:
        LibraryError: There is none.
    """
    named = os.environ.get("REALFILL_LIBRARY")
    library = Library.find(Path(named)) if named else _library_of_this_process()
    os.chdir(library.root)
    return {"directory": str(library.root)}


def run_worker(root: Path, pool: str, name: str | None = None, settings: WorkerSettings = WorkerSettings()) -> int:
    """Work for a pool in this clone until interrupted; a worker that ends with an error is started again.

    Args:
        root: This machine's clone.
        pool: Name of the pool.
        name: Name of this worker, which is also that of its GPU; the host's name by default.
        settings: How the worker is kept running.

    Returns:
        The worker's exit code.

    Raises:
        LibraryError: `root` is not a clone of the library, or no server is named, or it cannot be used.
        TransientError: The server does not answer. Once it has, it is waited for.
    """
    library = Library.open(root)
    require_server()
    name = name or worker_name()
    environment = os.environ | {"REALFILL_LIBRARY": str(library.root), "REALFILL_WORKER": name}
    command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", pool, "--name", name]
    command += ["--limit", str(settings.runs or default_jobs()), "--type", "process"]
    while (code := _run_process(command, library.root, environment)) not in (0, -signal.SIGTERM, -signal.SIGINT):
        logger.warning("The worker ended with code %d. It is started again.", code)
        time.sleep(settings.restart_seconds)
    return code


def _run_process(command: list[str], folder: Path, environment: dict[str, str]) -> int:
    """Run a command to its end and pass a signal to terminate on to it.

    Returns:
        Its exit code; 0 if it was interrupted from the keyboard.
    """
    received: list[int] = []
    processes: list[subprocess.Popen[bytes]] = []

    def pass_on(number: int, _: object) -> None:
        received.append(number)
        for process in processes:
            process.send_signal(number)

    before = signal.signal(signal.SIGTERM, pass_on)  # first: a signal may arrive while the process starts
    try:
        process = subprocess.Popen(command, cwd=folder, env=environment)
        processes.append(process)
        for number in received:
            process.send_signal(number)
        return process.wait()
    except KeyboardInterrupt:
        for process in processes:
            process.wait()
        return 0
    finally:
        signal.signal(signal.SIGTERM, before)


def _library_of_this_process() -> Library:
    """The library that the working directory of this process lies in, or else that of the process that started it.

    Raises:
        LibraryError: There is none.
    """
    folders = [Path()]
    with suppress(psutil.Error):
        folders.append(Path(psutil.Process(os.getppid()).cwd()))
    for folder in folders:
        if library := Library.enclosing(folder):
            return library
    remedy = "Start the worker with `realfill fleet work`, or let REALFILL_LIBRARY name the clone of this machine."
    raise LibraryError("It is not known which library to work for.", remedy)
