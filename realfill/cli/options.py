"""Arguments and options that several commands share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from realfill.album.discovery import open_album
from realfill.album.layout import Album
from realfill.core.params import PROFILES, Params, load_params

AlbumPath = Annotated[Path, typer.Argument(metavar="ALBUM", help="Album folder.")]
AlbumPaths = Annotated[list[Path], typer.Argument(metavar="ALBUM...", help="Album folders.")]
Out = Annotated[
    Path | None,
    typer.Option(help="Write to OUT/<album>/ instead of into the album folder.", file_okay=False),
]
ParamsFile = Annotated[
    Path | None,
    typer.Option("--params", help="Parameters file. [default: ./params.yaml if there is one]", dir_okay=False),
]
Profile = Annotated[str | None, typer.Option(help=f"Named set of parameters: {', '.join(PROFILES)}.")]
Assignments = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Set one parameter, e.g. --set sample.candidates=8."),
]
LibraryRoot = Annotated[
    Path, typer.Option("--library", help="Root of the library, a git and DVC repository.", file_okay=False)
]


@dataclass(frozen=True)
class AlbumOptions:
    """The options that say where an album's outputs go and which parameters it gets.

    Attributes:
        out: The outputs go to a folder of the album's name below this one; None for the album folder itself.
        params_file: Parameters file; None for `params.yaml` of the working directory, if there is one.
        profile: Named set of parameters.
        assignments: Single parameters, each as "section.name=value".
    """

    out: Path | None = None
    params_file: Path | None = None
    profile: str | None = None
    assignments: list[str] | None = None

    def open(self, path: Path) -> tuple[Album, Params]:
        """Open an album folder and load its parameters.

        Raises:
            AlbumError: The folder does not follow the layout.
            ParamsError: The parameters or `album.yaml` cannot be understood.
        """
        album = open_album(path, None if self.out is None else self.out / path.resolve().name)
        default = Path("params.yaml")
        params_file = self.params_file or (default if default.is_file() else None)
        overrides = album.settings.overrides
        return album, load_params(
            params_file, profile=self.profile, overrides=overrides, assignments=self.assignments or []
        )
