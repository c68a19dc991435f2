"""The history of runs: what became of every album, night by night.

It is a Parquet dataset, data/nights/night=YYYY-MM-DD/<run>.parquet, with one row per album, so that any tool that
reads Parquet can plot scores, times and memory over the months.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from realfill import __version__
from realfill.album.layout import Album, target_name
from realfill.album.several_targets import album_around, member_folders
from realfill.album.store import arrow_schema, find_provenance, read_document
from realfill.album.verdict import read_verdict
from realfill.core.atomic_io import atomic_write
from realfill.core.fingerprint import library_versions
from realfill.core.hashing import digest_json
from realfill.library.engine import engine_digest
from realfill.library.repository import Library

OUTCOMES = ("quarantined", "failed", "completed", "unchanged")  # those that need a person first


@dataclass(frozen=True)
class HistoryRow:
    """What became of one album in one night.

    Attributes:
        album: Name of the album.
        outcome: "quarantined" (the album's own fault: not tried again until it changes), "failed" (the fault of
            something else: tried again the next night), "completed" since the last row of the album, or "unchanged".
        error: Type of the error, e.g. "PhotoError"; empty if there was none.
        reason: What went wrong and how to fix it; empty if nothing did.
        inputs: `quarantine.inputs_digest` of the album.
        photo: Path of the finished photo, relative to the album; empty without one.
        digest: SHA-256 of the finished photo, hex; empty without one.
        verdict: How far the fill can be believed, a level of `album.verdict`; empty without a photo.
        warnings: What the photos and the hole gave reason to warn of; empty without a photo.
        scores: Every number in the metrics of the stages, by "stage.name".
        seconds: Duration of each stage that ran.
        gpu_seconds: Time that each stage held the GPU; empty on a CPU.
        gigabytes: Peak memory of the process, 10^9 bytes.
        gpu_gigabytes: Peak memory on the GPU, 10^9 bytes.
        worker: Name of the worker.
        began: Start time, ISO 8601 in UTC.
        ended: End time, ISO 8601 in UTC.
        versions: Version of each software package, and "engine": digest of the code of all stages.
        night: Date of the night, YYYY-MM-DD. It is the folder's name, not a column of the file.
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
    verdict: str = ""
    warnings: list[str] = field(default_factory=list)
    night: str = ""

    def as_unchanged(self) -> HistoryRow:
        """This row for a later night in which the album needed no work."""
        return replace(self, outcome="unchanged", seconds={}, gpu_seconds={}, gigabytes=0.0, gpu_gigabytes=0.0)


_FIELDS = arrow_schema(HistoryRow)
_SCHEMA = _FIELDS.remove(_FIELDS.get_field_index("night"))  # of the files


def read_photo_digest(library: Library, name: str) -> str:
    """SHA-256 of an album's finished photo as its provenance states it, hex; of several, that of all of them."""
    folders = member_folders(library.folder(name))
    documents = [folder / "completed" / f"{target_name(folder, album_around(folder))}.json" for folder in folders]
    return _join_digests([str(read_document(document)["digest"]) for document in documents])


def summarize_result(album: Album) -> dict[str, Any]:
    """The fields of a `HistoryRow` that describe a finished album: photo, digest, verdict and so on."""
    provenance = read_document(find_provenance(album))
    return {
        "photo": f"completed/{provenance['photo']}",
        "digest": str(provenance["digest"]),
        "verdict": read_verdict(provenance).level,
        "warnings": list(provenance.get("warnings", ())),
        "scores": dict(_read_scores(album)),
        "versions": {name: str(value) for name, value in provenance["versions"].items()},
    }


def summarize_results(albums: Sequence[Album]) -> dict[str, Any]:
    """The fields of a `HistoryRow` that describe a finished album with all its targets.

    Of several, the verdict is that on the least authentic photo, and warnings and scores name their target.
    """
    if len(albums) == 1 and albums[0].around is None:
        return summarize_result(albums[0])
    results = {album.root.name: summarize_result(album) for album in albums}
    authenticity = {album.root.name: _read_authenticity(album) for album in albums}
    return {
        "photo": ", ".join(f"targets/{name}/{result['photo']}" for name, result in results.items()),
        "digest": _join_digests([result["digest"] for result in results.values()]),
        "verdict": results[min(authenticity, key=authenticity.__getitem__)]["verdict"],
        "warnings": [f"{name}: {warning}" for name, result in results.items() for warning in result["warnings"]],
        "scores": {
            f"{name}.{key}": score for name, result in results.items() for key, score in result["scores"].items()
        },
        "versions": next(iter(results.values()))["versions"],
    }


def _read_authenticity(album: Album) -> float:
    """The score of authenticity of a finished photo, 0 to 1; 0 where its provenance has none."""
    return float(read_document(find_provenance(album)).get("authenticity", {}).get("score", 0.0))


def _join_digests(digests: Sequence[str]) -> str:
    return digests[0] if len(digests) == 1 else digest_json(digests)


def software_versions() -> dict[str, str]:
    """Versions of this project and of the libraries that decide pixels, and a digest of the engine."""
    return {"realfill": __version__, "engine": engine_digest()[:16], **library_versions()}


def write_rows(library: Library, night: str, run: str, rows: Sequence[HistoryRow]) -> Path:
    """Write the rows of one run into the folder of its night, atomically.

    Args:
        library: The library.
        night: Date of the night, YYYY-MM-DD.
        run: Name of the run. Later runs of a night have greater names; a run of the same name is replaced.
        rows: One row per album.

    Returns:
        The file.
    """
    table = pa.Table.from_pylist([asdict(row) for row in rows], schema=_SCHEMA)
    data = io.BytesIO()
    pq.write_table(table, data, compression="zstd")
    path = history_folder(library) / f"night={night}" / f"{run}.parquet"
    atomic_write(path, data.getvalue())
    return path


def history_folder(library: Library) -> Path:
    """The folder of the dataset."""
    return library.root / "data" / "nights"


def list_nights(library: Library) -> list[str]:
    """The dates of all nights, latest first."""
    folders = history_folder(library).glob("night=*")
    return sorted((path.name.removeprefix("night=") for path in folders), reverse=True)


def read_night(library: Library, night: str, album: str | None = None) -> list[HistoryRow]:
    """The rows of a night in the order of its runs, of all albums or of one."""
    files = sorted((history_folder(library) / f"night={night}").glob("*.parquet"))
    condition = None if album is None else ds.field("album") == album
    table = ds.dataset([str(file) for file in files], schema=_SCHEMA).to_table(filter=condition)
    return [_make_row(values, night) for values in table.to_pylist()]


def latest_rows(library: Library) -> dict[str, HistoryRow]:
    """The latest row of every album that is in the library, by name."""
    names, latest = set(library.album_names), dict[str, HistoryRow]()
    for night in list_nights(library):
        latest = {row.album: row for row in read_night(library, night) if row.album in names} | latest
        if latest.keys() == names:
            break
    return latest


def album_history(library: Library, album: str) -> list[tuple[HistoryRow, list[str]]]:
    """The rows in which something about an album changed, oldest first, each with its changes, one per line."""
    rows = [row for night in reversed(list_nights(library)) for row in read_night(library, night, album)]
    worked = [row for row in rows if row.outcome != "unchanged"]
    compared = [(row, describe_changes(before, row)) for before, row in pairwise(worked)]
    first = [(row, [f"reason: {row.reason}"] if row.reason else []) for row in worked[:1]]
    return first + [(row, lines) for row, lines in compared if lines]


def describe_changes(before: HistoryRow, after: HistoryRow) -> list[str]:
    """The differences between two rows of an album, one per line."""
    lines = []
    for name, label, length in (
        ("outcome", "outcome", 200),
        ("reason", "reason", 200),
        ("inputs", "inputs", 12),
        ("digest", "photo", 12),
        ("verdict", "verdict", 200),
    ):
        old, new = str(getattr(before, name)), str(getattr(after, name))
        if old != new:
            lines.append(f"{label}: {old[:length] or 'none'} -> {new[:length] or 'none'}")
    for name in ("versions", "scores"):
        old_values, new_values = getattr(before, name), getattr(after, name)
        for key in sorted(old_values.keys() | new_values.keys()):
            if old_values.get(key) != new_values.get(key):
                lines.append(f"{key}: {format_value(old_values.get(key))} -> {format_value(new_values.get(key))}")
    return lines


def format_value(value: object) -> str:
    """A version or score as text, numbers with 4 significant digits."""
    if value is None:
        return "none"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _make_row(values: dict[str, Any], night: str) -> HistoryRow:
    maps = {name: dict(values[name]) for name in ("scores", "seconds", "gpu_seconds", "versions")}
    columns = {name: value for name, value in values.items() if value is not None}  # a file may be older than one
    return HistoryRow(**columns | maps, night=night)


def _read_scores(album: Album) -> Iterator[tuple[str, float]]:
    """Every number in the metrics of the album's stages, with its name."""
    for path in sorted((album.out / "work").glob("[!.]*/metrics.json")):
        document = json.loads(path.read_text(encoding="utf-8"))
        values = document.get("result", document)  # `evaluate` nests its scores
        for name, value in sorted(values.items()) if isinstance(values, dict) else ():
            if isinstance(value, int | float) and not isinstance(value, bool):
                yield f"{path.parent.name}.{name}", float(value)
