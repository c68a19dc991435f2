"""An album on disk: one target photo with a missing part, and reference photos of the same scene.

Layout (RealBench's own, so that any of its scenes drops in)::

    <album>/target/target.*   the photo to complete          <album>/ref/*        1 to 20 references
    <album>/target/mask.*     white = fill (optional)        <album>/album.yaml   settings (optional)
    <album>/target/gt.*       the truth, read by `evaluate` alone (optional)
    <out>/work/<stage>/       what the stages write          <out>/completed/     what is delivered
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from realfill.errors import AlbumError
from realfill.params import AlbumSettings, read_settings

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".heic", ".heif")
LITTER = ("thumbs.db", "desktop.ini")


@dataclass(frozen=True)
class Album:
    """An album folder whose layout was checked; the photos themselves were not opened.

    Attributes:
        root: The album folder, absolute.
        out: Where `work/` and `completed/` lie; the album folder itself unless told otherwise.
        target: The photo to complete.
        mask: The mask file, if there is one.
        truth: The ground truth, if there is one.
        references: The reference photos in name order, 1 or more.
        settings: What `album.yaml` says.
        strangers: What else lies in ref/, in name order: not hidden, and by its suffix not a photo that is read.
    """

    root: Path
    out: Path
    target: Path
    mask: Path | None
    truth: Path | None
    references: tuple[Path, ...]
    settings: AlbumSettings
    strangers: tuple[Path, ...] = ()

    @classmethod
    def open(cls, root: Path, out: Path | None = None) -> Album:
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
        return cls(
            root=root,
            out=root if out is None else out.resolve(),
            target=_target(root),
            mask=_one(root, "mask"),
            truth=_one(root, "gt"),
            references=_references(root),
            settings=read_settings(root / "album.yaml"),
            strangers=_strangers(root / "ref"),
        )

    @property
    def name(self) -> str:
        """The album folder's name."""
        return self.root.name

    def work(self, stage: str) -> Path:
        """The folder that `stage`, and nothing else, writes."""
        return self.out / "work" / stage

    @property
    def completed(self) -> Path:
        """The folder of the finished photo, its provenance and its page."""
        return self.out / "completed"

    @property
    def provenance(self) -> Path:
        """The document beside the finished photo that says how it came about."""
        return self.completed / f"{self.name}.json"


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
