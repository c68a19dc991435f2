"""Which albums are stale, found without asking DVC about unchanged ones.

DVC needs a quarter of a second to find an album up to date. Once it has, the sizes, times and inode numbers of the
album's files, and of the files shared by all albums, are remembered as a fingerprint. As long as the fingerprint is
the same, the album counts as up to date. DVC itself trusts the same file attributes when it decides whether to hash a
file again.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from dvc.exceptions import DvcException

from realfill.album.store import read_document
from realfill.core.atomic_io import write_json
from realfill.core.errors import RealFillError
from realfill.core.hashing import digest, digest_json
from realfill.library import quarantine
from realfill.library.engine import ENGINE
from realfill.library.repository import PIPELINE, Library

_IGNORED_FILES = (quarantine.FILE_NAME,)
FileAttributes = tuple[str, int, int, int]  # path, size in bytes, modification time in ns, inode number


@dataclass
class FreshnessCache:
    """Fingerprints of a clone's albums at the time when DVC last found them up to date.

    Attributes:
        library: The clone.
        shared_fingerprint: Fingerprint of the files that every album depends on.
        fingerprints: Fingerprint of each album that DVC found up to date, by name.
        gallery_digest: Digest of what the gallery showed when it was last written.
    """

    library: Library
    shared_fingerprint: str
    fingerprints: dict[str, str]
    gallery_digest: str = ""

    @classmethod
    def read(cls, library: Library) -> FreshnessCache:
        """Read the fingerprints that `write` stored in this clone; there are none at first."""
        path = _cache_file(library)
        document = read_document(path) if path.is_file() else {}
        return cls(library, _shared_fingerprint(library), document.get("albums", {}), document.get("gallery", ""))

    def write(self, names: Iterable[str]) -> None:
        """Store the fingerprints of these albums in the clone; others are dropped."""
        self.fingerprints = {name: self.fingerprints[name] for name in names if name in self.fingerprints}
        write_json(_cache_file(self.library), {"albums": self.fingerprints, "gallery": self.gallery_digest})

    def is_unchanged(self, name: str) -> bool:
        """Whether no file of the album changed since it was marked as fresh."""
        try:
            return name in self.fingerprints and self.fingerprints[name] == self._fingerprint(name)
        except OSError:
            return False

    def mark_fresh(self, name: str) -> None:
        """Remember the present fingerprint of an album that DVC finds up to date."""
        self.fingerprints[name] = self._fingerprint(name)

    def find_stale(self, names: Iterable[str]) -> Iterator[str]:
        """Yield the albums that DVC does not find up to date; mark the others as fresh."""
        for name in names:
            if self.is_unchanged(name):
                continue
            if self.is_up_to_date(name):
                self.mark_fresh(name)
            else:
                self.fingerprints.pop(name, None)
                yield name

    def is_up_to_date(self, name: str) -> bool:
        """Whether DVC finds the whole album up to date: photos, pipeline and outputs. Slow."""
        if not (self.library.folder(name) / "dvc.lock").is_file():
            return False
        try:
            self.library.prepare(name)
            with self.library.album_state(name) as state:
                return state.all_up_to_date()
        except (RealFillError, DvcException, OSError):
            return False

    def _fingerprint(self, name: str) -> str:
        return digest_json([self.shared_fingerprint, list(_walk(self.library.folder(name)))])


def _cache_file(library: Library) -> Path:
    return library.state_folder / "freshness.json"


def _shared_fingerprint(library: Library) -> str:
    """Fingerprint of what every album depends on: parameters, pipeline and engine."""
    files = [library.root / "params.yaml", library.root / PIPELINE, library.root / ENGINE]
    return digest_json([digest(file) if file.is_file() else None for file in files])


def _walk(folder: Path) -> Iterator[FileAttributes]:
    """Attributes of every file of an album, sorted by path; hidden files of running stages are skipped."""
    with os.scandir(folder) as iterator:
        entries = sorted(iterator, key=lambda entry: entry.name)
    for entry in entries:
        if entry.name.startswith(".") or entry.name in _IGNORED_FILES:
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(Path(entry.path))
        else:
            yield _attributes(entry.path, entry.stat(follow_symlinks=False))


def _attributes(path: str, status: os.stat_result) -> FileAttributes:
    return path, status.st_size, status.st_mtime_ns, status.st_ino
