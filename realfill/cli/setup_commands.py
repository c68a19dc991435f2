"""Commands that set up and check this installation."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from realfill.cli.console import print_line, print_table
from realfill.cli.options import LibraryFolder


def fetch(model: Annotated[str, typer.Argument(help="Name of a base model, e.g. sd2-inpainting.")]) -> None:
    """Download the pinned revision of a base model. No other command downloads one."""
    from realfill.diffusion.model_registry import fetch_model

    print_line(fetch_model(model))


def doctor(library: LibraryFolder = Path()) -> None:
    """Check the installation: what works on this machine, what does not, and what to do about it.

    In a library, or with --library, also which results were made by other code.
    """
    from realfill.doctor import examine

    table = Table("part", "state", "what to do")
    findings = examine(library)
    for finding in findings:
        state = Text("works" if finding.works else "missing", "green" if finding.works else "red")
        table.add_row(Text(finding.part), state + Text(f"  {finding.state}"), Text(finding.remedy))
    print_table(table)
    if any(finding.needed and not finding.works for finding in findings):
        raise typer.Exit(1)
