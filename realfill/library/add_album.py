"""Adding albums to a library."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from realfill.album.discovery import open_targets
from realfill.album.dvc_links import is_cache_link
from realfill.core.atomic_io import atomic_write, new_directory
from realfill.core.errors import LibraryError
from realfill.library.dvc_state import open_dvc_state
from realfill.library.engine import ENGINE, renew_engine
from realfill.library.pipeline_files import link_pipeline
from realfill.library.repository import PIPELINE, Library
from realfill.library.target_pipelines import renew_target_pipeline
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
    albums = open_targets(source)
    base = albums[0].base
    folder = library.folder(base.name)
    if os.path.lexists(folder):
        raise LibraryError("The library has an album of that name.", "Rename the folder that you add.", folder)
    drawn = [path for each in albums for path in (each.target, each.mask, each.ground_truth) if path]
    photos = [*drawn, *albums[0].references]
    folders = dict.fromkeys((base, *(each.root for each in albums)))
    _reject_links(base, [*photos, *(path / name for path in folders for name in ("ref", "target", "album.yaml"))])
    with new_directory(folder) as partial:
        for photo in photos:
            copy = partial / photo.relative_to(base)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(photo.resolve() if photo.is_symlink() else photo, copy, follow_symlinks=False)
        for path in folders:
            write_settings(read_settings_values(path), partial / path.relative_to(base))
        if albums[0].around is None:
            link_pipeline(library.root / PIPELINE, partial / "dvc.yaml")
        renew_target_pipeline(library.root / PIPELINE, partial)
        _track_photos(
            library, [partial / "ref", *(partial / each.target.parent.relative_to(base) for each in albums)]
        )
    if not (library.root / ENGINE).is_file():
        renew_engine(library)
    return folder


def _reject_links(root: Path, paths: Sequence[Path]) -> None:
    for path in paths:
        if path.is_symlink() and not is_cache_link(path, root):
            raise LibraryError("This is a link.", "Replace it by a copy of what it points to.", path)


def _track_photos(library: Library, folders: Sequence[Path]) -> None:
    """Write the `.dvc` files of an album's photo folders and commit the photos to DVC's cache."""
    files = [folder.with_suffix(".dvc") for folder in folders]
    for file in files:
        atomic_write(file, f"outs:\n- path: {file.stem}\n")
    with open_dvc_state(library.root, *files) as state:
        for file in files:
            state.commit(file)
