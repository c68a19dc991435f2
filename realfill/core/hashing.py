"""SHA-256 digests of files, folders and JSON values."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any


def digest(path: Path) -> str:
    """Digest a file or a folder.

    Args:
        path: A file, of which the bytes count, or a folder, of which the relative names and the bytes of all files
            count. Empty folders, times and permissions do not count.

    Returns:
        SHA-256, 64 hex digits.
    """
    if path.is_dir():
        names = sorted(file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file())
        return digest_json([[name, digest(path / name)] for name in names])
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_bytes(data: bytes) -> str:
    """Digest bytes; SHA-256, 64 hex digits."""
    return hashlib.sha256(data).hexdigest()


def digest_json(value: Any) -> str:
    """Digest a JSON-serializable value, independently of the order of its keys.

    Returns:
        SHA-256, 64 hex digits.
    """
    return digest_bytes(json.dumps(value, sort_keys=True).encode())
