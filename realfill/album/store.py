"""The files that pass between stages, with their schemas.

=========  =================================================================================================
stage      writes into `work/<stage>/`
=========  =================================================================================================
validate   inputs.parquet: one `Input` a photo
masks      canvas.png (8-bit sRGB, native size, extended where outpainted), mask.png (0 or 255, 255 = fill,
           same size), window.json: `Window`
align      placed.json: `Placed`; where anything was placed also proposal.png (8-bit sRGB, the box at native size)
           and confidence.png (same size; 0 = nothing is proposed, 1 to 255 = how far it is to be believed)
finetune   unet/ and text_encoder/ (LoRA adapters in PEFT's layout), loss.csv (step, loss, lr), metrics.json
sample     candidates.parquet: one `Candidate` a row, and its picture 000.png, 001.png, ... (8-bit sRGB, the
           window at the base model's resolution)
rank       ranking.parquet: one `Ranked` a candidate, best first; verified.parquet: one `Verified` a match;
           matches.png; metrics.json
blend      composite.tif (the whole photo in the target's own colour space and depth), blend.json, authenticity.png
           (8-bit, the canvas: 0 outside the hole, 255 = reference pixel, 170 = generated and confirmed by matches,
           85 = generated only)
export     `completed/`: the photo, its provenance <album>.json, and its page
=========  =================================================================================================
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

import pyarrow as pa
import pyarrow.parquet as pq

from realfill.album.layout import Album
from realfill.album.schemas import Input, Placed, Window
from realfill.core.errors import AlbumError, StageError

Row = TypeVar("Row")
_ARROW = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}


def write_rows(path: Path, kind: type[Row], rows: Sequence[Row]) -> None:
    """Write dataclass rows as Parquet; the columns are the dataclass's fields, in their order."""
    hints = get_type_hints(kind)
    schema = pa.schema([(field.name, _ARROW[hints[field.name]]) for field in fields(kind)])  # type: ignore[arg-type]
    pq.write_table(pa.Table.from_pylist([asdict(row) for row in rows], schema=schema), path)  # type: ignore[call-overload]


def read_rows(path: Path, kind: type[Row]) -> list[Row]:
    """Read what `write_rows` wrote.

    Raises:
        StageError: The file is not there: the stage that writes it has not run.
    """
    _require(path)
    return [kind(**row) for row in pq.read_table(path).to_pylist()]


def read_document(path: Path) -> dict[str, Any]:
    """Read a JSON object that a stage wrote.

    Raises:
        StageError: The file is not there: the stage that writes it has not run.
    """
    _require(path)
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return document


def finished_photo(album: Album) -> Path:
    """The photo that `export` wrote.

    Raises:
        StageError: `export` has not run.
    """
    return album.completed / str(read_document(album.provenance)["photo"])


def read_inputs(album: Album) -> list[Input]:
    """The photos that `validate` looked at.

    Raises:
        StageError: `validate` has not run.
    """
    return read_rows(album.work("validate") / "inputs.parquet", Input)


def accepted_references(album: Album) -> list[Path]:
    """The references that `validate` accepted, in name order.

    Raises:
        StageError: `validate` has not run.
        AlbumError: A reference changed or went since.
    """
    rows = [row for row in read_inputs(album) if row.role == "reference" and row.verdict == "accepted"]
    paths = [album.root / row.file for row in rows]
    for path in paths:
        if not path.is_file():
            raise AlbumError("This reference is gone since it was validated.", "Run the album again.", path)
    return paths


def read_window(album: Album) -> Window:
    """The geometry that `masks` decided.

    Raises:
        StageError: `masks` has not run.
    """
    return Window(**read_document(album.work("masks") / "window.json"))


def read_placed(album: Album) -> Placed:
    """What geometry said about the hole.

    Raises:
        StageError: `align` has not run.
    """
    document = read_document(album.work("align") / "placed.json")
    return Placed(**document | {"box": tuple(document["box"]), "references": tuple(document["references"])})


def canvas_path(album: Album) -> Path:
    """The 8-bit sRGB picture of the whole canvas.

    Raises:
        StageError: `masks` has not run.
    """
    return _require(album.work("masks") / "canvas.png")


def mask_path(album: Album) -> Path:
    """The mask of the whole canvas, 255 = fill.

    Raises:
        StageError: `masks` has not run.
    """
    return _require(album.work("masks") / "mask.png")


def _require(path: Path) -> Path:
    if not path.is_file():
        stage = "export" if path.parent.name == "completed" else path.parent.name
        raise StageError(f"The stage '{stage}' has not been run.", f"Run `realfill {stage}` first.", path)
    return path
