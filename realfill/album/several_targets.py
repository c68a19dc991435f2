"""The folders of an album of several targets: `targets/<name>/`, each laid out like an album without ref/."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from realfill.core.errors import AlbumError

FOLDER = "targets"


def album_around(folder: Path) -> Path | None:
    """The album folder that a folder is a target of; None if it is none, such as one that has its own ref/."""
    around = folder.parent.parent
    if folder.parent.name != FOLDER or not (folder / "target").is_dir() or (folder / "ref").is_dir():
        return None
    return around if (around / "ref").is_dir() else None


def target_folders(folder: Path) -> list[Path]:
    """The folders of an album's targets, sorted; empty for an album of one target.

    Raises:
        AlbumError: The folders of targets do not follow the layout.
    """
    inside = folder / FOLDER
    if inside.is_symlink() or not inside.is_dir():
        return []
    folders = sorted(path for path in inside.iterdir() if path.name[0] != "." and path.is_dir())
    if not any((path / "target").is_dir() or (path / "target.dvc").is_file() for path in folders):
        return []
    if (folder / "target").is_dir():
        remedy = f"Move what is in it into {FOLDER}/NAME/target/, or give each target an album of its own."
        raise AlbumError(f"There are both target/ and {FOLDER}/.", remedy, folder / "target")
    for path in folders:
        if path.is_symlink():
            raise AlbumError("The folder of a target cannot be a link.", "Replace it by a folder.", path)
        if (path / "ref").is_dir():
            remedy = f"Move its photos into ref/ beside {FOLDER}/, or make an album of its own of the target."
            raise AlbumError("The targets of an album share its references.", remedy, path / "ref")
    return folders


def targets_called(name: str, folder: Path) -> Iterator[Path]:
    """The targets of the albums in a folder that are called so: roof/targets/front is called roof-front."""
    splits = (index for index, character in enumerate(name) if character == "-")
    targets = (folder / name[:index] / FOLDER / name[index + 1 :] for index in splits)
    yield from (path for path in targets if (path / "target").is_dir())


def member_folders(folder: Path) -> list[Path]:
    """The folders that `open_album` opens of an album: those of its targets, or the album folder itself.

    Args:
        folder: The album folder, or one of its targets'.
    """
    base = album_around(folder) or folder
    return target_folders(base) or [base]
