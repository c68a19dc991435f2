"""Finished photos as they are delivered, read so that photo, provenance and map belong together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from realfill.album.layout import Album
from realfill.album.store import find_provenance, read_document
from realfill.album.verdict import Verdict, read_verdict
from realfill.core.errors import ExportError
from realfill.core.hashing import digest_bytes


@dataclass(frozen=True)
class FinishedPhoto:
    """A finished photo.

    Attributes:
        album: Its album.
        note: What was remarked about it in the review; may be empty.
        provenance: The document beside it.
        data: The encoded photo.
        authenticity_map: The encoded map.
    """

    album: Album
    note: str
    provenance: Mapping[str, Any]
    data: bytes
    authenticity_map: bytes

    @property
    def path(self) -> Path:
        """The photo's file."""
        return self.album.completed / Path(str(self.provenance["photo"])).name

    @property
    def verdict(self) -> Verdict:
        """How far the fill can be believed."""
        return read_verdict(self.provenance)


def read_finished_photo(album: Album, note: str = "") -> FinishedPhoto:
    """Read the finished photo of an album.

    Raises:
        ExportError: There is none, or it is not the one that realfill wrote.
        StageError: The provenance is damaged.
    """
    remedy = f"Run `realfill complete {album.name}` again."
    try:
        provenance = read_document(find_provenance(album))
        path = album.completed / Path(str(provenance["photo"])).name
        data = path.read_bytes()
        authenticity_map = (album.completed / "authenticity.png").read_bytes()
    except (KeyError, TypeError, FileNotFoundError) as error:
        problem = "The album has no finished photo, or a part of it is missing."
        raise ExportError(problem, remedy, album.root) from error
    if digest_bytes(data) != provenance.get("digest"):
        problem = "The finished photo was changed since realfill wrote it: what is said of it would not hold."
        raise ExportError(problem, f"Move it to another place. {remedy}", path)
    return FinishedPhoto(album, note, provenance, data, authenticity_map)
