"""Files and folders that appear complete or not at all, also if the process is killed while it writes them.

Each writer fills a hidden sibling (`.<name>.partial`), flushes it to disk and renames it: a rename within one folder
is atomic (POSIX).
"""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from realfill.core.errors import SpaceError

_DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}  # no space, quota exceeded, file size limit exceeded


def atomic_write(path: Path, data: bytes | str) -> None:
    """Write a file so that a reader sees either the previous content or all of the new one.

    Missing parent folders are created. If writing fails, the previous file stays and nothing else is left.

    Args:
        path: The file to write or replace.
        data: Its content; text is encoded as UTF-8.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_bytes(data.encode() if isinstance(data, str) else data)
        _flush_to_disk([partial])
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    _flush_to_disk([path.parent])


def write_json(path: Path, value: Any) -> None:
    """Write a JSON document with `atomic_write`, indented and with sorted keys."""
    atomic_write(path, json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n")


@contextmanager
def atomic_directory(folder: Path) -> Iterator[Path]:
    """Yield an empty folder that replaces `folder` when the block ends without an error.

    Until then `folder` keeps its previous content. If the block raises, `folder` stays as it was.

    Args:
        folder: The folder to create or replace.
    """
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        yield partial
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    _flush_to_disk([*partial.rglob("*"), partial])
    replaced = folder.with_name(f".{folder.name}.replaced")
    shutil.rmtree(replaced, ignore_errors=True)
    if folder.exists():
        folder.rename(replaced)
    partial.rename(folder)
    _flush_to_disk([folder.parent])
    shutil.rmtree(replaced, ignore_errors=True)


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
        raise SpaceError(
            problem, "Free some space and run again; the run continues with this stage.", folder
        ) from error


def _flush_to_disk(paths: Iterable[Path]) -> None:
    """Flush files, or the entries of folders, from the operating system's cache to the disk."""
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
