"""Commands that complete a library overnight with Prefect: `realfill fleet …`."""

from __future__ import annotations

import os
from contextlib import nullcontext
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

from realfill.cli.console import print_line
from realfill.cli.options import Jobs, LibraryFolder
from realfill.core.errors import LibraryError

app = typer.Typer(help="Complete a library overnight, on one machine or several.", no_args_is_help=True)


@app.command()
def up(
    library: LibraryFolder = Path(),
    report_to: Annotated[str | None, typer.Option(help="Webhook to which failed albums are reported.")] = None,
) -> None:
    """Set up the Prefect server that PREFECT_API_URL names. Running it again changes nothing."""
    root = _enter(library)
    from realfill.flows.deployment import set_up_server

    for line in set_up_server(root, report_to):
        print_line(line)


@app.command()
def night(
    albums: Annotated[list[str] | None, typer.Argument(metavar="[ALBUM]...", help="Only these albums.")] = None,
    library: LibraryFolder = Path(),
    again: Annotated[
        bool, typer.Option("--again", help="Also try albums in quarantine that did not change.")
    ] = False,
    jobs: Jobs = None,
) -> None:
    """Complete every album that is new or changed, on this machine, without any worker.

    An album that fails does not stop the others; the exit code is then 1, and `realfill status` says why.
    """
    from realfill.flows.quiet_night import pass_quiet_night
    from realfill.library.night_table import count_outcomes
    from realfill.library.repository import Library

    opened, chosen = Library.find(library), albums or None
    result = pass_quiet_night(opened, chosen) or _complete_library(_enter(library), chosen, again, jobs)
    print_line(count_outcomes(result))
    if result["failed"] or result["quarantined"]:
        raise typer.Exit(1)


def _complete_library(root: Path, albums: list[str] | None, again: bool, jobs: int | None) -> dict[str, Any]:
    from realfill.flows.complete_library import complete_library
    from realfill.flows.server import has_server, require_server, server_errors
    from realfill.flows.temporary_server import temporary_server

    if has_server():
        require_server()
    with nullcontext() if has_server() else temporary_server(), server_errors():
        return complete_library(str(root), albums, again=again, jobs=jobs)


@app.command()
def work(
    library: LibraryFolder = Path(),
    pool: Annotated[str, typer.Option(help="realfill, or realfill-library in the library's own clone.")] = "realfill",
    name: Annotated[str | None, typer.Option(help="Name of this worker.", show_default="the host's")] = None,
    limit: Annotated[
        int | None,
        typer.Option(
            min=1, help="Runs at a time; they take turns on the GPU.", show_default="as --jobs of `fleet night`"
        ),
    ] = None,
) -> None:
    """Work for the library in this clone until interrupted."""
    root = _enter(library)
    from realfill.flows.worker import WorkerSettings, run_worker

    raise typer.Exit(run_worker(root, pool, name, WorkerSettings(runs=limit)))


def _enter(folder: Path) -> Path:
    """Change to the root of the library that a folder lies in, where Prefect reads its settings when imported.

    Raises:
        LibraryError: The folder lies in no library, or Prefect refuses its settings.
    """
    from realfill.library.repository import Library

    root = Library.find(folder).root
    os.chdir(root)
    try:
        import_module("prefect.main")  # which validates the settings
    except ValueError as error:
        problem = f"Prefect's settings cannot be used: {' '.join(str(error).split())[:300]}"
        raise LibraryError(
            problem, "Correct prefect.toml, or what the environment sets (PREFECT_…).", root
        ) from error
    return root
