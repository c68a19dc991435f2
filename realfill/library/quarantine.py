"""Albums that failed by their own fault: kept aside until something about them changes."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from realfill import __version__
from realfill.album.store import read_document
from realfill.core.atomic_io import write_json
from realfill.core.hashing import digest, digest_json
from realfill.library.repository import PIPELINE, Library


@dataclass(frozen=True)
class Note:
    """Why an album is in quarantine.

    Attributes:
        error: Type of the error, e.g. "PhotoError".
        reason: What is wrong and how to mend it.
        log: The last lines that the run told.
        inputs: Digest of photos, settings, parameters, pipeline and version; other inputs are tried again.
        night: When it was last tried, YYYY-MM-DD.
        attempts: How often it was tried.
    """

    error: str
    reason: str
    log: tuple[str, ...]
    inputs: str
    night: str
    attempts: int = 1


def read(library: Library, name: str) -> Note | None:
    """An album's note, if it is in quarantine."""
    path = _path(library, name)
    if not path.is_file():
        return None
    document = read_document(path)
    return Note(**document | {"log": tuple(document["log"])})


def write(library: Library, name: str, note: Note) -> None:
    """Put an album into quarantine."""
    write_json(_path(library, name), asdict(note) | {"log": list(note.log)})


def release(library: Library, name: str) -> None:
    """Take an album out of quarantine."""
    _path(library, name).unlink(missing_ok=True)


def holds(library: Library, name: str) -> bool:
    """Whether an album is in quarantine and is still what it was when it failed."""
    note = read(library, name)
    return note is not None and note.inputs == inputs(library, name)


def inputs(library: Library, name: str) -> str:
    """Digest of what decides whether an album can be completed, hex; its photos as DVC has last recorded them."""
    files = [*library.photos(name), library.folder(name) / "album.yaml", library.root / "params.yaml"]
    files.append(library.root / PIPELINE)
    return digest_json([__version__, [digest(file) if file.is_file() else None for file in files]])


def _path(library: Library, name: str) -> Path:
    return library.folder(name) / "quarantine.json"
