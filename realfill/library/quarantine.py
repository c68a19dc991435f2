"""Quarantine: albums that failed by their own fault are not tried again until something about them changes."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from realfill.album.store import read_document
from realfill.core.atomic_io import write_json
from realfill.core.hashing import digest, digest_json
from realfill.library.engine import engine_digest
from realfill.library.repository import PIPELINE, Library

FILE_NAME = "quarantine.json"


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
    """The note of an album; None if it is not in quarantine."""
    path = _note_file(library, name)
    if not path.is_file():
        return None
    document = read_document(path)
    return Note(**document | {"log": tuple(document["log"])})


def write_note(library: Library, name: str, note: Note) -> None:
    """Put an album into quarantine."""
    write_json(_note_file(library, name), asdict(note) | {"log": list(note.log)})


def release(library: Library, name: str) -> None:
    """Take an album out of quarantine."""
    _note_file(library, name).unlink(missing_ok=True)


def is_quarantined(library: Library, name: str) -> bool:
    """Whether an album is in quarantine and its inputs are those with which it failed."""
    note = read_note(library, name)
    return note is not None and note.inputs == inputs_digest(library, name)


def inputs_digest(library: Library, name: str) -> str:
    """Digest of all that decides whether an album can be completed.

    These are the photos as last committed to DVC, the settings, the parameters, the pipeline and the code.

    Returns:
        64 hex digits.
    """
    files = [*library.dvc_files(name), library.folder(name) / "album.yaml", library.root / "params.yaml"]
    files.append(library.root / PIPELINE)
    return digest_json([engine_digest(), [digest(file) if file.is_file() else None for file in files]])


def _note_file(library: Library, name: str) -> Path:
    return library.folder(name) / FILE_NAME
