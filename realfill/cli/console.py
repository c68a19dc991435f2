"""What the commands print: results on stdout; progress, log messages and errors on stderr."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.logging import RichHandler
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from realfill.core.errors import RealFillError
from realfill.core.progress import ProgressCallback, ProgressUpdate

out_console = Console()
err_console = Console(stderr=True)


def configure_logging(*, verbose: bool) -> None:
    """Print the log messages of this package: warnings and errors, or also what is going on if `verbose`."""
    warnings.filterwarnings("ignore", category=FutureWarning)
    handler = RichHandler(console=err_console, show_path=False, show_time=False)
    logging.basicConfig(level=logging.WARNING, format="%(message)s", handlers=[handler], force=True)
    logging.getLogger("realfill").setLevel(logging.INFO if verbose else logging.WARNING)


def print_line(text: object) -> None:
    """Print a result, e.g. a path, on a single line however long it is."""
    out_console.print(escape(str(text)), soft_wrap=True, highlight=False)


def print_error(error: RealFillError) -> None:
    """Print what is wrong and what to do about it."""
    err_console.print(f"[bold red]error:[/bold red] {escape(str(error))}", soft_wrap=True, highlight=False)


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
