"""The library table: what became of every album, night by night.

A Parquet dataset, data/nights/night=YYYY-MM-DD/<run>.parquet, one row an album, so that any tool that reads Parquet
can ask how scores, times and memory went over the months.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from rich.markup import escape
from rich.table import Table

from realfill import __version__
from realfill.album.layout import Album
from realfill.album.store import read_document
from realfill.core.atomic_io import atomic_write
from realfill.library.repository import Library

OUTCOMES = ("quarantined", "failed", "completed", "unchanged")
_TEXTS = pa.map_(pa.string(), pa.string())
_NUMBERS = pa.map_(pa.string(), pa.float64())
_SCHEMA = pa.schema(
    {
        "album": pa.string(),
        "outcome": pa.string(),
        "error": pa.string(),
        "reason": pa.string(),
        "inputs": pa.string(),
        "photo": pa.string(),
        "digest": pa.string(),
        "scores": _NUMBERS,
        "seconds": _NUMBERS,
        "gpu_seconds": _NUMBERS,
        "gigabytes": pa.float64(),
        "gpu_gigabytes": pa.float64(),
        "worker": pa.string(),
        "began": pa.string(),
        "ended": pa.string(),
        "versions": _TEXTS,
    }
)
_SHOWN = (".score", ".psnr")
_PACKAGES = ("torch", "diffusers", "transformers", "peft", "kornia", "opencv-python-headless", "pillow")


@dataclass(frozen=True)
class Row:
    """What became of one album in one night.

    Attributes:
        album: Its name.
        outcome: "quarantined" (its own fault: not tried again until it changes), "failed" (something around it:
            tried again the next night), "completed" since the table told of it last, or "unchanged".
        error: Type of the error, e.g. "PhotoError"; empty otherwise.
        reason: What went wrong and how to mend it; empty otherwise.
        inputs: Digest of photos, settings, parameters, pipeline and version.
        photo: The finished photo, relative to the album; empty where there is none.
        digest: SHA-256 of the finished photo, hex; empty where there is none.
        scores: Every number in the stages' metrics, as "stage.name".
        seconds: What each stage that ran took.
        gpu_seconds: What each of them held the GPU for; empty on a CPU.
        gigabytes: Peak memory of the process, 10^9 bytes.
        gpu_gigabytes: Peak memory on the GPU, 10^9 bytes.
        worker: Who did it.
        began: When, ISO 8601 in UTC.
        ended: When, ISO 8601 in UTC.
        versions: Of the software.
        night: The night's date, YYYY-MM-DD: the folder the row is in.
    """

    album: str
    outcome: str
    error: str = ""
    reason: str = ""
    inputs: str = ""
    photo: str = ""
    digest: str = ""
    scores: dict[str, float] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    gpu_seconds: dict[str, float] = field(default_factory=dict)
    gigabytes: float = 0.0
    gpu_gigabytes: float = 0.0
    worker: str = ""
    began: str = ""
    ended: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    night: str = ""

    def unchanged(self) -> Row:
        """The row of a night in which nothing was to do."""
        return replace(self, outcome="unchanged", seconds={}, gpu_seconds={}, gigabytes=0.0, gpu_gigabytes=0.0)


def delivered(library: Library, name: str) -> str:
    """SHA-256 of the photo that an album's provenance tells of, hex."""
    return str(read_document(library.folder(name) / "completed" / f"{name}.json")["digest"])


def result(album: Album) -> dict[str, Any]:
    """What the row of a finished album says of its result: photo, digest, scores, versions."""
    document = read_document(album.provenance)
    return {
        "photo": f"completed/{document['photo']}",
        "digest": str(document["digest"]),
        "scores": dict(_scores(album)),
        "versions": {name: str(value) for name, value in document["versions"].items()},
    }


def versions() -> dict[str, str]:
    """Versions of what decides an album's bytes, as they are here."""
    return {"realfill": __version__, **{name: version(name) for name in _PACKAGES}}


def write(library: Library, night: str, run: str, rows: Sequence[Row]) -> Path:
    """Write one run's rows into the night's folder, whole or not at all.

    Args:
        library: The library.
        night: Date of the night, YYYY-MM-DD.
        run: Name of the run, later runs' names being greater; rows of the same run replace each other.
        rows: One row an album.
    """
    values = [asdict(row) for row in rows]
    table = pa.Table.from_pylist([{name: value[name] for name in _SCHEMA.names} for value in values], schema=_SCHEMA)
    data = io.BytesIO()
    pq.write_table(table, data, compression="zstd")
    path = folder(library) / f"night={night}" / f"{run}.parquet"
    atomic_write(path, data.getvalue())
    return path


def folder(library: Library) -> Path:
    """Where the table lies."""
    return library.root / "data" / "nights"


def nights(library: Library) -> list[str]:
    """The dates of all nights, the last first."""
    return sorted((path.name.removeprefix("night=") for path in folder(library).glob("night=*")), reverse=True)


def read(library: Library, night: str, album: str | None = None) -> list[Row]:
    """The rows of a night, run by run; of one album, where it is named."""
    files = sorted((folder(library) / f"night={night}").glob("*.parquet"))
    chosen = None if album is None else ds.field("album") == album
    table = ds.dataset([str(file) for file in files], schema=_SCHEMA).to_table(filter=chosen)
    return [_row(values, night) for values in table.to_pylist()]


def latest(library: Library) -> dict[str, Row]:
    """The last row of every album that is in the library, by name."""
    wanted, found = set(library.albums), dict[str, Row]()
    for night in nights(library):
        found = {row.album: row for row in read(library, night) if row.album in wanted} | found
        if found.keys() == wanted:
            break
    return found


def history(library: Library, album: str) -> list[tuple[Row, list[str]]]:
    """The nights in which something about an album changed, the oldest first, each with what differs, a line each."""
    rows = [row for night in reversed(nights(library)) for row in read(library, night, album)]
    done = [row for row in rows if row.outcome != "unchanged"]
    compared = [(row, changes(before, row)) for before, row in pairwise(done)]
    return [(row, []) for row in done[:1]] + [(row, lines) for row, lines in compared if lines]


def changes(before: Row, after: Row) -> list[str]:
    """What differs between two rows of an album, a line each."""
    lines = []
    for name, text in (("outcome", "outcome"), ("reason", "reason"), ("inputs", "inputs"), ("digest", "photo")):
        old, new = str(getattr(before, name)), str(getattr(after, name))
        if old != new:
            short = 12 if name in ("inputs", "digest") else 200
            lines.append(f"{text}: {old[:short] or 'none'} -> {new[:short] or 'none'}")
    for kind in ("versions", "scores"):
        old_values, new_values = getattr(before, kind), getattr(after, kind)
        for key in sorted(old_values.keys() | new_values.keys()):
            if old_values.get(key) != new_values.get(key):
                lines.append(f"{key}: {_shown(old_values.get(key))} -> {_shown(new_values.get(key))}")
    return lines


def status_table(rows: Iterable[Row]) -> Table:
    """The albums with what became of them, those that need a human first."""
    table = Table("album", "outcome", "night", "time", "scores", "reason")
    for row in in_order(rows):
        shown = {name: value for name, value in row.scores.items() if name.endswith(_SHOWN)}
        scores = ", ".join(f"{name} {_shown(value)}" for name, value in shown.items())
        seconds = sum(row.seconds.values())
        time = f"{seconds:.0f} s" if seconds else ""
        table.add_row(row.album, row.outcome, row.night, time, scores, escape(row.reason))
    return table


def in_order(rows: Iterable[Row]) -> list[Row]:
    """Rows with those first that need a human, then by album."""
    return sorted(rows, key=lambda row: (OUTCOMES.index(row.outcome), row.album))


def _row(values: dict[str, Any], night: str) -> Row:
    maps = {name: dict(values[name]) for name in ("scores", "seconds", "gpu_seconds", "versions")}
    return Row(**values | maps, night=night)


def _scores(album: Album) -> Iterable[tuple[str, float]]:
    for path in sorted((album.out / "work").glob("[!.]*/metrics.json")):
        document = json.loads(path.read_text(encoding="utf-8"))
        values = document.get("result", document)  # that of `evaluate` is nested
        for name, value in sorted(values.items()) if isinstance(values, dict) else ():
            if isinstance(value, int | float) and not isinstance(value, bool):
                yield f"{path.parent.name}.{name}", float(value)


def _shown(value: object) -> str:
    if value is None:
        return "none"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
