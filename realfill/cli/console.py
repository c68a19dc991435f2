"""What the commands print: results on stdout; progress, log messages and errors on stderr."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO, cast

from rich.console import Console
from rich.logging import RichHandler
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from realfill.core.errors import RealFillError, TransientError
from realfill.core.progress import ProgressCallback, ProgressUpdate


class _LenientStderr:
    """The standard error stream, without errors of its own: work goes on though its messages cannot be written."""

    def __getattr__(self, name: str) -> Any:
        return getattr(sys.stderr, name)

    def write(self, text: str) -> int:
        """Write text as far as possible."""
        with suppress(OSError):
            sys.stderr.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush as far as possible."""
        with suppress(OSError):
            sys.stderr.flush()


out_console = Console()
err_console = Console(file=cast(TextIO, _LenientStderr()))


def configure_logging(*, verbose: bool) -> None:
    """Print the log messages of this package: warnings and errors, or also what is going on if `verbose`."""
    warnings.filterwarnings("ignore", category=FutureWarning)
    handler = RichHandler(console=err_console, show_path=False, show_time=False)
    logging.basicConfig(level=logging.WARNING, format="%(message)s", handlers=[handler], force=True)
    logging.getLogger("realfill").setLevel(logging.INFO if verbose else logging.WARNING)


def print_line(text: object) -> None:
    """Print a result, e.g. a path, on stdout: a single line however long it is, and as it is."""
    with _describe_write_errors():
        print(text, flush=True)


def print_table(table: Table) -> None:
    """Print a table of results on stdout."""
    with _describe_write_errors():
        out_console.print(table)
        sys.stdout.flush()


def print_message(text: str) -> None:
    """Print a hint, e.g. the next command, on stderr: a single line, and as it is."""
    err_console.print(Text(text), soft_wrap=True)


def print_error(error: RealFillError) -> None:
    """Print what is wrong and what to do about it."""
    err_console.print(Text.assemble(("error:", "bold red"), f" {error}"), soft_wrap=True)


@contextmanager
def progress_bars() -> Iterator[ProgressCallback]:
    """Show a progress bar for each stage that reports its steps; the bars disappear at the end of the block."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[facts]}"),
    )
    with Progress(*columns, console=err_console, transient=True) as bars:
        tasks: dict[str, TaskID] = {}

        def show(update: ProgressUpdate) -> None:
            if update.stage not in tasks:
                tasks[update.stage] = bars.add_task(update.stage, total=update.total, facts="")
            loss = "" if update.loss is None else f"loss {update.loss:.4f}  "
            facts = f"{loss}{update.steps_per_second:.2f} steps/s  {update.seconds_left:.0f} s left"
            bars.update(tasks[update.stage], completed=update.done, facts=facts)

        yield show


@contextmanager
def _describe_write_errors() -> Iterator[None]:
    """Tell that a result cannot be printed; a pipe whose reader has ended is left to the command line."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        problem = f"The output cannot be written ({error.strerror}); what was completed stays."
        raise TransientError(problem, "Run the same command again where its output can be written.") from error
