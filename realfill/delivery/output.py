"""Where a delivery goes: a folder or a zip archive, which appears whole or not at all, and replaces nothing."""

from __future__ import annotations

import fcntl
import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

from realfill.core.atomic_io import disk_full_as_error, new_directory
from realfill.core.errors import OutputError

_COMPRESSED = (".jpg", ".png", ".webp", ".heic", ".pdf")  # by their own format


class Output(Protocol):
    """What takes the files of a delivery."""

    def write(self, name: str, data: bytes) -> None:
        """Write a file; nothing of that name has been written before."""


@contextmanager
def new_output(path: Path) -> Iterator[Output]:
    """Yield what takes the files; they appear when the block ends without an error.

    Deliveries into one folder wait for each other.

    Args:
        path: A zip archive if it ends in `.zip`, else a folder; it must not exist.

    Raises:
        OutputError: There is something of that name.
        SpaceError: The disk is full.
    """
    path = path.absolute()
    path.parent.mkdir(parents=True, exist_ok=True)
    with disk_full_as_error("the delivery", path), _locked(path.parent):
        if path.suffix.lower() == ".zip":
            with _new_archive(path) as archive:
                yield archive
        else:
            with new_directory(path) as folder:
                yield _Folder(folder)


class _Folder:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, name: str, data: bytes) -> None:
        with (self._folder / name).open("xb") as file:
            file.write(data)


class _Archive:
    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive

    def write(self, name: str, data: bytes) -> None:
        is_compressed = name.lower().endswith(_COMPRESSED)
        self._archive.writestr(name, data, zipfile.ZIP_STORED if is_compressed else zipfile.ZIP_DEFLATED)


@contextmanager
def _new_archive(path: Path) -> Iterator[_Archive]:
    _require_absent(path)
    partial = path.with_name(f".{path.name}.partial")
    partial.unlink(missing_ok=True)
    try:
        with partial.open("xb") as file:
            with zipfile.ZipFile(file, "w") as archive:
                yield _Archive(archive)
            file.flush()
            os.fsync(file.fileno())
        _publish(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def _publish(partial: Path, path: Path) -> None:
    """Give a file its name, unless something has it."""
    try:
        os.link(partial, path)
    except FileExistsError:
        _require_absent(path)
    except OSError:  # no hard links on this file system, e.g. exFAT
        _require_absent(path)
        partial.rename(path)


def _require_absent(path: Path) -> None:
    if os.path.lexists(path):
        raise OutputError("It exists already.", "Choose another name, or move it away.", path)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold a folder's lock inside the block; the operating system releases it if the process dies."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # file systems without locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
