"""The library: a git and DVC repository that keeps many albums, and what was made of them.

Layout (a clone of this project is one)::

    params.yaml                     parameters of all albums
    pipelines/album.dvc.yaml        the pipeline of one album
    data/albums/<album>/            an album; its photos and its stages' outputs are kept by DVC
    data/gallery/                   the page that lists the albums
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from realfill.album.discovery import open_album
from realfill.album.layout import Album
from realfill.album.settings import AlbumSettings
from realfill.core.atomic_io import atomic_directory, atomic_write
from realfill.core.errors import LibraryError, RealFillError
from realfill.core.params import Params, load_params
from realfill.library.dvc_state import DvcState, open_dvc_state

PIPELINE = Path("pipelines") / "album.dvc.yaml"
PHOTO_FOLDERS = ("ref", "target")
SETTINGS_KEYS = (
    *(name for name in AlbumSettings.model_fields if name != "overrides"),
    *(field.alias or name for name, field in Params.model_fields.items()),
)
_SETTINGS_HEADER = """\
# Settings of this album alone: the hole, where target/mask.* does not draw it, and values that override those of
# params.yaml, e.g. `blend: {candidate: 3}`. Leave every key in its place: DVC watches them one by one.
"""


@dataclass(frozen=True)
class Library:
    """A library on disk.

    Attributes:
        root: Its root folder, absolute.
    """

    root: Path

    @classmethod
    def open(cls, root: Path) -> Library:
        """Take a folder as a library.

        Raises:
            LibraryError: It is not the root of one.
        """
        root = root.resolve()
        if not (root / ".dvc").is_dir() or not (root / PIPELINE).is_file():
            problem = f"This is not a library: it lacks .dvc/ or {PIPELINE.as_posix()}."
            raise LibraryError(problem, "Give the root of a clone of the realfill repository.", root)
        return cls(root)

    @property
    def albums(self) -> list[str]:
        """The names of all albums, sorted."""
        folders = (self.root / "data" / "albums").glob("*/dvc.yaml")
        return sorted(path.parent.name for path in folders if path.parent.name[0] != ".")

    def folder(self, name: str) -> Path:
        """Where the album of that name lies or would lie.

        Raises:
            LibraryError: The name cannot be an album's.
        """
        if re.fullmatch(r"[\w(+][\w. +()@&',=-]{0,199}", name) is None:
            problem = f"{name[:200]!r} cannot be the name of an album."
            raise LibraryError(problem, "Use letters, digits, spaces and .-_+() only, a letter or digit first.")
        return self.root / "data" / "albums" / name

    def album(self, name: str) -> Album:
        """Open an album of the library.

        Raises:
            LibraryError: It is not there, its photos are not, or DVC cannot follow it.
            AlbumError: Its folder does not follow the layout.
            ParamsError: Its `album.yaml` cannot be understood.
        """
        folder = self.folder(name)
        if folder.is_symlink() or not (folder / "dvc.yaml").is_file():
            known = ", ".join(self.albums[:20]) or "none yet"
            raise LibraryError(f"There is no album {name!r} here.", f"`realfill add` it. Known: {known}.", folder)
        if not (folder / "target").is_dir():
            raise LibraryError("The album's photos are not here.", f"Run `dvc pull -R data/albums/{name}`.", folder)
        album = open_album(folder)
        missing = [key for key in SETTINGS_KEYS if key not in _settings(folder)]
        if missing:
            problem = f"Keys that DVC watches are missing: {', '.join(missing)}."
            raise LibraryError(problem, f"Put them back with nothing behind: `{missing[0]}:`.", folder / "album.yaml")
        return album

    def params(self, album: Album) -> Params:
        """The parameters of an album: `params.yaml`, its profile, and the album's own.

        Raises:
            ParamsError: A key is unknown or a value is not allowed.
        """
        return load_params(self.root / "params.yaml", overrides=album.settings.overrides)

    def tracked(self, name: str) -> AbstractContextManager[DvcState]:
        """What DVC remembers of an album: its photos and its pipeline."""
        return open_dvc_state(self.root, *self.photos(name), self.pipeline(name))

    def pipeline(self, name: str) -> Path:
        """The file of an album's pipeline."""
        return self.folder(name) / "dvc.yaml"

    def photos(self, name: str) -> list[Path]:
        """The files by which DVC tracks an album's photos."""
        return [self.folder(name) / f"{folder}.dvc" for folder in PHOTO_FOLDERS]

    def record_photos(self, name: str) -> None:
        """Let DVC take up photos that were changed, added or removed."""
        with open_dvc_state(self.root, *self.photos(name)) as known:
            known.take_up()

    def is_current(self, album: Album, stage: str) -> bool:
        """Whether DVC finds a stage's photos, parameters, inputs and outputs as they were recorded."""
        file = self.pipeline(album.name)
        with open_dvc_state(self.root, file) as known:
            return known.is_current(file, stage)

    def record(self, album: Album, stage: str) -> None:
        """Record in `dvc.lock` and in DVC's cache that a stage has just run on what is there now."""
        file = self.pipeline(album.name)
        with open_dvc_state(self.root, file) as known:
            known.record(file, stage)

    def update_gallery(self, rows: Sequence[Mapping[str, Any]] = ()) -> None:
        """Write the page that lists the albums, and record it, unless there is no news and DVC finds it up to date.

        Args:
            rows: News: what became of albums in their last run, as `write_gallery` takes it.
        """
        from realfill.library.gallery import write_gallery

        file = self.root / "dvc.yaml"
        with open_dvc_state(self.root, file) as known:
            if not rows and known.is_current(file, "gallery"):
                return
            albums, problems = open_albums(self.root / "data" / "albums")
            write_gallery(albums, self.root / "data" / "gallery", problems, rows)
            known.record(file, "gallery")


def open_albums(folder: Path) -> tuple[list[Album], dict[str, str]]:
    """Open every album of a folder.

    Returns:
        The albums by name, and what is wrong with those that cannot be opened, by name.
    """
    albums, problems = [], {}
    for path in sorted(folder.glob("[!.]*/")):
        try:
            albums.append(open_album(path))
        except RealFillError as error:
            problems[path.name] = str(error)
    return albums, problems


def add(source: Path, root: Path) -> Path:
    """Bring an album into a library: copy its photos and settings, put its pipeline in place, track it with DVC.

    The album appears under `data/albums/` whole or not at all. What the source holds besides an album's photos
    and `album.yaml` is left behind.

    Args:
        source: The album folder; it is not changed.
        root: The library's root.

    Returns:
        The album's folder in the library.

    Raises:
        LibraryError: `root` is no library, it has an album of that name, or the name cannot be an album's.
        AlbumError: The folder does not follow the layout.
        ParamsError: `album.yaml` cannot be understood.
    """
    library = Library.open(root)
    album = open_album(source)
    folder = library.folder(album.name)
    if os.path.lexists(folder):
        raise LibraryError("The library has an album of that name.", "Rename the folder that you add.", folder)
    photos = [path for path in (album.target, album.mask, album.truth, *album.references) if path]
    _refuse_links(album.root, photos)
    with atomic_directory(folder) as incoming:
        for photo in photos:
            copy = incoming / photo.relative_to(album.root)
            copy.parent.mkdir(exist_ok=True)
            shutil.copyfile(photo, copy, follow_symlinks=False)
        values = {key: _settings(album.root).get(key) for key in SETTINGS_KEYS}
        atomic_write(incoming / "album.yaml", _SETTINGS_HEADER + yaml.safe_dump(values, sort_keys=False))
        link_pipeline(library.root / PIPELINE, incoming / "dvc.yaml")
        for name in PHOTO_FOLDERS:
            atomic_write(incoming / f"{name}.dvc", f"outs:\n- path: {name}\n")
        with open_dvc_state(library.root, *(incoming / f"{name}.dvc" for name in PHOTO_FOLDERS)) as known:
            for file, _ in known.stages:
                known.record(file)
    return folder


def _settings(folder: Path) -> dict[str, object]:
    path = folder / "album.yaml"
    values: dict[str, object] | None = yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else None
    return values or {}


def _refuse_links(root: Path, photos: list[Path]) -> None:
    for path in (root / "ref", root / "target", root / "album.yaml", *photos):
        if path.is_symlink():
            raise LibraryError("This is a link.", "Replace it by a copy of what it points to.", path)


def link_pipeline(pipeline: Path, link: Path) -> None:
    """Put the pipeline of all albums in place for one: a link, or a copy where there are no links."""
    try:
        link.symlink_to(os.path.relpath(pipeline, link.parent))
    except OSError:
        shutil.copyfile(pipeline, link)
