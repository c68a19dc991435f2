"""The command that opens the review app."""

from __future__ import annotations

import webbrowser
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from realfill.cli.console import print_line, print_message
from realfill.cli.options import FinishedFolder


def review(
    folder: FinishedFolder = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port on this machine; 0: any free one.")] = 0,
    browser: Annotated[bool, typer.Option(help="Open the page in the browser.")] = True,
    read_only: Annotated[bool, typer.Option("--read-only", help="Show the photos, decide nothing.")] = False,
    apply: Annotated[
        bool, typer.Option("--apply", help="Apply what was decided, without the app; the next night does it too.")
    ] = False,
) -> None:
    """Look at finished photos in the browser and decide: approve, reject, another candidate, another mask.

    The page is served to this machine alone, until the command is interrupted.
    """
    from realfill.library.repository import Library

    folder = folder or Library.find(Path()).root
    if apply:
        _apply(folder)
        return
    from realfill.review.server import serve

    def on_ready(address: str) -> None:
        print_line(address)
        print_message("Interrupt with Ctrl+C to stop. What is decided is kept at once.")
        if browser:
            webbrowser.open(address)

    with suppress(KeyboardInterrupt):  # the way to stop it
        serve(folder, port=port, read_only=read_only, on_ready=on_ready)


def _apply(folder: Path) -> None:
    from realfill.review.application import apply_decisions
    from realfill.review.collection import Collection

    outcomes = apply_decisions(Collection(folder), lambda name: print_message(f"{name} …"))
    for name, error in outcomes.items():
        print_line(f"{name}: {error or 'made again'}")
    if not outcomes:
        print_message("Nothing is left to apply.")
    if any(outcomes.values()):
        raise typer.Exit(1)
