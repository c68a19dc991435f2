"""The `realfill` command line: one module for each group of commands; `application` puts them together."""

from __future__ import annotations

import atexit
import gc
import os
import signal
import sys
from contextlib import suppress
from types import FrameType

INTERRUPTED = 128 + signal.SIGINT  # exit code, as of shells, and of Typer
_MESSAGE = "Interrupted. Run the same command again to continue."


def main() -> None:
    """Run the command line; an interrupt ends in one message, also while modules are still being loaded."""
    signal.signal(signal.SIGINT, _interrupt)
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # its threads would wait actively beside those of map_parallel
    atexit.register(gc.freeze)  # the end of a process that loaded PyTorch takes .1 s then instead of .6
    try:
        from realfill.cli.application import run

        run()
    except KeyboardInterrupt:
        code: str | int | None = INTERRUPTED
    except SystemExit as stop:
        code = stop.code
    else:
        return
    if code == INTERRUPTED and sys.stderr:
        with suppress(OSError):
            print(_MESSAGE, file=sys.stderr)
    _discard_unwritable_output()
    sys.exit(code)


def _discard_unwritable_output() -> None:
    """Give up output that cannot be written; the interpreter would try once more at its end, and exit with 120."""
    for stream in (sys.stdout, sys.stderr):
        if not stream or stream.closed:
            continue
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _interrupt(_: int, frame: FrameType | None) -> None:
    """Raise KeyboardInterrupt; while a module is loaded, which might swallow it, end at once."""
    while frame:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            print(_MESSAGE, file=sys.stderr, flush=True)
            os._exit(INTERRUPTED)
        frame = frame.f_back
    raise KeyboardInterrupt
