"""Rows, documents and classes that stages write for one another; `store` says which file holds which.

The names of the fields are the columns of the Parquet files and the keys of the JSON files.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

GENERATED_KINDS = frozenset({"noise", "guided"})  # kinds of candidates that the model samples


class AuthenticityClass(IntEnum):
    """Classes of the filled pixels, the most authentic first; their values are those of authenticity.png.

    Attributes:
        REFERENCE_PIXEL: It shows a pixel of a reference.
        CONFIRMED: It shows a pixel of a reference that is likely the right one, or was generated and is confirmed by
            matches with a reference.
        GENERATED_ONLY: Generated, completed by patches, or placed without agreement of the references.
    """

    REFERENCE_PIXEL = 255
    CONFIRMED = 170
    GENERATED_ONLY = 85

    @property
    def key(self) -> str:
        """Its key in JSON documents."""
        return self.name.lower()


@dataclass(frozen=True, kw_only=True)
class InputPhoto:
    """One file of the album, as `validate` decoded it: a row of inputs.parquet.

    The defaults are those of a file that was not decoded.

    Attributes:
        role: "target", "mask", "reference", or "other" (a file that no stage reads).
        file: Path relative to the album, with "/".
        digest: SHA-256 of the file, hex; empty if the file was refused unread.
        format: "JPEG", "PNG", "WEBP", "TIFF", "HEIF", "AVIF" or "RAW"; empty if the file was not decoded.
        width: Width after the orientation was applied, pixels.
        height: Height after the orientation was applied, pixels.
        mode: "gray", "rgb" or "cmyk", with "a" appended if there is an alpha channel.
        bits: Bits a sample, 8 or 16.
        orientation: EXIF orientation, 1 to 8.
        icc: Name of the embedded color profile, or empty.
        exif: Whether there is EXIF metadata.
        sharpness: Variance of the Laplacian of the luminance at 512 px, in 8-bit levels squared.
        duplicate_of: The file whose picture this one repeats, or empty.
        mirrored: Whether a reference is used mirrored, left and right exchanged: it was scanned from the wrong side.
        monochrome: Whether a reference has no colors of its own, and the target has.
        verdict: "accepted" or "refused".
        reason: Why it was refused, or what the user is warned of, in sentences; otherwise empty.
    """

    role: str
    file: str
    digest: str = ""
    format: str = ""
    width: int = 0
    height: int = 0
    mode: str = ""
    bits: int = 0
    orientation: int = 1
    icc: str = ""
    exif: bool = False
    sharpness: float = 0.0
    duplicate_of: str = ""
    mirrored: bool = False
    monochrome: bool = False
    verdict: str
    reason: str = ""


@dataclass(frozen=True)
class Window:
    """Position of the photo in the canvas, and the square of the canvas that the model sees: window.json.

    The canvas is the photo, extended if the album is outpainted. The window may reach beyond the canvas.

    Attributes:
        source: What described the hole: "file", "shapes", "alpha" and "outpaint", joined by "+".
        canvas_width: Width of the canvas, pixels.
        canvas_height: Height of the canvas, pixels.
        photo_left: Left edge of the photo, pixels of the canvas.
        photo_top: Top edge of the photo, pixels of the canvas.
        photo_width: Width of the photo, pixels.
        photo_height: Height of the photo, pixels.
        left: Left edge of the window, pixels of the canvas; may be negative.
        top: Top edge of the window, pixels of the canvas; may be negative.
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
class PlacementSummary:
    """How `align` warped the references into the hole: placed.json.

    Attributes:
        model: "depth" (structure from motion and a depth map), "plane" (one homography for each reference),
            "approximate" (an approximate alignment, certain nowhere) or "none" (nothing was warped).
        box: Left, top, right and bottom (exclusive) of the proposal, pixels of the canvas.
        references: Names of the references that were used.
        covered: Share of the hole that the proposal covers, 0 to 1.
        certain: Share of the hole where its confidence is at least `placement.CERTAIN`, 0 to 1.
        errors: Root mean square error in the pseudo-holes of each way of filling that was tried, 8-bit levels:
            "geometry" (depth or plane), "approximate", "patches" (of the album), "own_patches" (of the target alone).
            Empty where there was no room for pseudo-holes.
    """

    model: str
    box: tuple[int, int, int, int]
    references: tuple[str, ...]
    covered: float
    certain: float
    errors: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Candidate:
    """One fill of the hole: a row of candidates.parquet.

    The row, the base model and the adapter determine the picture: it can be sampled again from them.

    Attributes:
        candidate: Number, from 0.
        file: Name of the picture in the same folder.
        kind: "noise" (generated from pure noise, as in the paper), "guided" (generated around the pixels of the
            proposal that are certain), "placed" (the proposal of `align` itself, its gaps completed by patches of the
            photo) or "patches" (patches alone, where nothing could be placed). With
            `blend.generate: never` there is one only: "placed", which shows what is certain alone, or "unchanged",
            where nothing was placed.
        draw: Number among the candidates of its kind, from 0.
        seed: `sample.seed`; the noise is keyed by (kind, seed, draw).
        scheduler: Noise scheduler; empty if nothing was generated.
        steps: Denoising steps; 0 if nothing was generated.
        guidance: Classifier-free guidance scale.
        batch_size: Number of candidates in one pass. Floating-point results may depend on it.
        count: Number of candidates requested in all.
        resolution: Side of the picture, pixels.
        model: Name of the base model, or of its folder or file; empty if none was loaded.
        model_digest: Digest of the base model's files, hex; empty if none was loaded.
        adapter_digest: Digest of the LoRA adapter's folder, hex; empty if the base model was used as it is.
        versions: Versions of the libraries that sampled it, a JSON object.
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
class RankedCandidate:
    """The rank of one candidate: a row of ranking.parquet.

    Attributes:
        rank: From 1, the best.
        candidate: Number of the candidate.
        score: Higher is better; comparable within one album.
        inliers: Number of geometrically verified matches inside the hole, over all references.
        matches: Number of matches inside the hole before verification, over all references.
        rim_error: Mean difference of the colors at the two sides of the hole's rim, in 8-bit levels.
        reference_error: Mean difference between the fill and the certain pixels of the proposal, or, if there are
            none, the references warped by their homographies; in 8-bit levels, 0 if there is neither.
        best_reference: The reference with most verified matches, or empty.
        matcher: Name of the matcher.
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
class VerifiedMatch:
    """One geometrically verified match inside the hole: a row of verified.parquet.

    Attributes:
        candidate: Number of the candidate.
        reference: Name of the reference.
        x: Column of the keypoint, pixels of the canvas.
        y: Row of the keypoint, pixels of the canvas.
    """

    candidate: int
    reference: str
    x: float
    y: float
