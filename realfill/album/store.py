"""The files that pass between stages, and how they are read and written.

Every stage writes one folder, `work/<stage>/`, and reads the folders of stages before it. All pictures have the
canvas's native resolution unless another one is given; `schemas` describes the rows and documents.

========  ==========================  ========================================================================
stage     file                        content
========  ==========================  ========================================================================
validate  inputs.parquet              one `InputPhoto` for each file of the album
          mirrored/                   references that are used mirrored, TIFFs by the references' own names
masks     canvas.png                  the canvas, 8-bit, in the working space (see below)
          mask.png                    the mask of the canvas, 8-bit: 0 = keep, 255 = fill
          window.json                 `Window`
align     placed.json                 `PlacementSummary`
          completed.png               the region at its working scale, its hole filled, 8-bit, in the working
                                      space: see `Placement.completed`
          proposal.png                the references warped into the box of the summary, in the working space, of
                                      8 bits, or 16 where it is wider than sRGB; absent if nothing was warped
          confidence.png              the box, 8-bit: 0 = nothing is proposed, 1 to 255 = confidence; absent if
                                      nothing was warped
finetune  unet/, text_encoder/        LoRA adapters in PEFT's format; absent if the base model was not tuned
          loss.csv                    step, loss, lr
          metrics.json                steps, final_loss; left_out (why there was no tuning), if so; needless
                                      (true), if the model cannot compete with what the references show
sample    candidates.parquet          one `Candidate` a row
          000.png, 001.png, ...       the candidates: the window at the base model's resolution, 8-bit, in the
                                      working space
rank      ranking.parquet             one `RankedCandidate` for each candidate, best first
          verified.parquet            one `VerifiedMatch` a row
          matches.png                 matches of the best candidate, drawn side by side with its best reference,
                                      8-bit sRGB
          metrics.json                score, inliers (of the best candidate), candidates (number of them)
blend     composite.tif               the completed canvas in the target's color space and bit depth, lossless
          authenticity.png            the canvas, 8-bit: 0 = not filled, else an `AuthenticityClass`
          blend.json                  candidate, feather (pixels), box (of the changed pixels), authenticity
                                      (share of the filled pixels by class, and score; with `blend.generate:
                                      never` also the share of the hole that was left), previews (left and top
                                      edge of each, by candidate)
          preview_1.png, ...          what the best other candidates would change, 8-bit sRGB
========  ==========================  ========================================================================

The working space is sRGB, or a wider RGB space that holds the target's colors (`photo_io.working_space`), which the
pictures in it have as their embedded ICC profile: `read_png` reads them as they are, `read_srgb` in sRGB.

`export` writes `completed/`: the finished photo, `<album>.json` (see `provenance`), authenticity.png and page/.
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
from realfill.album.schemas import InputPhoto, PlacementSummary, Window
from realfill.core.errors import AlbumError, StageError, printable
from realfill.photo_io.working_files import read_png_profile

Row = TypeVar("Row")
_ARROW = {
    str: pa.string(),
    int: pa.int64(),
    float: pa.float64(),
    bool: pa.bool_(),
    list[str]: pa.list_(pa.string()),
    dict[str, str]: pa.map_(pa.string(), pa.string()),
    dict[str, float]: pa.map_(pa.string(), pa.float64()),
}


def arrow_schema(row_type: type[Row]) -> pa.Schema:
    """The schema of a table whose columns are the fields of a dataclass, in their order."""
    hints = get_type_hints(row_type)
    return pa.schema([(field.name, _ARROW[hints[field.name]]) for field in fields(row_type)])  # type: ignore[arg-type]


def write_rows(path: Path, row_type: type[Row], rows: Sequence[Row]) -> None:
    """Write rows as a Parquet file.

    Args:
        path: The file to write.
        row_type: A dataclass of the module `schemas`; its fields, in their order, are the columns.
        rows: The rows, none or more.
    """
    table = pa.Table.from_pylist([asdict(row) for row in rows], schema=arrow_schema(row_type))  # type: ignore[call-overload]
    pq.write_table(table, path)


def read_rows(path: Path, row_type: type[Row]) -> list[Row]:
    """Read a file that `write_rows` wrote.

    Raises:
        StageError: The file is missing: the stage that writes it has not run.
    """
    _require_file(path)
    return [row_type(**row) for row in pq.read_table(path).to_pylist()]


def read_document(path: Path) -> dict[str, Any]:
    """Read a JSON object that a stage wrote.

    Raises:
        StageError: The file is missing: the stage that writes it has not run; or it is damaged.
    """
    _require_file(path)
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise StageError(
            "It is damaged: it holds no JSON object.", "Delete it and run `realfill complete` again.", path
        )
    return document


def finished_photo(album: Album) -> Path:
    """Path of the photo that `export` wrote.

    Raises:
        StageError: `export` has not run.
    """
    return album.completed / str(read_document(find_provenance(album))["photo"])


def find_provenance(album: Album) -> Path:
    """Path of the provenance of the finished photo; an album that was renamed has it under its former name."""
    documents = sorted(album.completed.glob("[!.]*.json"))
    is_renamed = album.provenance not in documents and len(documents) == 1
    return documents[0] if is_renamed else album.provenance


def read_inputs(album: Album) -> list[InputPhoto]:
    """Read the rows of inputs.parquet.

    Raises:
        StageError: `validate` has not run.
    """
    return read_rows(album.work("validate") / "inputs.parquet", InputPhoto)


def read_warnings(album: Album) -> list[str]:
    """What `validate` refused and what it warns of, a line for each file.

    These lines are printed at the end of `realfill complete`, and are in the provenance, on the album's page, in the
    gallery and in the history of runs.

    Raises:
        StageError: `validate` has not run.
    """
    rows = (row for row in read_inputs(album) if row.reason)
    return [printable(f"{row.file}: {'not used: ' * (row.verdict == 'refused')}{row.reason}") for row in rows]


def accepted_references(album: Album) -> list[Path]:
    """Paths of the references that `validate` accepted, sorted by name; of those that are used mirrored, so.

    Raises:
        StageError: `validate` has not run.
        AlbumError: A reference has been removed since.
    """
    folder = album.work("validate")
    rows = [row for row in read_inputs(album) if row.role == "reference" and row.verdict == "accepted"]
    paths = [mirrored_path(folder, row) if row.mirrored else album.base / row.file for row in rows]
    for path in paths:
        if not path.is_file():
            raise AlbumError("This reference has been removed since it was validated.", "Run the album again.", path)
    return paths


def tuned_references(album: Album) -> list[Path]:
    """Paths of the references that the album's targets are tuned on: those that `validate` accepted for all of them.

    Raises:
        StageError: `validate` has not run.
        AlbumError: A reference has been removed since.
    """
    refused = {row.file for each in album.siblings for row in read_inputs(each) if row.verdict != "accepted"}
    files = [row.file for row in read_inputs(album) if row.role == "reference" and row.verdict == "accepted"]
    paths = accepted_references(album)
    return [path for path, file in zip(paths, files, strict=True) if file not in refused]


def are_monochrome(album: Album) -> bool:
    """Whether no accepted reference has colors of its own, though the target has."""
    rows = [row for row in read_inputs(album) if row.role == "reference" and row.verdict == "accepted"]
    return bool(rows) and all(row.monochrome for row in rows)


def mirrored_path(folder: Path, row: InputPhoto) -> Path:
    """The mirrored version of a reference in the folder of `validate`: a TIFF by the reference's own name."""
    return folder / "mirrored" / Path(row.file).name


def read_window(album: Album) -> Window:
    """Read window.json.

    Raises:
        StageError: `masks` has not run.
    """
    return Window(**read_document(album.work("masks") / "window.json"))


def read_placement_summary(album: Album) -> PlacementSummary:
    """Read placed.json.

    Raises:
        StageError: `align` has not run.
    """
    document = read_document(album.work("align") / "placed.json")
    return PlacementSummary(**document | {"box": tuple(document["box"]), "references": tuple(document["references"])})


def canvas_path(album: Album) -> Path:
    """Path of canvas.png, [H, W, 3] uint8 in the working space.

    Raises:
        StageError: `masks` has not run.
    """
    return _require_file(album.work("masks") / "canvas.png")


def read_working_profile(album: Album) -> bytes | None:
    """Read the ICC profile of the color space that the album is computed in; None for sRGB.

    Raises:
        StageError: `masks` has not run.
    """
    return read_png_profile(canvas_path(album))


def mask_path(album: Album) -> Path:
    """Path of mask.png, [H, W] uint8: 0 = keep, 255 = fill.

    Raises:
        StageError: `masks` has not run.
    """
    return _require_file(album.work("masks") / "mask.png")


def preview_name(candidate: int) -> str:
    """Name of the preview of a candidate in `work/blend`."""
    return f"preview_{candidate}.png"


def find_preview(album: Album, candidate: int) -> tuple[Path, int, int] | None:
    """The preview of a candidate and its left and top edge, pixels of the canvas; None if `blend` wrote none.

    Raises:
        StageError: `blend` has not run, or what it wrote is damaged.
    """
    corner = read_document(album.work("blend") / "blend.json").get("previews", {}).get(str(candidate))
    path = album.work("blend") / preview_name(candidate)
    return (path, corner[0], corner[1]) if corner and path.is_file() else None


def _require_file(path: Path) -> Path:
    """Return the path if the file exists; otherwise name the stage that writes it."""
    if not path.is_file():
        stage = "export" if path.parent.name == "completed" else path.parent.name
        raise StageError(f"The stage '{stage}' has not been run.", f"Run `realfill {stage}` first.", path)
    return path
