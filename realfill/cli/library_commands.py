"""Commands that work on a library of albums, kept by git and DVC."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from realfill.cli.console import err_console, out_console, print_line
from realfill.cli.options import AlbumPath, LibraryRoot


def add(album: AlbumPath, library: LibraryRoot = Path()) -> None:
    """Add an album to the library: copy it to data/albums/ and track its photos with DVC."""
    from realfill.library.add_album import add_album

    folder = add_album(album, library)
    print_line(folder)
    err_console.print(f"Run `dvc repro` to complete it; `git add {folder}` keeps it in the library's history.")


def engine(library: LibraryRoot = Path()) -> None:
    """Renew engine.yaml, by which DVC reruns exactly the stages whose code changed with this installation."""
    from realfill.library.engine import ENGINE, renew_engine, results_of_other_code
    from realfill.library.repository import Library

    opened = Library.open(library)
    changed = renew_engine(opened)
    print_line(f"{ENGINE} is renewed: {', '.join(changed)}" if changed else f"{ENGINE} is up to date")
    for stage, albums in results_of_other_code(opened).items():
        err_console.print(f"{stage}: made by other code for {len(albums)} albums; `dvc repro` makes it again.")


def gallery(
    folder: Annotated[Path, typer.Argument(metavar="LIBRARY", help="A library, or a folder of album folders.")],
    out: Annotated[
        Path | None,
        typer.Option(help="Folder of the gallery's page. [default: gallery/ beside the albums]", file_okay=False),
    ] = None,
) -> None:
    """Write the page that lists every album of a library; albums that need attention come first."""
    from realfill.library.gallery import write_gallery
    from realfill.library.repository import open_albums

    library_albums = folder / "data" / "albums"
    album_folder = library_albums if library_albums.is_dir() else folder
    albums, problems = open_albums(album_folder)
    print_line(write_gallery(albums, out or album_folder.resolve().parent / "gallery", problems))


def status(library: LibraryRoot = Path()) -> None:
    """Print the last outcome of every album; albums that need attention come first."""
    from realfill.library.repository import Library
    from realfill.library.run_history import latest_rows
    from realfill.library.status_table import status_table

    out_console.print(status_table(latest_rows(Library.open(library)).values()))


def history(album: Annotated[str, typer.Argument(help="Name of the album.")], library: LibraryRoot = Path()) -> None:
    """Print what changed about an album from night to night."""
    from realfill.library import run_history
    from realfill.library.repository import Library

    for row, changes in run_history.album_history(Library.open(library), album):
        out_console.print(f"[bold]{row.night}[/bold] {row.outcome} {row.worker}".rstrip())
        for line in changes:
            out_console.print(f"  {line}", markup=False, highlight=False)


def gc(
    library: LibraryRoot = Path(),
    albums: Annotated[
        bool,
        typer.Option("--albums", help="Also remove photos and outputs that the DVC remote has; meant for agents."),
    ] = False,
) -> None:
    """Free disk space: remove from this clone only what can be made or fetched again."""
    from realfill.library import disk_space
    from realfill.library.repository import Library

    freed = disk_space.collect_garbage(Library.open(library), albums=albums)
    out_console.print(
        f"{freed.bytes / 1e9:.2f} GB: {freed.leftovers} leftovers of runs, {freed.objects} files of DVC's cache, "
        f"{len(freed.albums)} albums"
    )
