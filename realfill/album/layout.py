"""An album on disk: one target photo with a hole, and reference photos of the same scene.

The layout is that of RealFill's benchmark, RealBench, so that its scenes can be used as they are::

    <album>/target/target.*   the photo to complete
    <album>/target/mask.*     the mask, white = fill (optional)
    <album>/target/gt.*       the ground truth, read by `evaluate` only (optional)
    <album>/ref/*             1 to 20 references
    <album>/album.yaml        settings (optional)
    <out>/work/<stage>/       the files that a stage writes
    <out>/completed/          the finished photo, its provenance and its page
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from realfill.album.settings import AlbumSettings

RAW_SUFFIXES = (".dng", ".cr2", ".cr3", ".nef", ".nrw", ".arw", ".raf", ".orf", ".rw2", ".pef", ".srw", ".3fr")
"""Suffixes of camera raw files, which are read as references; a target is to be developed first."""
_JPEG_SUFFIXES, _HEIF_SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif"), (".heic", ".heif", ".hif", ".avif")
PHOTO_SUFFIXES = (*_JPEG_SUFFIXES, ".png", ".webp", ".tif", ".tiff", *_HEIF_SUFFIXES, *RAW_SUFFIXES)


@dataclass(frozen=True)
class Album:
    """An album whose layout has been checked; its photos have not been opened.

    Attributes:
        root: The album folder, absolute.
        out: The folder of `work/` and `completed/`, absolute; the album folder by default.
        target: The photo to complete.
        mask: The mask file, or None.
        ground_truth: The ground truth, or None.
        references: The reference photos, 1 or more, sorted by name.
        settings: Content of `album.yaml`.
        unrecognized_files: Other files in ref/ that are neither hidden nor made by the operating system, sorted by
            name. By their suffix they are no photos.
        stray_files: Files and folders that lie where nothing is read, though they may be meant for the album, each
            with what to do about it.
    """

    root: Path
    out: Path
    target: Path
    mask: Path | None
    ground_truth: Path | None
    references: tuple[Path, ...]
    settings: AlbumSettings
    unrecognized_files: tuple[Path, ...] = ()
    stray_files: tuple[tuple[Path, str], ...] = ()

    @property
    def name(self) -> str:
        """Name of the album folder."""
        return self.root.name

    def work(self, stage: str) -> Path:
        """The folder that `stage`, and no other stage, writes."""
        return self.out / "work" / stage

    @property
    def completed(self) -> Path:
        """The folder of the finished photo, its provenance and its page."""
        return self.out / "completed"

    @property
    def provenance(self) -> Path:
        """The JSON document beside the finished photo that says how it was made."""
        return self.completed / f"{self.name}.json"
