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
from realfill.album.discovery import open_album, open_targets
from realfill.album.dvc_links import is_cache_link
from realfill.album.layout import Album
from realfill.album.several_targets import target_folders
from realfill.core.errors import AlbumError, LibraryError, RealFillError, printable
from realfill.core.params import Params, load_params
from realfill.library.dvc_state import DvcState, open_dvc_state
from realfill.library.target_pipelines import renew_target_pipeline
from realfill.library.watched_settings import complete_settings, refuse_unwatched

PIPELINE = Path("pipelines") / "album.dvc.yaml"
_NO_LIBRARY_REMEDY = "Make one with `realfill init`, or `git clone` one; from elsewhere, name its folder."


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
        """Open an album of one target; see `targets`.

        Raises:
            RealFillError: As for `targets`.
            AlbumError: The album has several targets.
        """
        album, *others = self.targets(name)
        return album if album.around is None and not others else open_album(self.folder(name))

    def targets(self, name: str) -> list[Album]:
        """Open an album of the library, with all its targets; DVC's files are complete afterwards, see `prepare`.

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
        albums = open_targets(folder)
        self.prepare(name)
        return albums

    def prepare(self, name: str) -> None:
        """Complete the files by which DVC knows an album: each `album.yaml` has every key that DVC watches, and the
        pipeline of an album of several targets names all of them.

        Raises:
            ParamsError: An `album.yaml` cannot be edited.
            LibraryError: The name of a target is not allowed.
            AlbumError: The folders of the targets do not follow the layout.
        """
        folder = self.folder(name)
        for place in dict.fromkeys((folder, *target_folders(folder))):
            complete_settings(place)
        renew_target_pipeline(self.root / PIPELINE, folder)

    def settings_files(self, name: str) -> list[Path]:
        """The `album.yaml` of an album, and those of its targets."""
        return [place / "album.yaml" for place in (self.folder(name), *self.target_folders(name))]

    def target_folders(self, name: str) -> list[Path]:
        """The folders of an album's targets; empty for an album of one, and where the layout is not followed."""
        try:
            return target_folders(self.folder(name))
        except AlbumError:
            return []

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
        folders = [file.with_suffix("") for file in self.dvc_files(name)]
        if not all(folder.is_dir() for folder in folders):
            return False
        photos = (path for folder in folders for path in folder.iterdir())
        return all(path.exists() or not is_cache_link(path, self.folder(name)) for path in photos)

    def dvc_files(self, name: str) -> list[Path]:
        """The `.dvc` files that track an album's photos."""
        folder, targets = self.folder(name), self.target_folders(name)
        return [folder / "ref.dvc", *(place / "target.dvc" for place in targets or [folder])]

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
    """Open every album in a folder, with all its targets.

    Returns:
        The albums and targets sorted by the names of their folders, and the error messages of albums that cannot be
        opened, by name.
    """
    albums, problems = [], {}
    for path in sorted(folder.glob("[!.]*/")):
        try:
            albums += open_targets(path)
        except RealFillError as error:
            problems[path.name] = str(error)
    return albums, problems
