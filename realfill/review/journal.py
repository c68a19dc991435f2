"""The journal of decisions: an append-only file of JSON lines, each of which is on the disk before it is answered.

It lies beside the albums: `data/.review/journal.jsonl` of a library, else `.review/journal.jsonl` of the folder that
is reviewed. Several processes may append to it. A line that a crash cut off is left out when the journal is read.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from realfill.core.errors import DecisionError, LibraryError, OutputError, TransientError
from realfill.library.repository import Library
from realfill.review.decisions import Decision, Entry, fold, latest_choice

logger = logging.getLogger(__name__)

_FOLDER = ".review"


class Journal:
    """The journal of a folder; it need not exist yet.

    Args:
        folder: A library or a folder in it, a folder of albums, or an album.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = journal_folder(folder)
        self.path = self.folder / "journal.jsonl"
        self._entries: list[Entry] = []
        self._ids: set[str] = set()
        self._offset, self._inode = 0, 0
        self._folded: tuple[int, dict[str, Decision]] | None = None
        self._mutex = threading.RLock()

    def read(self) -> list[Entry]:
        """All entries, in their order; only what was appended since the last call is read from the disk.

        Raises:
            TransientError: The file cannot be read.
        """
        with self._mutex, _describe_errors(self.path):
            inode, size = self._stat()
            if inode != self._inode or size < self._offset:  # replaced, e.g. by git
                self._entries, self._ids, self._offset, self._folded = [], set(), 0, None
                self._inode = inode
            data = b""
            if size > self._offset:
                with self.path.open("rb") as file:
                    file.seek(self._offset)
                    data = file.read()
            complete = data[: data.rfind(b"\n") + 1]
            self._offset += len(complete)
            for line in complete.splitlines():
                self._take(line)
            return list(self._entries)

    def decisions(self) -> dict[str, Decision]:
        """The current decision about each album that the journal names, by its name."""
        with self._mutex:
            entries = self.read()
            if self._folded is None or self._folded[0] != len(entries):
                self._folded = len(entries), fold(entries)
            return self._folded[1]

    def has(self, entry_id: str) -> bool:
        """Whether there is an entry of this id."""
        with self._mutex:
            self.read()
            return entry_id in self._ids

    def append(
        self, album: str, subject: str, value: Any, entry_id: str | None = None, after: str | None = None
    ) -> Entry:
        """Append an entry, and return when it is on the disk.

        Args:
            album: Name of the album.
            subject: A `Subject`.
            value: Its value as JSON types.
            entry_id: 32 hex digits; nothing is appended if the journal has an entry of this id. None makes one.
            after: The `latest_choice` about the album that the one who decides has seen; None for any.

        Raises:
            ValueError: The value is not one of the subject.
            DecisionError: Somebody else chose for the album meanwhile.
            OutputError: The journal or its folder is a symbolic link.
            TransientError: The file cannot be written.
        """
        document = {"id": entry_id or uuid.uuid4().hex, "time": _now(), "album": album, "subject": subject}
        entry = Entry.parse(document | {"value": value})
        with self._mutex, self._locked() as descriptor:
            self.read()
            if entry.id not in self._ids:
                if after not in (None, latest_choice(self._entries, album)):
                    raise DecisionError(
                        "Another choice was made for this photo meanwhile, in another window or by somebody else.",
                        "Look at it, and decide again.",
                    )
                _append_line(descriptor, json.dumps(entry.to_json(), ensure_ascii=False).encode() + b"\n")
                self.read()
            return entry

    @contextmanager
    def _locked(self) -> Iterator[int]:
        """Open the file for appending, and keep other processes from it inside the block; yields the descriptor."""
        for path in (self.folder, self.path):
            if path.is_symlink():
                raise OutputError("Decisions are not written through a symbolic link.", "Replace it.", path)
        with _describe_errors(self.path):
            self.folder.mkdir(exist_ok=True)
            is_new = not self.path.exists()
            descriptor = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o644)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                yield descriptor
                if is_new:
                    _flush_folder(self.folder)
            finally:
                os.close(descriptor)

    def _stat(self) -> tuple[int, int]:
        """Inode and size of the file; 0 and 0 without one."""
        if not self.path.exists():
            return 0, 0
        stat = self.path.stat()
        return stat.st_ino, stat.st_size

    def _take(self, line: bytes) -> None:
        if not line.strip():
            return
        try:
            entry = Entry.parse(json.loads(line))
        except (ValueError, RecursionError):
            logger.warning("%s: a line is damaged and left out: %s", self.path, line[:80])
            return
        if entry.id not in self._ids:
            self._ids.add(entry.id)
            self._entries.append(entry)


def load_decisions(folder: Path) -> dict[str, Decision]:
    """Read what has been decided about the albums of a folder.

    Args:
        folder: A library or a folder in it, a folder of albums, or an album.

    Returns:
        The decision about each album that the journal names, by its name; empty without a journal.

    Raises:
        LibraryError: There is no such folder.
        TransientError: The journal cannot be read.
    """
    return Journal(folder).decisions()


def journal_folder(folder: Path) -> Path:
    """The folder of the journal: beside the albums of a library, else in the folder itself.

    Raises:
        LibraryError: There is no such folder.
    """
    if not folder.is_dir():
        raise LibraryError("There is no such folder.", "Give a library, a folder of albums, or an album.", folder)
    library = Library.enclosing(folder)
    return (library.albums_folder.parent if library else folder.resolve()) / _FOLDER


def _append_line(descriptor: int, line: bytes) -> None:
    """Append a line and flush it to the disk; what a crash left without an end is ended before."""
    size = os.fstat(descriptor).st_size
    is_torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
    rest = memoryview(b"\n" + line if is_torn else line)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
    os.fsync(descriptor)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _describe_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        problem = f"The journal of decisions cannot be read or written ({error.strerror or error})."
        raise TransientError(problem, "Check its permissions and its disk, then run again.", path) from error
