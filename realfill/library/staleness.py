"""Which albums need work, without asking DVC about those that nobody touched.

DVC takes a quarter of a second to find an album up to date, a thousand times a night. When it has, the album is
sealed: sizes and times of its files, and of all else it depends on, are written down. As long as they are the same
the album is as DVC found it. The same sizes and times are what DVC itself trusts in not reading a file again.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from realfill import __version__
from realfill.album.store import read_document
from realfill.core.atomic_io import write_json
from realfill.core.errors import RealFillError
from realfill.core.hashing import digest, digest_json
from realfill.library.repository import PIPELINE, Library

_NOT_WATCHED = ("quarantine.json",)


@dataclass
class Seals:
    """The seals of a clone's albums.

    Attributes:
        library: The clone.
        common: Fingerprint of what every album depends on.
        seals: Fingerprint of each album when DVC last found it up to date, by name.
        gallery: Digest of what the gallery showed when it was last written.
    """

    library: Library
    common: str
    seals: dict[str, str]
    gallery: str = ""

    @classmethod
    def of(cls, library: Library) -> Seals:
        """Read a clone's seals."""
        path = _path(library)
        known = read_document(path) if path.is_file() else {}
        return cls(library, _common(library), known.get("albums", {}), known.get("gallery", ""))

    def holds(self, name: str) -> bool:
        """Whether nothing of the album changed since it was sealed."""
        return name in self.seals and self.seals[name] == self._fingerprint(name)

    def seal(self, name: str) -> None:
        """Seal an album that DVC finds up to date now."""
        self.seals[name] = self._fingerprint(name)

    def write(self, names: Iterable[str]) -> None:
        """Keep the seals of these albums for the next time."""
        self.seals = {name: self.seals[name] for name in names if name in self.seals}
        write_json(_path(self.library), {"albums": self.seals, "gallery": self.gallery})

    def stale(self, names: Iterable[str]) -> Iterator[str]:
        """Go through albums, sealing those that DVC finds up to date, and give the others."""
        for name in names:
            if not self.holds(name):
                if self.is_current(name):
                    self.seal(name)
                else:
                    self.seals.pop(name, None)
                    yield name

    def is_current(self, name: str) -> bool:
        """Whether DVC finds all of an album up to date: photos, pipeline and outputs."""
        if not (self.library.folder(name) / "dvc.lock").is_file():
            return False
        try:
            with self.library.tracked(name) as known:
                return all(known.is_current(file, stage) for file, stage in known.stages)
        except RealFillError:
            return False

    def _fingerprint(self, name: str) -> str:
        return digest_json([self.common, list(_stats(self.library.folder(name)))])


def _path(library: Library) -> Path:
    return library.root / ".dvc" / "tmp" / "realfill" / "seals.json"


def _common(library: Library) -> str:
    texts = [digest(library.root / "params.yaml"), digest(library.root / PIPELINE)]
    weights = sorted(path for path in library.root.glob("models/pocket/*/*") if path.is_file())
    return digest_json([__version__, texts, [_stat(str(file), file.stat()) for file in weights]])


def _stats(folder: Path) -> Iterator[tuple[str, int, int, int]]:
    """Name, size, time and number of every file of an album; not of what its runs keep beside their outputs."""
    with os.scandir(folder) as entries:
        found = sorted(entries, key=lambda entry: entry.name)
    for entry in found:
        if entry.name.startswith(".") or entry.name in _NOT_WATCHED:
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _stats(Path(entry.path))
        else:
            yield _stat(entry.path, entry.stat())


def _stat(path: str, status: os.stat_result) -> tuple[str, int, int, int]:
    return path, status.st_size, status.st_mtime_ns, status.st_ino
