"""Files and folders that appear complete or not at all, also if the process is killed while it writes them.

Each writer fills a hidden sibling (`.<name>.partial`), flushes it to disk and renames it: a rename within one folder
is atomic (POSIX).

A folder that is written here carries a mark, the file `.realfill`, which lists the files in it. Only such a folder is
ever replaced or removed, and only while it holds nothing else: what realfill did not write stays where it is.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from realfill.core.errors import OutputError, SpaceError

MARK = ".realfill"
_MARK_HEADER = "realfill wrote this folder and replaces it as a whole while it holds these files alone:"
_SYSTEM_FILES = {".ds_store", ".directory", "thumbs.db", "desktop.ini"}  # written by file managers, in lower case
_MAX_NAME_BYTES = 255  # NAME_MAX of the common file systems
_DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}  # no space, quota exceeded, file size limit exceeded


def atomic_write(path: Path, data: bytes | str) -> None:
    """Write a file so that a reader sees either the previous content or all of the new one.

    Missing parent folders are created. If writing fails, the previous file stays and nothing else is left.

    Args:
        path: The file to write or replace.
        data: Its content; text is encoded as UTF-8.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = _hidden_sibling(path, "partial")
    partial.unlink(missing_ok=True)  # it may be a link, whose target must not be written
    try:
        partial.write_bytes(data.encode() if isinstance(data, str) else data)
        _flush_to_disk([partial])
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    _flush_to_disk([path.parent])


def encode_json(value: Any) -> bytes:
    """Encode a JSON document, indented and with sorted keys."""
    return (json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()


def write_json(path: Path, value: Any) -> None:
    """Write a JSON document with `atomic_write`, as `encode_json` does."""
    atomic_write(path, encode_json(value))


@contextmanager
def atomic_directory(folder: Path) -> Iterator[Path]:
    """Yield an empty folder that replaces `folder` when the block ends without an error.

    Until then `folder` keeps its previous content. If the block raises, `folder` stays as it was. The new folder
    carries the mark.

    Args:
        folder: The folder to create or replace.

    Raises:
        OutputError: There is something in its place that realfill did not write.
    """
    require_replaceable(folder)
    replaced = _hidden_sibling(folder, "replaced")
    with _partial_folder(folder) as partial:
        yield partial
        _write_mark(partial)
        _flush_to_disk([*partial.rglob("*"), partial])
        require_replaceable(folder)
        remove_folder(replaced)
    if folder.exists():
        folder.rename(replaced)
    partial.rename(folder)
    _flush_to_disk([folder.parent])
    with suppress(OSError):
        remove_folder(replaced)


@contextmanager
def new_directory(folder: Path) -> Iterator[Path]:
    """Yield an empty folder that appears as `folder` when the block ends without an error.

    From then on it belongs to the user: it carries no mark, and is never replaced.

    Args:
        folder: The folder to create.

    Raises:
        OutputError: There is something of that name.
    """
    _require_absent(folder)
    with _partial_folder(folder) as partial:
        yield partial
        _flush_to_disk([*partial.rglob("*"), partial])
        _require_absent(folder)
    partial.rename(folder)
    (folder / MARK).unlink()
    _flush_to_disk([folder, folder.parent])


def require_replaceable(folder: Path) -> None:
    """Check that realfill itself wrote whatever is in the place of a folder, so that it may be replaced.

    Raises:
        OutputError: It is a link or a file, or it holds files that its mark does not list.
    """
    remedy = "Move it away, or choose another place for the results with --out."
    if folder.is_symlink():
        raise OutputError("A folder of results cannot be a symbolic link.", remedy, folder)
    if not folder.exists():
        return
    if not folder.is_dir():
        raise OutputError("There is a file in the place of a folder of results.", remedy, folder)
    listed = _read_mark(folder)
    names = sorted(path.relative_to(folder).as_posix() for path in _files(folder))
    foreign = [name for name in names if name not in listed]
    if foreign:
        more = f" and {len(foreign) - 1} more" if len(foreign) > 1 else ""
        problem = f"The folder holds files that realfill did not write, and is not replaced: {foreign[0]}{more}."
        raise OutputError(problem, remedy, folder)


def adopt_folder(folder: Path) -> None:
    """Give the mark to a folder of an earlier version, which wrote none, where a record proves that it is ours."""
    if folder.is_dir() and not folder.is_symlink() and not (folder / MARK).is_file():
        _write_mark(folder)


def is_own_folder(folder: Path) -> bool:
    """Whether a folder carries the mark, or is empty."""
    if folder.is_symlink() or not folder.is_dir():
        return False
    return (folder / MARK).is_file() or not any(folder.iterdir())


def remove_folder(folder: Path) -> None:
    """Remove a folder that carries the mark, or is empty; nothing happens if it does not exist.

    The mark goes last, so that a removal that was interrupted can be continued.

    Raises:
        OutputError: It does not carry the mark.
    """
    if not os.path.lexists(folder):
        return
    if not is_own_folder(folder):
        raise OutputError("realfill did not write this folder and does not remove it.", "Move it away.", folder)
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.name != MARK:
            path.unlink()
    (folder / MARK).unlink(missing_ok=True)
    folder.rmdir()


@contextmanager
def disk_full_as_error(stage: str, folder: Path) -> Iterator[None]:
    """Turn an `OSError` that means a full disk into a `SpaceError`; other errors pass.

    Args:
        stage: Name of the stage whose files are written in the block.
        folder: The folder that the error names.

    Raises:
        SpaceError: The disk is full, a quota is used up, or a file exceeds the largest size allowed.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _DISK_FULL:
            raise
        problem = f"The disk is full ({os.strerror(error.errno)}): {stage} could not be written."
        raise SpaceError(problem, "Free some space and run again; what was completed stays.", folder) from error


@contextmanager
def _partial_folder(folder: Path) -> Iterator[Path]:
    """Yield an empty folder beside `folder`, which carries the mark; it is removed if the block raises."""
    partial = _hidden_sibling(folder, "partial")
    remove_folder(partial)
    partial.mkdir(parents=True)
    (partial / MARK).touch()
    try:
        yield partial
    except BaseException:
        with suppress(OSError):
            remove_folder(partial)
        raise


def _require_absent(folder: Path) -> None:
    if os.path.lexists(folder):
        raise OutputError("It exists already.", "Choose another name, or move it away.", folder)


def _hidden_sibling(path: Path, purpose: str) -> Path:
    """The path of a hidden file or folder beside another; a name that would be too long becomes its digest."""
    name = f".{path.name}.{purpose}"
    if len(os.fsencode(name)) > _MAX_NAME_BYTES:
        name = f".{hashlib.sha256(os.fsencode(path.name)).hexdigest()[:32]}.{purpose}"
    return path.with_name(name)


def _files(folder: Path) -> Iterator[Path]:
    """The files, links and empty folders in a folder, except the mark and what file managers write by themselves."""
    for path in folder.rglob("*"):
        ignored = path.name.lower() in _SYSTEM_FILES or path == folder / MARK
        if not ignored and (path.is_symlink() or not path.is_dir() or not any(path.iterdir())):
            yield path


def _write_mark(folder: Path) -> None:
    names = sorted(path.relative_to(folder).as_posix() for path in _files(folder))
    (folder / MARK).write_text("\n".join([_MARK_HEADER, *names, ""]), encoding="utf-8")


def _read_mark(folder: Path) -> set[str]:
    """The names that a folder's mark lists; empty without a mark."""
    mark = folder / MARK
    return set(mark.read_text(encoding="utf-8", errors="replace").split("\n")[1:]) if mark.is_file() else set()


def _flush_to_disk(paths: Iterable[Path]) -> None:
    """Flush files, or the entries of folders, from the operating system's cache to the disk."""
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
