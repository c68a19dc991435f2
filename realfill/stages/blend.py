"""Put a candidate into the photo at its native size.

The fill's colours are matched to the ring around the hole by a smooth offset; then fill and photo are blended in
frequency bands (Burt and Adelson, ACM Transactions on Graphics 1983) across a feather that lies outside the hole.
What the canvas holds inside the hole never enters; what lies beyond the feather stays as it is, bit by bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from realfill.album.layout import Album
from realfill.album.placement import read_proposal
from realfill.album.schemas import Candidate, Ranked, Verified
from realfill.album.store import accepted_references, canvas_path, mask_path, read_rows, read_window
from realfill.compositing.authenticity_map import authenticity_map, authenticity_shares
from realfill.compositing.multiband_blend import blend_patch, feather_width, place_on_canvas, put
from realfill.core.atomic_io import atomic_directory, write_json
from realfill.core.errors import AlbumError, ParamsError
from realfill.core.params import BlendParams, Params
from realfill.photo_io.decode import read_photo
from realfill.photo_io.working_files import read_png, write_lossless_tiff, write_png


@dataclass(frozen=True)
class BlendResult:
    """What was blended.

    Attributes:
        candidate: Number of the candidate.
        composite: The completed photo in the target's own colour space and depth.
        feather: Width of the blend band around the hole, pixels.
        box: Left, top, right, bottom (exclusive) of everything that changed, pixels of the canvas.
    """

    candidate: int
    composite: Path
    feather: int
    box: tuple[int, int, int, int]


def run(album: Album, params: Params) -> BlendResult:
    """Write the completed photo as composite.tif.

    Raises:
        StageError: `validate`, `masks`, `sample` or `rank` has not run.
        ParamsError: There is no candidate of that number.
        PhotoError: The target or a reference cannot be read any more.
        AlbumError: The target changed since `masks` ran, or a reference went since `validate` ran.
    """
    row, candidate = _chosen(album, params.blend)
    window, mask, proposal = read_window(album), read_png(mask_path(album)), read_proposal(album)
    references = accepted_references(album) if params.blend.detail else None
    canvas = read_png(canvas_path(album))
    patch = blend_patch(canvas, mask, window, candidate, params.blend, proposal, row.kind, references)
    photo = read_photo(album.target, max_megapixels=params.validate_.max_megapixels)
    if (photo.width, photo.height) != (window.photo_width, window.photo_height):
        raise AlbumError("The target changed since the mask was made.", "Run the album again.", album.target)
    composite = put(place_on_canvas(photo, window), patch)
    feather = feather_width(window, params.blend)
    with atomic_directory(album.work("blend")) as folder:
        write_lossless_tiff(folder / "composite.tif", composite)
        kinds = authenticity_map(mask, proposal, row.kind, _confirmed(album, row.candidate), window)
        write_png(folder / "authenticity.png", kinds)
        shares = authenticity_shares(kinds)
        write_json(
            folder / "blend.json",
            {"candidate": row.candidate, "feather": feather, "box": patch.box, "authenticity": shares},
        )
    return BlendResult(row.candidate, album.work("blend") / "composite.tif", feather, patch.box)


def _confirmed(album: Album, candidate: int) -> np.ndarray:
    """Verified matches of a candidate, columns and rows of the canvas, [N, 2]."""
    rows = read_rows(album.work("rank") / "verified.parquet", Verified)
    return np.array([(row.x, row.y) for row in rows if row.candidate == candidate]).reshape(-1, 2)


def _chosen(album: Album, params: BlendParams) -> tuple[Candidate, np.ndarray]:
    folder = album.work("sample")
    rows = {row.candidate: row for row in read_rows(folder / "candidates.parquet", Candidate)}
    if params.candidate == "best":
        number = read_rows(album.work("rank") / "ranking.parquet", Ranked)[0].candidate
    else:
        number = params.candidate
    if number not in rows:
        known = ", ".join(map(str, sorted(rows)))
        raise ParamsError(f"There is no candidate {number}.", f"Set blend.candidate to best or one of {known}.")
    return rows[number], read_png(folder / rows[number].file)
