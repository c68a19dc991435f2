"""Commands that set up and check this installation."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Column, Table
from rich.text import Text

from realfill.cli.console import print_line, print_table
from realfill.cli.options import LibraryFolder


def fetch(
    model: Annotated[str, typer.Argument(help="Name of a base model, e.g. sd2-inpainting.")],
    without_denoiser: Annotated[
        bool, typer.Option("--without-denoiser", help="Only what a .safetensors checkpoint of your own needs.")
    ] = False,
) -> None:
    """Download the pinned revision of a base model. No other command downloads one.

    License, size and place are printed first. A download that was interrupted goes on where it stopped.
    """
    from realfill.diffusion.model_download import fetch_model

    print_line(fetch_model(model, print_line, with_denoiser=not without_denoiser))


def models() -> None:
    """List the base models: which are on this machine, what memory they need, and their licenses."""
    from realfill.core.errors import ModelError
    from realfill.diffusion.model_files import locate_model
    from realfill.diffusion.model_memory import estimate_memory
    from realfill.diffusion.model_registry import MODELS

    names, places = Column("model", no_wrap=True), Column("here", overflow="fold")
    table = Table(names, places, "GPU memory to sample, to tune", "license")
    for name, spec in MODELS.items():
        try:
            place = Text(str(locate_model(name).folder))
        except ModelError:
            place = Text(f"no: `realfill fetch {name}` downloads {spec.gigabytes} GB")
        need = estimate_memory(spec)
        license_text = spec.license + (", gated" if spec.is_gated else "")
        table.add_row(Text(name), place, Text(f"{need.sampling:.0f}, {need.tuning:.0f} GB"), Text(license_text))
    print_table(table)


def doctor(
    library: LibraryFolder = Path(),
    model: Annotated[
        str | None, typer.Option(help="Check only whether this base model is here and fits into the memory.")
    ] = None,
) -> None:
    """Check the installation: what works on this machine, what does not, and what to do about it.

    In a library, or with --library, also which results were made by other code.
    """
    from realfill.doctor import examine, examine_model

    table = Table("part", "state", "what to do")
    findings = examine(library) if model is None else examine_model(model)
    for finding in findings:
        state = Text("works" if finding.works else "missing", "green" if finding.works else "red")
        table.add_row(Text(finding.part), state + Text(f"  {finding.state}"), Text(finding.remedy))
    print_table(table)
    if any(finding.needed and not finding.works for finding in findings):
        raise typer.Exit(1)
