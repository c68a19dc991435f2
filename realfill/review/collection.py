"""The albums that are reviewed: those of a library or a folder whose photo is finished, in the order of a review."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from realfill.album.discovery import open_album
from realfill.album.layout import Album, target_name
from realfill.album.several_targets import album_around, target_folders
from realfill.album.store import find_provenance, read_document
from realfill.album.verdict import Verdict, read_verdict
from realfill.core.errors import LibraryError, RealFillError
from realfill.core.hashing import digest
from realfill.core.params import BlendParams
from realfill.library.repository import Library
from realfill.review.decisions import Decision, Seen, digest_source
from realfill.review.journal import Journal


@dataclass(frozen=True)
class FinishedAlbum:
    """An album whose photo is finished.

    Attributes:
        album: The album.
        provenance: The document beside the finished photo.
    """

    album: Album
    provenance: Mapping[str, Any]

    @property
    def name(self) -> str:
        """Name of the album."""
        return self.album.name

    @property
    def photo(self) -> Path:
        """The finished photo."""
        return self.album.completed / str(self.provenance["photo"])

    @property
    def seen(self) -> Seen:
        """What a verdict that is given now is bound to."""
        return Seen(photo=self.provenance["digest"], source=digest_source(self.provenance))

    @property
    def verdict(self) -> Verdict:
        """How far the fill can be believed."""
        return read_verdict(self.provenance)

    @property
    def score(self) -> float:
        """Authenticity of the fill, 0 to 1."""
        return float(self.provenance["authenticity"]["score"])

    def is_outdated(self, decision: Decision) -> bool:
        """Whether a choice was written into the album, and the photo was not made since, or cannot be made."""
        if decision.applied is None:
            return False
        try:
            album = open_album(self.album.root)
            masks = [digest(album.mask)] if album.mask else []
        except (RealFillError, OSError):
            return True
        made_of = [row["digest"] for row in self.provenance["inputs"] if row["role"] == "mask"]
        return self._asks_for_other(album) or (bool(decision.base) and made_of != masks)

    def is_chosen_otherwise(self) -> bool:
        """Whether `album.yaml` asks for another candidate, or other regions of candidates, than the photo shows."""
        try:
            return self._asks_for_other(open_album(self.album.root))
        except (RealFillError, OSError):
            return False

    def _asks_for_other(self, album: Album) -> bool:
        made_with = BlendParams().model_dump(mode="json") | dict(self.provenance["params"]["blend"])
        settings = album.settings.overrides.get("blend") or {}
        return any(name in settings and settings[name] != made_with[name] for name in ("candidate", "regions"))

    def is_pending(self, decision: Decision) -> bool:
        """Whether the photo does not show yet what was chosen for it."""
        return decision.pending or self.is_outdated(decision)

    def state(self, decision: Decision) -> str:
        """Where the review of the album stands.

        Returns:
            "approved" or "rejected" where that holds for the photo as it is; else "changed" where it held for another
            one, or another one was looked at; else "doubtful", "new" or "looked".
        """
        if decision.verdict is not None:
            is_as_seen = decision.covers(self.provenance) or self.is_pending(decision)
            return decision.verdict if is_as_seen else "changed"
        if self.verdict.to_be_looked_at:
            return "doubtful"
        if not decision.looked:
            return "new"
        return "looked" if decision.looked in (True, self.provenance["digest"]) else "changed"


_ORDER = ("doubtful", "changed", "new", "looked", "rejected", "approved")


class Collection:
    """The albums that are reviewed.

    Args:
        folder: A library or a folder in it, a folder of albums, or an album; of an album of several targets, all.

    Attributes:
        folder: That folder, absolute.
        library: The library that they belong to, or None.
        albums_folder: The folder that the album folders lie in.
        journal: What is decided about them.

    Raises:
        LibraryError: There is no such folder, or no album in it.
    """

    def __init__(self, folder: Path) -> None:
        folder = album_around(folder.resolve()) or folder.resolve()
        self.journal = Journal(folder)
        self.folder = folder
        self._only = folder.name if _members(folder) else None
        self.library = Library.enclosing(folder)
        in_library = self.library.albums_folder if self.library else folder
        self.albums_folder = folder.parent if self._only else in_library
        self._known: dict[Path, tuple[tuple[int, int], FinishedAlbum | None]] = {}
        self._by_name: dict[str, Path] = {}
        self._mutex = threading.Lock()
        if not self._folders():
            raise LibraryError("There is no album in this folder.", "Give a library, or a folder of albums.", folder)

    @property
    def gallery(self) -> Path:
        """The page of the gallery, whether it exists or not."""
        return self.albums_folder.parent / "gallery" / "index.html"

    def new_delivery(self) -> Path:
        """A folder for a delivery, which does not exist yet: named by the day, in `deliveries/` beside the albums."""
        deliveries = (self.library.root if self.library else self.albums_folder.parent) / "deliveries"
        day = datetime.now().astimezone().date().isoformat()
        names = (day, *(f"{day} {number}" for number in range(2, 1000)))
        return next(deliveries / name for name in names if not os.path.lexists(deliveries / name))

    def albums(self) -> dict[str, FinishedAlbum]:
        """The finished albums by name; what a run finished since the last call is among them."""
        with self._mutex:
            folders = {target_name(folder, album_around(folder)): folder for folder in self._folders()}
            albums = {name: self._read(folder) for name, folder in folders.items()}
            self._by_name = {name: folders[name] for name, album in albums.items() if album is not None}
            return {name: album for name, album in albums.items() if album is not None}

    def find(self, name: str) -> FinishedAlbum | None:
        """The finished album of that name as it is now, or None."""
        with self._mutex:
            if name in self._by_name:
                return self._read(self._by_name[name])
        return self.albums().get(name)

    def in_order(self) -> list[FinishedAlbum]:
        """The finished albums, those that need a look first, and among them the least authentic ones."""
        decisions = self.journal.decisions()

        def key(album: FinishedAlbum) -> tuple[int, float, str]:
            state = album.state(decisions.get(album.name, Decision()))
            return _ORDER.index(state), album.score if state == "doubtful" else 0.0, album.name

        return sorted(self.albums().values(), key=key)

    def unfinished(self) -> list[str]:
        """Names of the albums that have no finished photo, or one that cannot be used."""
        names = (target_name(folder, album_around(folder)) for folder in self._folders())
        return sorted(set(names) - self.albums().keys())

    def _folders(self) -> list[Path]:
        albums = [self.albums_folder / self._only] if self._only else sorted(self.albums_folder.glob("[!.]*/"))
        return [member for album in albums for member in _members(album)]

    def _read(self, folder: Path) -> FinishedAlbum | None:
        """Open an album, unless its provenance is the one that was read before."""
        documents = sorted((folder / "completed").glob("[!.]*.json"))
        stats = [path.stat() for path in documents]
        stamp = (max((stat.st_mtime_ns for stat in stats), default=0), sum(stat.st_size for stat in stats))
        if self._known.get(folder, (None, None))[0] != stamp:
            self._known[folder] = stamp, _open(folder) if documents else None
        return self._known[folder][1]


def _members(folder: Path) -> list[Path]:
    """The folders of an album's targets, or the album's own; empty if it is no album."""
    if (folder / "target").is_dir():
        return [folder]
    try:
        return target_folders(folder)
    except RealFillError:
        return []


def _open(folder: Path) -> FinishedAlbum | None:
    try:
        album = open_album(folder)
        finished = FinishedAlbum(album, read_document(find_provenance(album)))
        is_inside = finished.photo.parent == album.completed and finished.photo.name not in ("", "..")
        usable = is_inside and finished.photo.is_file() and finished.score >= 0 and finished.seen is not None
    except (RealFillError, LookupError, ValueError, TypeError):
        return None
    return finished if usable else None
