"""Arguments and options that several commands share."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from realfill.album.discovery import open_album, open_targets
from realfill.album.layout import Album
from realfill.album.several_targets import FOLDER, album_around, targets_called
from realfill.core.parameter_sources import PROFILES
from realfill.core.params import Params, load_params
from realfill.core.validation import refuse_lookalikes

AlbumPath = Annotated[Path, typer.Argument(metavar="ALBUM", help="Album folder, or name of one in the library.")]
AlbumPaths = Annotated[list[Path], typer.Argument(metavar="ALBUM...", help="Album folders, or names in the library.")]
Out = Annotated[
    Path | None,
    typer.Option(help="Write to OUT/<album>/ instead of into the album folder.", file_okay=False),
]
ParamsFile = Annotated[
    Path | None,
    typer.Option(
        "--params",
        help="Parameters file.",
        show_default="./params.yaml if there is one, else that of the album's library",
        dir_okay=False,
    ),
]
Profile = Annotated[str | None, typer.Option(help=f"Named set of parameters: {', '.join(PROFILES)}.")]
Assignments = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Set one parameter, e.g. --set sample.candidates=8."),
]
Jobs = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Albums at a time.",
        show_default="one a core, with 3 GB of free memory each; 3 at most with a GPU",
    ),
]
FinishedFolder = Annotated[
    Path | None,
    typer.Argument(
        metavar="LIBRARY|FOLDER",
        help="A library, a folder of album folders, or an album.",
        show_default="the library you are in",
    ),
]
LibraryFolder = Annotated[
    Path,
    typer.Option(
        "--library", help="The library, or a folder in it.", show_default="the one you are in", file_okay=False
    ),
]


@dataclass(frozen=True)
class AlbumOptions:
    """The options that say where an album's outputs go and which parameters it gets.

    Attributes:
        out: The outputs go to a folder of the album's name below this one; None for the album folder itself.
        params_file: Parameters file; None for `params.yaml` of the working directory, or else of the library that the
            album lies in, if there is one.
        profile: Named set of parameters.
        assignments: Single parameters, each as "section.name=value".
    """

    out: Path | None = None
    params_file: Path | None = None
    profile: str | None = None
    assignments: list[str] | None = None

    def open(self, path: Path) -> tuple[Album, Params]:
        """Open an album and load its parameters.

        Args:
            path: The album's folder, or its name in the library of the working directory; of an album of several
                targets, the folder of one.

        Raises:
            AlbumError: The folder does not follow the layout.
            ParamsError: The parameters or `album.yaml` cannot be understood.
        """
        folder = album_folder(path)
        album = open_album(folder, self.results_folder(folder))
        return album, self._load_params(album)

    def open_all(self, path: Path) -> list[tuple[Album, Params]]:
        """Open all targets of an album, one for most, and load the parameters of each.

        Args:
            path: The album's folder, its name in the library of the working directory, or the folder of one target.

        Raises:
            AlbumError: The folder does not follow the layout.
            ParamsError: The parameters or `album.yaml` cannot be understood.
        """
        folder = album_folder(path)
        return [(album, self._load_params(album)) for album in open_targets(folder, self.results_folder(folder))]

    def results_folder(self, folder: Path) -> Path | None:
        """Where the results of an album go; None for its own folder."""
        return None if self.out is None else self.out / base_folder(folder).name

    def _load_params(self, album: Album) -> Params:
        from realfill.library.watched_settings import refuse_unwatched

        refuse_unwatched(album)
        params_file = self.params_file or _default_params_file(album)
        overrides = album.settings.overrides
        return load_params(params_file, profile=self.profile, overrides=overrides, assignments=self.assignments or [])


def album_folder(path: Path) -> Path:
    """The folder itself, or the one of the album of that name in the library of the working directory.

    A target is named <album>/targets/<name>, or as it is called on pages, <album>-<name>.
    """
    from realfill.library.repository import Library

    if path.is_dir():
        return path
    places = [path]
    is_name = len(path.parts) == 1 or path.parts[1:-1] == (FOLDER,)
    library = Library.enclosing(Path()) if is_name else None
    if library is not None:
        if path.parts[0] in library.album_names:
            return library.albums_folder / path
        places.append(library.albums_folder / path)
    called = (target for place in places for target in targets_called(place.name, place.parent))
    return next(called, path)


def base_folder(folder: Path) -> Path:
    """The folder of an album, absolute: that around the folder of a target among several."""
    folder = Path(os.path.realpath(folder))
    return album_around(folder) or folder


def _default_params_file(album: Album) -> Path | None:
    """The `params.yaml` of the working directory, or else of the library that the album lies in."""
    from realfill.library.repository import Library

    library = Library.enclosing(album.root)
    folders = (Path(), *([library.root] if library else []))
    for folder in folders:
        refuse_lookalikes(folder / "params.yaml")
    return next((folder / "params.yaml" for folder in folders if (folder / "params.yaml").is_file()), None)
