"""The library: a git and DVC repository that holds many albums and their results.

Layout (`realfill init` makes it; a clone of this project is a library too)::

    params.yaml                     parameters of all albums
    pipelines/album.dvc.yaml        the pipeline of one album
    data/albums/<album>/            an album; DVC tracks its photos and the outputs of its stages
    data/gallery/                   the page that lists the albums
"""

from __future__ import annotations

import os
import shlex
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from realfill.album.album_name import NAME_REMEDY, is_library_album_name
from realfill.album.discovery import open_album
from realfill.album.dvc_links import is_cache_link
from realfill.album.layout import Album
from realfill.core.errors import LibraryError, RealFillError, printable
from realfill.core.params import Params, load_params
from realfill.library.dvc_state import DvcState, open_dvc_state
from realfill.library.watched_settings import complete_settings, refuse_unwatched

PIPELINE = Path("pipelines") / "album.dvc.yaml"
PHOTO_FOLDERS = ("ref", "target")
_NO_LIBRARY_REMEDY = "Make one with `realfill init`, or `git clone` one; name it with --library from elsewhere."


@dataclass(frozen=True)
class Library:
    """A library on disk.

    Attributes:
        root: Its root folder, absolute.
    """

    root: Path

    @classmethod
    def open(cls, root: Path) -> Library:
        """Open a folder as a library.

        Raises:
            LibraryError: The folder is not the root of a library.
        """
        root = root.resolve()
        if not cls.is_root(root):
            problem = f"This is not a library: it lacks .dvc/ or {PIPELINE.as_posix()}."
            raise LibraryError(problem, _NO_LIBRARY_REMEDY, root)
        return cls(root)

    @classmethod
    def find(cls, folder: Path) -> Library:
        """Open the library that a folder lies in, however deep, as git does with a repository.

        Raises:
            LibraryError: There is no such folder, or it lies in no library.
        """
        if not folder.is_dir():
            raise LibraryError("There is no such folder.", _NO_LIBRARY_REMEDY, folder.absolute())
        library = cls.enclosing(folder)
        if library is None:
            raise LibraryError("This is not a library, nor a folder in one.", _NO_LIBRARY_REMEDY, folder.resolve())
        return library

    @classmethod
    def enclosing(cls, folder: Path) -> Library | None:
        """The library that a folder lies in, or is the root of; None if there is none."""
        folder = folder.resolve()
        return next((cls(root) for root in (folder, *folder.parents) if cls.is_root(root)), None)

    @staticmethod
    def is_root(folder: Path) -> bool:
        """Whether a folder is the root of a library."""
        return os.access(folder / ".dvc", os.X_OK) and os.access(folder / PIPELINE, os.R_OK)

    @property
    def albums_folder(self) -> Path:
        """The folder of all albums."""
        return self.root / "data" / "albums"

    @property
    def state_folder(self) -> Path:
        """The folder for state of this clone that neither git nor DVC tracks."""
        return self.root / ".dvc" / "tmp" / "realfill"

    @property
    def album_names(self) -> list[str]:
        """The names of all albums, sorted."""
        names = (path.parent.name for path in self.albums_folder.glob("[!.]*/dvc.yaml"))
        return sorted(filter(is_library_album_name, names))

    @property
    def misnamed_folders(self) -> list[str]:
        """The names, printable and sorted, of folders beside the albums whose names no album may have."""
        names = (path.name for path in self.albums_folder.glob("[!.]*/"))
        return sorted(printable(name) for name in names if not is_library_album_name(name))

    def folder(self, name: str) -> Path:
        """The folder of the album of that name, whether it exists or not.

        Raises:
            LibraryError: The name is not allowed for an album.
        """
        if not is_library_album_name(name):
            problem = f"{name[:200]!r} cannot be the name of an album."
            remedy = "In a library it has no brackets [ ] either, and begins with no dot, hyphen or space."
            raise LibraryError(problem, f"{NAME_REMEDY} {remedy}")
        return self.albums_folder / name

    def album(self, name: str) -> Album:
        """Open an album of the library; its `album.yaml` has every key that DVC watches afterwards.

        Raises:
            LibraryError: The album or its photos are missing.
            AlbumError: Its folder does not follow the layout.
            ParamsError: Its `album.yaml` is not valid.
        """
        folder = self.folder(name)
        if folder.is_symlink() or not (folder / "dvc.yaml").is_file():
            known = ", ".join(self.album_names[:20]) or "none yet"
            raise LibraryError(f"There is no album {name!r} here.", f"`realfill add` it. Known: {known}.", folder)
        if not self.has_photos(name):
            files = shlex.join(str(file.relative_to(self.root)) for file in self.dvc_files(name))
            raise LibraryError("The album's photos are not here.", f"Run `dvc pull {files}`.", folder)
        album = open_album(folder)
        complete_settings(folder)
        return album

    def params(self, album: Album) -> Params:
        """The parameters of an album: those of `params.yaml`, of its profile and of its own `album.yaml`, merged.

        Raises:
            ParamsError: A key is unknown or a value is not allowed, or may only be set for the whole library.
        """
        refuse_unwatched(album)
        return load_params(self.root / "params.yaml", overrides=album.settings.overrides)

    def pipeline_file(self, name: str) -> Path:
        """The `dvc.yaml` of an album."""
        return self.folder(name) / "dvc.yaml"

    def has_photos(self, name: str) -> bool:
        """Whether the photos that DVC tracks are here: after `git clone`, or without DVC's cache, they are not."""
        folders = [self.folder(name) / folder for folder in PHOTO_FOLDERS]
        if not all(folder.is_dir() for folder in folders):
            return False
        photos = (path for folder in folders for path in folder.iterdir())
        return all(path.exists() or not is_cache_link(path, self.folder(name)) for path in photos)

    def dvc_files(self, name: str) -> list[Path]:
        """The `.dvc` files that track an album's photos."""
        return [self.folder(name) / f"{folder}.dvc" for folder in PHOTO_FOLDERS]

    def album_state(self, name: str) -> AbstractContextManager[DvcState]:
        """Open DVC's records of an album: its photos and its pipeline."""
        return open_dvc_state(self.root, *self.dvc_files(name), self.pipeline_file(name))

    def commit_photos(self, name: str) -> None:
        """Commit an album's changed, added and removed photos to DVC, unless they are not here."""
        if not self.has_photos(name):
            return
        with open_dvc_state(self.root, *self.dvc_files(name)) as state:
            state.commit_changed_photos()


def open_albums(folder: Path) -> tuple[list[Album], dict[str, str]]:
    """Open every album in a folder.

    Returns:
        The albums sorted by name, and the error messages of those that cannot be opened, by name.
    """
    albums, problems = [], {}
    for path in sorted(folder.glob("[!.]*/")):
        try:
            albums.append(open_album(path))
        except RealFillError as error:
            problems[path.name] = str(error)
    return albums, problems
