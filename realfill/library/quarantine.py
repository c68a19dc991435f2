"""Quarantine: albums that failed by their own fault are not tried again until something about them changes.

The class of the error decides whose fault it is (`OWN_FAULTS`). Everything else, a disk, a remote, a lock, missing
weights, photos that are not here, a killed process, or an error that nobody foresaw, says nothing about the album: it
has "failed", and the next night tries it again.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from realfill.album.store import read_document
from realfill.core.atomic_io import write_json
from realfill.core.errors import AlbumError, ExportError, MaskError, ParamsError, PhotoError, RealFillError
from realfill.core.hashing import digest, digest_json
from realfill.library.engine import engine_digest
from realfill.library.repository import PIPELINE, Library

FILE_NAME = "quarantine.json"
OWN_FAULTS = (AlbumError, ExportError, MaskError, ParamsError, PhotoError)  # mended by another `inputs_digest`


@dataclass(frozen=True)
class Note:
    """Why an album is in quarantine.

    Attributes:
        error: Type of the error, e.g. "PhotoError".
        reason: What is wrong and how to fix it.
        log: The last lines of the run's log.
        inputs: `inputs_digest` of the album when it failed.
        night: Date of the last attempt, YYYY-MM-DD.
        attempts: Number of attempts with these inputs.
    """

    error: str
    reason: str
    log: tuple[str, ...]
    inputs: str
    night: str
    attempts: int = 1


def read_note(library: Library, name: str) -> Note | None:
    """The note of an album; None if there is none that can be read."""
    path = _note_file(library, name)
    if not path.is_file():
        return None
    try:
        document = read_document(path)
        return Note(**document | {"log": tuple(document["log"])})
    except (RealFillError, OSError, ValueError, TypeError, KeyError):
        return None


def write_note(library: Library, name: str, note: Note) -> None:
    """Put an album into quarantine."""
    write_json(_note_file(library, name), asdict(note) | {"log": list(note.log)})


def release(library: Library, name: str) -> None:
    """Take an album out of quarantine."""
    _note_file(library, name).unlink(missing_ok=True)


def is_own_fault(error: Exception) -> bool:
    """Whether an album failed by its own fault, and not by that of something around it."""
    return isinstance(error, OWN_FAULTS)


def is_quarantined(library: Library, name: str) -> bool:
    """Whether an album failed by its own fault and its inputs are still those with which it failed."""
    note = read_note(library, name)
    if note is None or note.error not in {fault.__name__ for fault in OWN_FAULTS}:
        return False
    return note.inputs == inputs_digest(library, name)


def inputs_digest(library: Library, name: str) -> str:
    """Digest of all that decides whether an album can be completed.

    These are the photos as last committed to DVC, the settings, the parameters, the pipeline and the code.

    Returns:
        64 hex digits.
    """
    files = [*library.dvc_files(name), *library.settings_files(name), library.root / "params.yaml"]
    files.append(library.root / PIPELINE)
    return digest_json([engine_digest(), [_digest_or_none(file) for file in files]])


def _digest_or_none(file: Path) -> str | None:
    """Digest of a file; None if there is none that can be read."""
    try:
        return digest(file) if file.is_file() else None
    except OSError:
        return None


def _note_file(library: Library, name: str) -> Path:
    return library.folder(name) / FILE_NAME
