"""Find an album's files in a folder that strangers filled."""

from __future__ import annotations

import re
from pathlib import Path

from realfill.album.layout import LITTER, SUFFIXES, Album
from realfill.album.settings import read_settings
from realfill.core.errors import AlbumError


def open_album(root: Path, out: Path | None = None) -> Album:
    """Find an album's files.

    Raises:
        AlbumError: The folder does not follow the layout.
        ParamsError: `album.yaml` cannot be understood.
    """
    root = root.resolve()
    if not root.is_dir():
        raise AlbumError("There is no such folder.", "Give the path of an album folder.", root)
    if re.fullmatch(r"[\w. +()@&',=-]{1,200}", root.name) is None:
        raise AlbumError(
            "The folder's name has characters that cannot be used in file names everywhere.",
            "Rename it with letters, digits, spaces and .-_+() only.",
            root,
        )
    return Album(
        root=root,
        out=root if out is None else out.resolve(),
        target=_target(root),
        mask=_one(root, "mask"),
        truth=_one(root, "gt"),
        references=_references(root),
        settings=read_settings(root / "album.yaml"),
        strangers=_strangers(root / "ref"),
    )


def _target(root: Path) -> Path:
    found = _one(root, "target")
    if found is None:
        raise AlbumError(
            "There is no target photo.",
            f"Put the photo to complete at target/target.jpg ({', '.join(SUFFIXES)} are read).",
            root,
        )
    return found


def _one(root: Path, stem: str) -> Path | None:
    folder = root / "target"
    found = [p for p in _photos(root, folder) if p.stem == stem]
    if len(found) > 1:
        names = ", ".join(p.name for p in found)
        raise AlbumError(f"There are several files called {stem}: {names}.", "Leave one of them.", folder)
    return found[0] if found else None


def _references(root: Path) -> tuple[Path, ...]:
    found = _photos(root, root / "ref")
    if not found:
        raise AlbumError(
            "There is no reference photo.",
            f"Put 1 to 20 photos of the same scene into ref/ ({', '.join(SUFFIXES)} are read).",
            root,
        )
    return tuple(found)


def _strangers(folder: Path) -> tuple[Path, ...]:
    shown = (p for p in folder.iterdir() if p.name[0] != "." and p.name.lower() not in LITTER)
    return tuple(sorted(p for p in shown if p.suffix.lower() not in SUFFIXES))


def _photos(root: Path, folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    candidates = sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and p.name[0] != ".")
    for path in candidates:
        if not path.resolve().is_relative_to(root) or not path.is_file():
            raise AlbumError(
                "This is not a regular file inside the album.",
                "Replace it by a copy of the photo itself.",
                path,
            )
    return candidates
