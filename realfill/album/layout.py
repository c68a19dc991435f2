"""An album on disk: target photos with a hole, and reference photos of the same scene.

The layout is that of RealFill's benchmark, RealBench, so that its scenes can be used as they are::

    <album>/target/target.*   the photo to complete
    <album>/target/mask.*     the mask, white = fill (optional)
    <album>/target/gt.*       the ground truth, read by `evaluate` only (optional)
    <album>/ref/*             1 to 20 references
    <album>/album.yaml        settings (optional)
    <out>/work/<stage>/       the files that a stage writes
    <out>/completed/          the finished photo, its provenance and its page

An album of several targets has, instead of target/, a folder for each, which is laid out like an album without ref/::

    <album>/targets/<name>/target/          the photo to complete, its mask and its ground truth
    <album>/targets/<name>/album.yaml       settings of this target (optional)
    <out>/targets/<name>/work/<stage>/      the files that a stage writes for this target
    <out>/targets/<name>/completed/         the finished photo, its provenance and its page
    <out>/work/finetune/                    the adapter, which all targets share
    <out>/work/.matches/                    matches among the references, which all targets share
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
SHARED_STAGES = ("finetune",)
"""The stages whose results the targets of an album share."""
MATCHES = ".matches"
"""The folder in the shared `work/` in which matches among the references are kept; it can be removed."""
DEVELOPED_SUFFIXES = (*_JPEG_SUFFIXES, ".png", ".webp", ".tif", ".tiff", *_HEIF_SUFFIXES)
"""Suffixes of photos that may be a target."""
PHOTO_SUFFIXES = (*DEVELOPED_SUFFIXES, *RAW_SUFFIXES)


@dataclass(frozen=True)
class Album:
    """An album, or one target of an album of several; its layout has been checked, its photos have not been opened.

    Attributes:
        root: The album folder, or the folder of the target; absolute.
        out: The folder of `work/` and `completed/`, absolute; `root` by default.
        target: The photo to complete.
        mask: The mask file, or None.
        ground_truth: The ground truth, or None.
        references: The reference photos, 1 or more, sorted by name.
        settings: Content of `album.yaml`.
        unrecognized_files: Other files in ref/ that are neither hidden nor made by the operating system, sorted by
            name. By their suffix they are no photos.
        stray_files: Files and folders that lie where nothing is read, though they may be meant for the album, each
            with what to do about it.
        around: The album folder that a target of several lies in, whose references it has; None for an album of one.
        siblings: The other targets of the same album, each without siblings.
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
    around: Path | None = None
    siblings: tuple[Album, ...] = ()

    @property
    def name(self) -> str:
        """Name of the album folder; of a target of several, with the target's name after it."""
        return target_name(self.root, self.around)

    @property
    def base(self) -> Path:
        """The album folder, which holds the references; names of files are relative to it."""
        return self.around or self.root

    @property
    def shared_out(self) -> Path:
        """The folder of the `work/` that all targets of the album share."""
        return self.out if self.around is None else self.out.parents[1]

    @property
    def targets(self) -> tuple[Album, ...]:
        """All targets of the album, this one among them, sorted by name."""
        return tuple(sorted((self, *self.siblings), key=lambda album: album.root.name))

    def work(self, stage: str) -> Path:
        """The folder that `stage`, and no other stage, writes."""
        return (self.shared_out if stage in SHARED_STAGES else self.out) / "work" / stage

    @property
    def completed(self) -> Path:
        """The folder of the finished photo, its provenance and its page."""
        return self.out / "completed"

    @property
    def provenance(self) -> Path:
        """The JSON document beside the finished photo that says how it was made."""
        return self.completed / f"{self.name}.json"


def target_name(root: Path, around: Path | None) -> str:
    """The name of an album, or of a target in the album folder `around`."""
    return root.name if around is None else f"{around.name}-{root.name}"
