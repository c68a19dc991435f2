"""Digests of large files, kept between runs: those of a model of 16 GB take half a minute."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path

from realfill.core.atomic_io import write_json
from realfill.core.hashing import digest

SMALLEST = 100_000_000  # bytes; smaller files are read each time


def cached_digest(path: Path) -> str:
    """SHA-256 of a file, 64 hex digits; of a large one, the digest that is kept for its place, size and time."""
    status = path.stat()
    if status.st_size < SMALLEST:
        return digest(path)
    key = f"{path.resolve()}|{status.st_size}|{status.st_mtime_ns}"
    kept = _read()
    if key not in kept:
        kept[key] = digest(path)
        with suppress(OSError):  # a read-only home only costs time
            write_json(_place(), _read() | kept)
    return kept[key]


def _place() -> Path:
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "realfill" / "model_digests.json"


def _read() -> dict[str, str]:
    try:
        values = json.loads(_place().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {str(key): str(value) for key, value in values.items()} if isinstance(values, dict) else {}
