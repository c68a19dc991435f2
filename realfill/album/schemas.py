"""FIXME DOCSTRING."""

from __future__ import annotations

from dataclasses import dataclass


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
