"""Files and folders of an album that lie where nothing is read, though they may be meant for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from realfill.album.layout import PHOTO_SUFFIXES
from realfill.album.several_targets import FOLDER, target_folders
from realfill.core.errors import AlbumError, printable

SYSTEM_FILES = ("thumbs.db", "desktop.ini")  # written by Windows
_LOOKALIKES = {
    "target": ("target", "targets", "original", "photo"),
    "ref": ("ref", "refs", "reference", "references", "reference photos", "references photos"),
}
_ROLES = ("target", "mask", "gt")  # names without suffix in target/
_SETTINGS = ("album.txt", "album.json", "album.toml", "album.ini")
_READ_YAML = ("album.yaml", "dvc.yaml")
_ONLY_THREE = "Only target.*, mask.* and gt.* are read in target/. Rename it to mask.png if it is the mask."
_PICTURES = (*PHOTO_SUFFIXES, ".bmp", ".gif", ".jp2", ".jxl", ".psd", ".xcf", ".svg", ".pdf")


def find_stray_files(root: Path) -> tuple[tuple[Path, str], ...]:
    """Files and folders of an album that nothing reads, sorted by name, each with what to do about it.

    Args:
        root: The album folder.

    Raises:
        AlbumError: One of them is certainly a mask, in a format that cannot be read, or a second photo to complete.
    """
    strays = [*_find_in_target(root), *_find_in_root(root), *_find_in_targets(root)]
    return tuple(sorted(strays))


def find_lookalikes(root: Path, folder: str) -> list[Path]:
    """Files and folders that may be meant where `folder`, "target" or "ref", or its photo is missing, sorted."""
    others = [path for path in _visible(root) if path.name != folder and path.name.lower() in _LOOKALIKES[folder]]
    photos = [path for path in _visible(root) if path.suffix.lower() in _PICTURES and path.is_file()]
    return sorted([*others, *_visible(root / folder), *photos])


def _find_in_target(root: Path) -> Iterator[tuple[Path, str]]:
    for path in _visible(root / "target"):
        role, is_photo = path.stem.lower(), path.suffix.lower() in PHOTO_SUFFIXES
        if role in _ROLES and is_photo:
            continue
        if role in ("mask", "masks") and path.suffix.lower() in _PICTURES and not is_photo:
            supported = ", ".join(PHOTO_SUFFIXES)
            raise AlbumError(
                "The mask is in a format that is not supported.",
                f"Save it as target/mask.png, or remove it (supported: {supported}).",
                path,
            )
        if is_photo and "mask" not in role:
            raise _second_photo_error(path)
        if path.suffix.lower() in _PICTURES or "mask" in role:
            yield path, _ONLY_THREE


def _second_photo_error(path: Path) -> AlbumError:
    place = printable(f"{FOLDER}/{path.stem}/target/target{path.suffix}")
    remedy = (
        f"Of several photos each has a folder: move this one to {place}, its mask beside it as mask.png, and the "
        f"other one to {FOLDER}/NAME/target/ likewise. Or take it out of target/ if it is not to be completed."
    )
    return AlbumError("There is another photo in target/ than target.*, mask.* and gt.*.", remedy, path)


def _find_in_root(root: Path) -> Iterator[tuple[Path, str]]:
    for path in _visible(root):
        name = path.name.lower()
        if path.is_dir():
            folder = next((key for key, names in _LOOKALIKES.items() if name in names and path.name != key), None)
            if folder is not None and not (path.name == FOLDER and target_folders(root)):
                yield path, f"This folder is not read. Move its photos into {folder}/ if they belong there."
        elif name in _SETTINGS or (path.suffix.lower() in (".yaml", ".yml") and name not in _READ_YAML):
            yield path, "It is not read. The settings of an album are in album.yaml."
        elif path.suffix.lower() in _PICTURES:
            yield path, "It is not read. Move it into ref/ if it is a reference, or into target/ as target or mask."


def _find_in_targets(root: Path) -> Iterator[tuple[Path, str]]:
    for path in _visible(root / FOLDER) if target_folders(root) else ():
        if path.suffix.lower() in _PICTURES and path.is_file():
            yield path, f"It is not read. A target has a folder of its own: {FOLDER}/NAME/target/."


def _visible(folder: Path) -> list[Path]:
    """What is in a folder, but for hidden files and those of the operating system; empty if there is none."""
    if not folder.is_dir():
        return []
    return [path for path in folder.iterdir() if path.name[0] != "." and path.name.lower() not in SYSTEM_FILES]
