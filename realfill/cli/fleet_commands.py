"""Commands that complete a library overnight with Prefect: `realfill fleet …`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from realfill.cli.console import out_console
from realfill.cli.options import LibraryRoot

app = typer.Typer(help="Complete a library overnight, on one machine or several.", no_args_is_help=True)


@app.command()
def up(
    library: LibraryRoot = Path(),
    report_to: Annotated[str | None, typer.Option(help="Webhook to which failed albums are reported.")] = None,
) -> None:
    """Set up the Prefect server that PREFECT_API_URL names. Running it again changes nothing."""
    from realfill.flows.deployment import set_up_server

    for line in set_up_server(library, report_to):
        out_console.print(line, highlight=False)


@app.command()
def night(library: LibraryRoot = Path()) -> None:
    """Complete every album that is new or changed, in this process, without any worker."""
    from realfill.flows.complete_library import complete_library

    complete_library(str(library.resolve()))


@app.command()
def work(
    library: LibraryRoot = Path(),
    pool: Annotated[str, typer.Option(help="realfill, or realfill-library in the library's own clone.")] = "realfill",
    name: Annotated[str | None, typer.Option(help="Name of this worker. [default: the host's]")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Number of runs at a time; they take turns on the GPU.")] = 2,
) -> None:
    """Work for the library in this clone until interrupted."""
    from realfill.flows.worker import WorkerSettings, run_worker

    raise typer.Exit(run_worker(library, pool, name, WorkerSettings(runs=limit)))
