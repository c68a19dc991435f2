"""Adding albums to a library."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from realfill.album.discovery import open_album
from realfill.album.dvc_links import is_cache_link
from realfill.core.atomic_io import atomic_write, new_directory
from realfill.core.errors import LibraryError
from realfill.library.dvc_state import open_dvc_state
from realfill.library.engine import ENGINE, renew_engine
from realfill.library.pipeline_files import link_pipeline
from realfill.library.repository import PHOTO_FOLDERS, PIPELINE, Library
from realfill.library.watched_settings import read_settings_values, write_settings


def add_album(source: Path, root: Path) -> Path:
    """Add an album to a library: copy its photos and settings, link its pipeline, track its photos with DVC.

    The album appears under `data/albums/` atomically. Only the album's photos and `album.yaml` are copied from the
    source.

    Args:
        source: The album folder; it is not changed.
        root: The library's root.

    Returns:
        The album's folder in the library.

    Raises:
        LibraryError: `root` is not a library, it has an album of that name, or the name is not allowed.
        AlbumError: The folder does not follow the layout.
        ParamsError: `album.yaml` is not valid.
    """
    library = Library.open(root)
    album = open_album(source)
    folder = library.folder(album.name)
    if os.path.lexists(folder):
        raise LibraryError("The library has an album of that name.", "Rename the folder that you add.", folder)
    photos = [path for path in (album.target, album.mask, album.ground_truth, *album.references) if path]
    _reject_links(album.root, photos)
    with new_directory(folder) as partial:
        for photo in photos:
            copy = partial / photo.relative_to(album.root)
            copy.parent.mkdir(exist_ok=True)
            shutil.copyfile(photo.resolve() if photo.is_symlink() else photo, copy, follow_symlinks=False)
        write_settings(read_settings_values(album.root), partial)
        link_pipeline(library.root / PIPELINE, partial / "dvc.yaml")
        _track_photos(library, partial)
    if not (library.root / ENGINE).is_file():
        renew_engine(library)
    return folder


def _reject_links(root: Path, photos: Sequence[Path]) -> None:
    for path in (root / "ref", root / "target", root / "album.yaml", *photos):
        if path.is_symlink() and not is_cache_link(path, root):
            raise LibraryError("This is a link.", "Replace it by a copy of what it points to.", path)


def _track_photos(library: Library, folder: Path) -> None:
    """Write the `.dvc` files of an album's photo folders and commit the photos to DVC's cache."""
    files = [folder / f"{name}.dvc" for name in PHOTO_FOLDERS]
    for file in files:
        atomic_write(file, f"outs:\n- path: {file.stem}\n")
    with open_dvc_state(library.root, *files) as state:
        for file in files:
            state.commit(file)
