"""The provenance of a finished photo: what it was made from and how."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from realfill.album.layout import Album
from realfill.album.schemas import Candidate, RankedCandidate
from realfill.album.store import (
    read_document,
    read_inputs,
    read_placement_summary,
    read_rows,
    read_warnings,
    read_window,
)
from realfill.album.verdict import judge_authenticity
from realfill.core.errors import StageError
from realfill.core.hashing import digest
from realfill.photo_io.xmp import PARTLY_GENERATED

if TYPE_CHECKING:
    from realfill.core.params import Params


def build_provenance(
    album: Album,
    params: Params,
    photo: Path,
    candidate: int,
    versions: Mapping[str, str],
    source_type: str = PARTLY_GENERATED,
    left_as: str = "",
) -> dict[str, Any]:
    """Build the JSON document that is delivered beside a finished photo.

    It holds no times, no absolute paths and no metadata of the photos, so that the same inputs give the same bytes.

    Args:
        album: An album whose stages up to `blend` have run.
        params: All parameters.
        photo: The encoded photo.
        candidate: Number of the candidate that was blended.
        versions: Versions of this project, Python and the libraries.
        source_type: The digital source type that the photo's metadata declares.
        left_as: What is seen where the hole was left: "as it was", "transparent" or "black"; empty if all was filled.

    Raises:
        StageError: A stage has not run, or the candidate no longer exists.
    """
    row = _read_candidate(album, candidate)
    model = row.model or Path(params.base.model).name
    blended = read_document(album.work("blend") / "blend.json")
    tuning = read_document(album.work("finetune") / "metrics.json")
    values = params.model_dump(mode="json", by_alias=True)
    values["base"]["model"] = model
    del values["delivery"]  # names files of this machine
    return {
        "album": album.name,
        "photo": photo.name,
        "digest": digest(photo),
        "digital_source_type": source_type,
        "generate": params.blend.generate,
        "verdict": asdict(judge_authenticity(blended["authenticity"])),
        "inputs": [
            {"role": row.role, "file": row.file, "digest": row.digest, "verdict": row.verdict}
            for row in read_inputs(album)
        ],
        "warnings": read_warnings(album),
        "hole": asdict(read_window(album)),
        "base_model": {"name": model, "digest": row.model_digest} if row.model else None,
        "adapter_digest": row.adapter_digest,
        "tuning": tuning,
        "candidate": candidate,
        "kind": row.kind,
        "kinds": blended["kinds"],
        "seed": row.seed,
        "geometry": asdict(read_placement_summary(album)),
        "authenticity": blended["authenticity"],
        "left_as": left_as,
        "ranking": [asdict(row) for row in read_rows(album.work("rank") / "ranking.parquet", RankedCandidate)],
        "params": values,
        "versions": dict(versions),
        **({"tuned_with": [other.name for other in album.siblings]} if album.siblings and tuning["steps"] else {}),
    }


def _read_candidate(album: Album, number: int) -> Candidate:
    rows = read_rows(album.work("sample") / "candidates.parquet", Candidate)
    row = next((row for row in rows if row.candidate == number), None)
    if row is None:
        raise StageError("The blended candidate no longer exists.", "Run `realfill blend` again.", album.root)
    return row
