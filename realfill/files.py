"""Files that appear whole or not at all, and digests of their contents."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def digest(path: Path) -> str:
    """SHA-256 of a file's bytes, or of a folder's relative names and files, as hex."""
    if path.is_dir():
        names = sorted(p.relative_to(path).as_posix() for p in path.rglob("*") if p.is_file())
        return digest_json([[name, digest(path / name)] for name in names])
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_json(value: Any) -> str:
    """SHA-256 of a JSON-serialisable value, independent of key order, as hex."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def write_whole(path: Path, data: bytes | str) -> None:
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
    write_whole(path, json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n")


@contextmanager
def publishing(folder: Path) -> Iterator[Path]:
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
