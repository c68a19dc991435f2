"""An album on disk: one target photo with a missing part, and reference photos of the same scene.

Layout (RealBench's own, so that any of its scenes drops in)::

    <album>/target/target.*   the photo to complete          <album>/ref/*        1 to 20 references
    <album>/target/mask.*     white = fill (optional)        <album>/album.yaml   settings (optional)
    <album>/target/gt.*       the truth, read by `evaluate` alone (optional)
    <out>/work/<stage>/       what the stages write          <out>/completed/     what is delivered
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from realfill.album.settings import AlbumSettings


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
