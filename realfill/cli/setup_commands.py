"""Commands that set up and check this installation."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from realfill.cli.console import out_console, print_line
from realfill.cli.options import LibraryRoot


def fetch(model: Annotated[str, typer.Argument(help="Name of a base model, e.g. sd2-inpainting.")]) -> None:
    """Download the pinned revision of a base model. No other command downloads one."""
    from realfill.diffusion.model_registry import fetch_model

    print_line(fetch_model(model))


def doctor(library: LibraryRoot = Path()) -> None:
    """Check the installation: what works on this machine, what does not, and what to do about it.

    In a library, or with --library, also which results were made by other code.
    """
    from realfill.doctor import examine

    table = Table("part", "state", "what to do")
    findings = examine(library)
    for finding in findings:
        state = "[green]works[/green]" if finding.works else "[red]missing[/red]"
        table.add_row(finding.part, f"{state}  {escape(finding.state)}", escape(finding.remedy))
    out_console.print(table)
    if any(finding.needed and not finding.works for finding in findings):
        raise typer.Exit(1)
