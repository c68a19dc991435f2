"""The `realfill` command line: one module for each group of commands; `application` puts them together."""

from __future__ import annotations

import signal
import sys

INTERRUPTED = 128 + signal.SIGINT  # exit code, as of shells, and of Typer


def main() -> None:
    """Run the command line; an interrupt ends in one message, also while modules are still being loaded."""
    try:
        from realfill.cli.application import run

        run()
    except KeyboardInterrupt:
        code: str | int | None = INTERRUPTED
    except SystemExit as stop:
        code = stop.code
    else:
        return
    if code == INTERRUPTED:
        print("Interrupted. Run the same command again to continue.", file=sys.stderr)
    sys.exit(code)
