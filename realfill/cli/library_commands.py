"""Commands that work on a library of albums, kept by git and DVC."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from realfill.cli.console import print_line, print_message, print_table
from realfill.cli.options import LibraryFolder


def init(folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder to create, or an empty one.")]) -> None:
    """Make a library, a git and DVC repository that keeps albums and their results. Albums are added with add."""
    from realfill.library.init_library import init_library

    print_line(init_library(folder).root)


def add(
    album: Annotated[Path, typer.Argument(metavar="ALBUM", help="Album folder.")], library: LibraryFolder = Path()
) -> None:
    """Add an album to the library: copy it to data/albums/ and track its photos with DVC."""
    from realfill.library.add_album import add_album
    from realfill.library.repository import Library

    root = Library.find(library).root
    folder = add_album(album, root)
    print_line(folder)
    place = "Run" if root == Path.cwd() else f"In {root}, run"
    git_add = shlex.join(("git", "add", str(folder), str(root / "dvc.lock")))
    print_message(f"{place} `dvc repro` to complete it; then `{git_add}` keeps it in the library's history.")


def engine(library: LibraryFolder = Path()) -> None:
    """Bring the library up to this version of realfill, after an upgrade.

    It renews engine.yaml, by which DVC reruns exactly the stages whose code changed, and the pipelines, dvc.yaml and
    pipelines/album.dvc.yaml, unless they were edited.
    """
    from realfill.library.engine import ENGINE, renew_engine, results_of_other_code
    from realfill.library.repository import Library

    opened = Library.find(library)
    renewal = renew_engine(opened)
    for line in renewal.notes or [f"{ENGINE} is up to date"]:
        print_line(line)
    for warning in renewal.warnings:
        print_message(warning)
    for stage, albums in results_of_other_code(opened).items():
        print_message(f"{stage}: made by other code for {len(albums)} albums; `dvc repro` makes it again.")


def gallery(
    folder: Annotated[
        Path | None,
        typer.Argument(
            metavar="LIBRARY", help="A library, or a folder of album folders.", show_default="the library you are in"
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the gallery's page.", show_default="gallery/ beside the albums", file_okay=False
        ),
    ] = None,
) -> None:
    """Write the page that lists every album of a library; albums that need attention come first."""
    from realfill.library.gallery import write_folder_gallery
    from realfill.library.repository import Library

    print_line(write_folder_gallery(folder or Library.find(Path()).root, out))


def status(library: LibraryFolder = Path()) -> None:
    """Print how every album fared in its last night; albums that need attention come first."""
    from realfill.library.repository import Library
    from realfill.library.run_history import latest_rows
    from realfill.library.status_table import status_reasons, status_table

    opened = Library.find(library)
    rows = latest_rows(opened).values()
    if rows:
        print_table(status_table(rows))
        for line in status_reasons(rows):
            print_line(line)
    else:
        print_line("No night has recorded an album yet; `realfill fleet night` runs one.")
    for name in opened.misnamed_folders:
        print_message(f"{name} is left out: no album can have this name. Rename the folder.")


def history(
    album: Annotated[str, typer.Argument(help="Name of the album.")], library: LibraryFolder = Path()
) -> None:
    """Print what changed about an album from night to night."""
    from realfill.library import run_history
    from realfill.library.repository import Library

    opened = Library.find(library)
    rows = run_history.album_history(opened, album)
    if not rows:
        opened.targets(album)
        print_line("No night has recorded this album yet.")
    for row, changes in rows:
        print_line(f"{row.night} {row.outcome} {row.worker}".rstrip())
        for line in changes:
            print_line(f"  {line}")


def gc(
    library: LibraryFolder = Path(),
    albums: Annotated[
        bool,
        typer.Option("--albums", help="Also remove photos and outputs that the DVC remote has; meant for agents."),
    ] = False,
) -> None:
    """Free disk space: remove from this clone only what can be made or fetched again."""
    from realfill.library import disk_space
    from realfill.library.repository import Library

    freed = disk_space.collect_garbage(Library.find(library), albums=albums)
    print_line(
        f"{freed.bytes / 1e9:.2f} GB: {freed.leftovers} leftovers of runs, {freed.objects} files of DVC's cache, "
        f"{len(freed.albums)} albums"
    )
