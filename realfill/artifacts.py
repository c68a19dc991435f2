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
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

import pyarrow as pa
import pyarrow.parquet as pq

from realfill.album import Album
from realfill.errors import AlbumError, StageError

Row = TypeVar("Row")
_ARROW = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}


@dataclass(frozen=True)
class Input:
    """One photo of the album, as `validate` found it.

    Attributes:
        role: "target", "mask" or "reference".
        file: Path inside the album, with "/".
        digest: SHA-256 of the file, hex; empty where it was refused unread.
        format: "JPEG", "PNG", "WEBP", "TIFF" or "HEIF"; empty where it cannot be told.
        width: Pixels, upright.
        height: Pixels, upright.
        mode: "gray", "rgb" or "cmyk", with "a" appended where there is an alpha channel.
        bits: Bits a sample, 8 or 16.
        orientation: EXIF orientation, 1 to 8.
        icc: Name of the embedded colour profile, or empty.
        exif: Whether there is EXIF metadata.
        sharpness: Variance of the Laplacian of the luminance at 512 px, in 8-bit units squared.
        duplicate_of: The file this one repeats, or empty.
        verdict: "accepted" or "refused".
        reason: Why it was refused, or a warning; empty otherwise.
    """

    role: str
    file: str
    digest: str
    format: str
    width: int
    height: int
    mode: str
    bits: int
    orientation: int
    icc: str
    exif: bool
    sharpness: float
    duplicate_of: str
    verdict: str
    reason: str


@dataclass(frozen=True)
class Window:
    """Where the photo lies in the canvas, and the square of the canvas that the model sees.

    Attributes:
        source: "file", "alpha", "shapes" or "outpaint": what described the hole.
        canvas_width: Pixels.
        canvas_height: Pixels.
        photo_left: Left edge of the photo in the canvas, pixels.
        photo_top: Top edge of the photo in the canvas, pixels.
        photo_width: Pixels.
        photo_height: Pixels.
        left: Left edge of the window in the canvas, pixels; negative where it reaches beyond the canvas.
        top: Top edge of the window in the canvas, pixels; may be negative.
        side: Side of the window, pixels.
        hole: Share of the canvas that is filled, 0 to 1.
    """

    source: str
    canvas_width: int
    canvas_height: int
    photo_left: int
    photo_top: int
    photo_width: int
    photo_height: int
    left: int
    top: int
    side: int
    hole: float


@dataclass(frozen=True)
class Placed:
    """What geometry says about the hole.

    Attributes:
        model: "depth" (structure from motion and a depth map), "plane" (a homography a reference), "loose" (laid
            about right, none of it certain) or "none".
        box: Left, top, right, bottom (exclusive) of the proposal, pixels of the canvas.
        references: Names of the references that were used.
        covered: Share of the hole that the proposal covers, 0 to 1.
        certain: Share of the hole where its confidence is at least `proposal.CERTAIN`, 0 to 1.
    """

    model: str
    box: tuple[int, int, int, int]
    references: tuple[str, ...]
    covered: float
    certain: float


@dataclass(frozen=True)
class Candidate:
    """One sampled fill; together with the adapter it can be drawn again from this row alone.

    Attributes:
        candidate: Number, from 0.
        file: Picture in the same folder.
        kind: "noise": the paper's, from pure noise; "placed": the references' own pixels; "guided": generated around
            those of them that are certain.
        draw: Number among those of its kind, from 0.
        seed: Params' seed; the noise is keyed by (seed, kind, draw).
        scheduler: Sampler.
        steps: Denoising steps.
        guidance: Classifier-free guidance scale.
        batch_size: How many were drawn in one pass (floating point may differ with it).
        count: How many were asked for in all.
        resolution: Side of the picture, pixels.
        model: Name of the base model.
        model_digest: Digest of the base model's folder, hex.
        adapter_digest: Digest of the adapter's folder, hex; empty for the base model as it is.
        versions: JSON of the versions of torch, diffusers, peft and realfill.
    """

    candidate: int
    file: str
    kind: str
    draw: int
    seed: int
    scheduler: str
    steps: int
    guidance: float
    batch_size: int
    count: int
    resolution: int
    model: str
    model_digest: str
    adapter_digest: str
    versions: str


@dataclass(frozen=True)
class Ranked:
    """One candidate's place.

    Attributes:
        rank: 1 is the best.
        candidate: Number of the candidate.
        score: Higher is better; comparable within one album.
        inliers: Geometrically verified matches inside the hole, summed over the references.
        matches: Matches inside the hole before verification, summed over the references.
        rim_error: Mean jump of the colours across the rim of the hole, in 8-bit levels.
        reference_error: Mean distance of the fill from what `align` is certain of, else from the references laid over
            the window, in 8-bit levels; 0 where there is neither.
        best_reference: The reference with most verified matches, or empty.
        matcher: Which matcher was used.
    """

    rank: int
    candidate: int
    score: float
    inliers: int
    matches: int
    rim_error: float
    reference_error: float
    best_reference: str
    matcher: str


@dataclass(frozen=True)
class Verified:
    """One geometrically verified match inside the hole.

    Attributes:
        candidate: Number of the candidate.
        reference: Name of the reference.
        x: Column in the canvas, pixels.
        y: Row in the canvas, pixels.
    """

    candidate: int
    reference: str
    x: float
    y: float


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
