"""The `realfill` application: all commands, the options before them, and what becomes of errors."""

from __future__ import annotations

import io
import logging
import os
import sys
from typing import Annotated

import typer

from realfill import __version__
from realfill.cli import (
    album_commands,
    delivery_commands,
    fleet_commands,
    library_commands,
    review_commands,
    setup_commands,
)
from realfill.cli.console import configure_logging, print_error, print_line
from realfill.core.errors import RealFillError, TransientError
from realfill.pipeline import STAGES

logger = logging.getLogger(__name__)

app = typer.Typer(
    name="realfill",
    help="Complete photos with what was really there, as reference photos of the same scene show it.",
    epilog="An album is a folder with target/target.jpg, target/mask.png (white = fill) and ref/*.jpg.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print_line(__version__)
        raise typer.Exit


@app.callback()
def configure(
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Print more about what is going on.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Handle the options that precede a command."""
    configure_logging(verbose=verbose)


app.command()(album_commands.complete)
for stage in STAGES:
    app.command(stage.name, help=stage.summary)(album_commands.make_stage_command(stage))
app.command()(album_commands.evaluate)
app.command()(library_commands.init)
app.command()(library_commands.add)
app.command(context_settings={"ignore_unknown_options": True})(album_commands.pick)
app.command()(review_commands.review)
app.command()(delivery_commands.deliver)
app.command()(library_commands.engine)
app.command()(library_commands.gallery)
app.command()(album_commands.demo)
app.command()(setup_commands.fetch)
app.command()(setup_commands.models)
app.command()(library_commands.status)
app.command()(library_commands.history)
app.command()(library_commands.gc)
app.command()(setup_commands.doctor)
app.add_typer(fleet_commands.app, name="fleet")
app.add_typer(delivery_commands.app, name="credentials")


def run() -> None:
    """Run the command line; a user's mistake ends in one message on stderr and exit code 1."""
    _prepare_streams()
    try:
        app()
    except RealFillError as error:
        print_error(error)
        sys.exit(1)
    except OSError as error:
        logger.info("It failed here:", exc_info=error)
        remedy = "Check the path, its permissions and its disk, then run the same command again."
        print_error(TransientError(f"{error.strerror or error}.", remedy, error.filename))
        sys.exit(1)


def _prepare_streams() -> None:
    """Let paths be printed byte by byte as the file system has them, and streams that are closed be written."""
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: PTH123, SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: PTH123, SIM115
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding=sys.getfilesystemencoding(), errors=sys.getfilesystemencodeerrors())
