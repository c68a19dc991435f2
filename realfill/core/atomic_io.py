"""FIXME DOCSTRING."""

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


def atomic_write(path: Path, data: bytes | str) -> None:
    """Write `data` to `path` so that a reader sees the old file or the whole new one.

    Writes beside, flushes to disk, renames; missing parent folders are made. Nothing is left beside if that fails.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.partial")
    try:
        beside.write_bytes(data.encode() if isinstance(data, str) else data)
        _flush([beside])
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    _flush([path.parent])


def write_json(path: Path, value: Any) -> None:
    """Write a JSON document, indented and with sorted keys, whole or not at all."""
    atomic_write(path, json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n")


@contextmanager
def atomic_directory(folder: Path) -> Iterator[Path]:
    """Yield an empty folder that replaces `folder` when the block ends without an error.

    Whatever `folder` held stays in place until then, and for good if the block raises.
    """
    beside = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    try:
        yield beside
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise
    _flush([*beside.rglob("*"), beside])
    replaced = folder.with_name(f".{folder.name}.replaced")
    shutil.rmtree(replaced, ignore_errors=True)
    if folder.exists():
        folder.rename(replaced)
    beside.rename(folder)
    _flush([folder.parent])
    shutil.rmtree(replaced, ignore_errors=True)


def _flush(paths: Iterable[Path]) -> None:
    for path in paths:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextmanager
def disk_full_as_error(stage: str, folder: Path) -> Iterator[None]:
    """Raise a SpaceError where the disk takes no more of what a stage, or the record of it, writes below a folder."""
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        problem = f"The disk takes no more ({os.strerror(error.errno)}): {stage} could not be written."
        raise SpaceError(problem, "Make room and run again; it goes on with this stage.", folder) from error
