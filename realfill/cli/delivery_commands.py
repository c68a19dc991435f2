"""Commands that deliver finished photos, and that deal with content credentials."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from realfill.cli.console import print_error, print_line, print_message
from realfill.cli.options import Assignments, FinishedFolder, ParamsFile, Profile
from realfill.core.errors import CredentialsError, printable
from realfill.core.params import load_params
from realfill.delivery.passphrase import PASSPHRASE, read_passphrase

if TYPE_CHECKING:
    from realfill.delivery.verification import CredentialsReport

app = typer.Typer(help="Content credentials (C2PA): who made a photo, and from what.", no_args_is_help=True)


def deliver(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder to create, or archive if it ends in .zip.")],
    folder: FinishedFolder = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Also what nobody has decided about, but nothing that was rejected.")
    ] = False,
    params_file: ParamsFile = None,
    profile: Profile = None,
    assignments: Assignments = None,
) -> None:
    """Copy the approved photos, with their provenance, a contact sheet and a table, to a new folder or archive.

    Nothing is ever overwritten. With --set delivery.credentials=sign the photos are signed.
    """
    from realfill.library.repository import Library
    from realfill.review.approved import deliver_approved, find_params_file

    folder = folder or Library.find(Path()).root
    settings = load_params(
        params_file or find_params_file(folder), profile=profile, assignments=assignments or []
    ).delivery

    def on_left_out(name: str, reason: str) -> None:
        print_message(f"{name} is left out. {reason}")

    delivery = deliver_approved(
        folder, out, settings, _ask_passphrase, everything=everything, on_left_out=on_left_out
    )
    for error in delivery.problems.values():
        print_error(error)
    if delivery.warning:
        print_message(f"Warning: {printable(delivery.warning)}")
    print_line(delivery.path)
    count = len(delivery.files)
    print_message(f"{count} of {count + len(delivery.problems)} photos are delivered.")
    if delivery.problems:
        raise typer.Exit(1)


@app.command()
def init(
    name: Annotated[str, typer.Option(help="Who signs, as readers of the photos see it.")],
    passphrase: Annotated[
        bool, typer.Option("--passphrase", help=f"Ask for a passphrase of the key, or take {PASSPHRASE}.")
    ] = False,
) -> None:
    """Make a certificate of your own and its key, to try content credentials with."""
    from realfill.delivery.identity import identity_folder, make_identity

    folder = identity_folder()
    secret = _ask_passphrase(folder / "key.pem", confirm=True) if passphrase or PASSPHRASE in os.environ else ""
    make_identity(name, folder, secret)
    print_line(folder)
    print_message(
        "Sign with `realfill deliver OUT --set delivery.credentials=sign`. Others see then that a photo was not "
        "changed since it was signed, but not by whom: their programs call the signer unknown, or warn of it, unless "
        f"they trust {folder / 'root.pem'}, which you can give to them. For everybody to know the signer, get a "
        "certificate from an authority of C2PA's trust list, and name it in delivery.certificate and delivery.key."
    )


@app.command()
def show(
    photo: Annotated[Path, typer.Argument(metavar="PHOTO", help="A photo.", dir_okay=False)],
    trust: Annotated[
        list[Path] | None, typer.Option(help="PEM file of a root to trust, besides your own.", dir_okay=False)
    ] = None,
) -> None:
    """Verify the content credentials of a photo, and tell what they say. The exit code is 1 if they do not hold."""
    from realfill.delivery.identity import find_roots
    from realfill.delivery.verification import read_credentials

    roots = find_roots() + "".join(_read_root(path) for path in trust or ())
    report = read_credentials(photo, roots)
    for line in _describe(report):
        print_line(line)
    if report.state == "broken":
        raise typer.Exit(1)


def _describe(report: CredentialsReport) -> list[str]:
    signer = f"{report.signer} ({report.issuer})" if report.issuer != report.signer else report.signer
    lines = {
        "trusted": [f"unchanged since {signer} signed it, whose root is trusted here"],
        "unknown signer": [f"unchanged since it was signed by somebody who is unknown here, called {signer}"],
        "broken": [f"NOT as it was signed by {signer}: {'; '.join(report.problems) or 'the signature is invalid'}"],
    }[report.state]
    lines.append(f"signed:      {report.time or 'at a time that nobody confirms'}, by {report.software}")
    lines.append(f"source type: {', '.join(report.source_types) or 'not told'}")
    if report.authenticity:
        lines.append(f"fill:        {(report.authenticity.get('verdict') or {}).get('sentence', '')}")
    for row in report.ingredients:
        role = "edited from" if row.is_parent else "made with"
        own = "without credentials" if not row.has_credentials else "; ".join(row.problems) or "with credentials"
        lines.append(f"{role + ':':<13}{row.title}, {own}")
    return lines


def _ask_passphrase(key: Path, *, confirm: bool = False) -> str:
    """The passphrase of a key, from the environment or the terminal."""
    if PASSPHRASE in os.environ or not sys.stdin.isatty():
        return read_passphrase(key)
    return str(typer.prompt(f"Passphrase of {key}", hide_input=True, confirmation_prompt=confirm, err=True))


def _read_root(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except (OSError, ValueError) as error:
        raise CredentialsError("The root cannot be read.", "Give a certificate as a PEM file.", path) from error
