"""Blend a candidate into the photo at its native size, and map how authentic each pixel is."""

from __future__ import annotations

import logging
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from realfill.album.layout import Album
from realfill.album.placement import read_proposal
from realfill.album.schemas import Candidate, RankedCandidate, VerifiedMatch, Window
from realfill.album.store import (
    accepted_references,
    canvas_path,
    mask_path,
    preview_name,
    read_rows,
    read_window,
    read_working_profile,
)
from realfill.compositing.authenticity_map import build_authenticity_map, compute_authenticity_shares
from realfill.compositing.blended_patch import BlendedPatch, complete_photo
from realfill.compositing.candidate_regions import draw_region, mix_classes, mix_patches
from realfill.compositing.multiband_blend import Fill, blend_fill, compute_feather_width
from realfill.compositing.photographed_pixels import (
    classify_photographed,
    compute_photographed_shares,
    find_photographed,
    make_left_transparent,
    place_photographed,
)
from realfill.core.atomic_io import atomic_directory, write_json
from realfill.core.errors import AlbumError, ParamsError, StageError
from realfill.core.failures import skip_failing
from realfill.core.parallel import map_parallel
from realfill.imaging.ops import Pixels
from realfill.photo_io.color_management import to_srgb
from realfill.photo_io.decode import read_photo
from realfill.photo_io.photo import Photo
from realfill.photo_io.working_files import read_png, write_lossless_tiff, write_png

if TYPE_CHECKING:
    from realfill.core.params import BlendParams, Params

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class BlendResult:
    """What was blended.

    Attributes:
        candidate: Number of the candidate.
        composite: The completed photo in the target's own color space and depth.
        feather: Width of the blend band around the hole, pixels of the canvas; 0 where only placed pixels change.
        box: Left, top, right, bottom (exclusive) of all pixels that changed, pixels of the canvas.
    """

    candidate: int
    composite: Path
    feather: int
    box: tuple[int, int, int, int]


@dataclass(frozen=True)
class Composition:
    """A completed photo in memory.

    Attributes:
        candidate: Number of the candidate, outside of the regions that show others.
        kinds: Kinds of all candidates that it shows.
        photo: The canvas in the target's own color space and depth.
        box: Left, top, right, bottom (exclusive) of all pixels that changed, pixels of the canvas.
        feather: Width of the blend band around the hole, pixels of the canvas; 0 where only placed pixels change.
        authenticity: [H, W] uint8, see `compositing.authenticity_map`.
        shares: Shares of the hole by the keys of the classes, and "score".
    """

    candidate: int
    kinds: tuple[str, ...]
    photo: Photo
    box: tuple[int, int, int, int]
    feather: int
    authenticity: Pixels
    shares: dict[str, float]


def run(album: Album, params: Params) -> BlendResult:
    """Write composite.tif, authenticity.png, blend.json and the previews of the album into `work/blend`.

    Raises:
        RealFillError: As `compose` does.
    """
    composition = compose(album, params)
    summary = {
        "candidate": composition.candidate,
        "kinds": composition.kinds,
        "feather": composition.feather,
        "box": composition.box,
        "authenticity": composition.shares,
    }
    with atomic_directory(album.work("blend")) as folder:
        write_lossless_tiff(folder / "composite.tif", composition.photo)
        write_png(folder / "authenticity.png", composition.authenticity)
        previews = _write_previews(album, params, composition.candidate, folder)
        write_json(folder / "blend.json", summary | {"previews": previews})
    composite = album.work("blend") / "composite.tif"
    return BlendResult(composition.candidate, composite, composition.feather, composition.box)


def compose(album: Album, params: Params) -> Composition:
    """Complete the photo in memory.

    With `blend.generate: never` only what the references show for certain is filled, see
    `compositing.photographed_pixels`.

    Raises:
        StageError: `validate`, `masks`, `align`, `sample` or `rank` has not run, or `sample` ran with another
            `blend.generate`.
        ParamsError: There is no candidate of that number.
        PhotoError: The target or a reference cannot be read any more.
        AlbumError: The target changed since `masks` ran, or a reference is gone since `validate` ran.
    """
    rows = {row.candidate: row for row in read_rows(album.work("sample") / "candidates.parquet", Candidate)}
    candidate = _choose_candidate(album, rows, params.blend)
    if params.blend.generate == "never":
        return _place(album, candidate, params.blend)
    window, mask = read_window(album), read_png(mask_path(album))
    patch, authenticity = _fill(album, candidate, params.blend)
    patches, maps = [], []
    shown = [candidate]
    for region in params.blend.regions:
        shown.append(_find_candidate(album, rows, region.candidate))
        other, classes = _fill(album, shown[-1], params.blend)
        patches.append((other, draw_region(region.polygon, patch.area)))
        maps.append((classes, draw_region(region.polygon, (slice(0, mask.shape[0]), slice(0, mask.shape[1])))))
    patch, authenticity = mix_patches(patch, patches), mix_classes(authenticity, maps)
    return Composition(
        candidate.candidate,
        tuple(sorted({each.kind for each in shown})),
        complete_photo(_read_target(album, window), window, patch, read_working_profile(album)),
        patch.box,
        compute_feather_width(window, params.blend),
        authenticity,
        compute_authenticity_shares(authenticity),
    )


def compose_preview(album: Album, params: Params) -> tuple[Pixels, int, int]:
    """Complete the photo in memory, and cut out what changes.

    Returns:
        [h, w, 3] uint8 sRGB, and its left and top edge, pixels of the canvas.

    Raises:
        RealFillError: As `compose` does.
    """
    composition = compose(album, params)
    left, top, right, bottom = composition.box
    photo = composition.photo
    alpha = None if photo.alpha is None else photo.alpha[top:bottom, left:right]
    return to_srgb(replace(photo, pixels=photo.pixels[top:bottom, left:right], alpha=alpha)), left, top


def _write_previews(album: Album, params: Params, chosen: int, folder: Path) -> dict[str, tuple[int, int]]:
    """Write the previews of the best other candidates; their left and top edges by candidate."""
    if params.blend.generate == "never":
        return {}
    ranking = read_rows(album.work("rank") / "ranking.parquet", RankedCandidate)
    others = [row.candidate for row in ranking if row.candidate != chosen or params.blend.regions]
    shown = others[: params.blend.previews]

    def write(number: int) -> tuple[int, int] | None:
        choice = params.blend.model_copy(update={"candidate": number, "regions": ()})
        with skip_failing(f"{album.name}: The preview of candidate {number}"):
            pixels, left, top = compose_preview(album, params.model_copy(update={"blend": choice}))
            write_png(folder / preview_name(number), pixels)
            return left, top
        return None

    corners = zip(shown, map_parallel(write, shown), strict=True)
    return {str(number): corner for number, corner in corners if corner is not None}


def _fill(album: Album, candidate: Candidate, params: BlendParams) -> tuple[BlendedPatch, Pixels]:
    """Blend one candidate with the canvas; the patch, and the authenticity map [H, W] uint8."""
    window, mask, proposal = read_window(album), read_png(mask_path(album)), read_proposal(album)
    references = accepted_references(album) if params.detail else None
    picture = read_png(album.work("sample") / candidate.file)
    fill = Fill(picture, candidate.kind, proposal, references, read_working_profile(album))
    patch = blend_fill(read_png(canvas_path(album)), mask, window, fill, params)
    matches = _read_verified_points(album, candidate.candidate)
    return patch, build_authenticity_map(mask, proposal, candidate.kind, matches, window)


def _place(album: Album, candidate: Candidate, params: BlendParams) -> Composition:
    """Fill the hole with photographed pixels only."""
    window, mask, proposal = read_window(album), read_png(mask_path(album)), read_proposal(album)
    placed = find_photographed(mask, proposal)
    shares = compute_photographed_shares(placed, mask)
    if not placed.any():
        logger.warning("%s: No reference shows any of the hole for certain: it is left as it was.", album.name)
    patch = place_photographed(read_png(canvas_path(album)), mask, window, proposal, params)
    composite = complete_photo(_read_target(album, window), window, patch, read_working_profile(album))
    composite = make_left_transparent(composite, window, (mask > 0) & ~placed)
    return Composition(
        candidate.candidate, (candidate.kind,), composite, patch.box, 0, classify_photographed(placed), shares
    )


def _choose_candidate(album: Album, rows: dict[int, Candidate], params: BlendParams) -> Candidate:
    """Choose the best-ranked candidate, or the one that the parameters name; the only one if nothing is generated."""
    never = params.generate == "never"
    if never != _are_photographed(rows.values()):
        problem = f"The candidates were not made with blend.generate: {params.generate}."
        raise StageError(problem, "Run `realfill finetune`, `sample` and `rank` again.", album.root)
    if never:
        return next(iter(rows.values()))
    number = params.candidate
    if number == "best":
        number = read_rows(album.work("rank") / "ranking.parquet", RankedCandidate)[0].candidate
    return _find_candidate(album, rows, number)


def _find_candidate(album: Album, rows: dict[int, Candidate], number: int) -> Candidate:
    if number not in rows:
        known = ", ".join(map(str, sorted(rows)))
        remedy = f"Set blend.candidate to best or to one of {known}."
        raise ParamsError(f"There is no candidate {number}.", remedy, album.root)
    return rows[number]


def _are_photographed(rows: Collection[Candidate]) -> bool:
    """Whether candidates are those of `blend.generate: never`: one, without a model."""
    return len(rows) == 1 and all(row.kind in ("placed", "unchanged") and not row.model for row in rows)


def _read_target(album: Album, window: Window) -> Photo:
    """Read the target, and check that it still has the size for which the mask was made."""
    photo = read_photo(album.target)
    if (photo.width, photo.height) != (window.photo_width, window.photo_height):
        raise AlbumError("The target changed since the mask was made.", "Run the album again.", album.target)
    return photo


def _read_verified_points(album: Album, candidate: int) -> np.ndarray:
    """Verified matches of a candidate, (x, y) in pixels of the canvas, [N, 2]."""
    rows = read_rows(album.work("rank") / "verified.parquet", VerifiedMatch)
    return np.array([(row.x, row.y) for row in rows if row.candidate == candidate]).reshape(-1, 2)
