"""Place the references' own pixels in the hole, at the photo's own size; see `compositing.reference_placement`."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from realfill.album.layout import MATCHES, Album
from realfill.album.placement import CERTAIN, LIKELY, write_turned_view
from realfill.album.schemas import PlacementSummary
from realfill.album.store import (
    accepted_references,
    are_monochrome,
    canvas_path,
    mask_path,
    read_window,
    read_working_profile,
)
from realfill.compositing.colorization import colorize
from realfill.compositing.mosaic import Mosaic
from realfill.compositing.reference_placement import Placement, place_references
from realfill.compositing.turned_views import turn_views
from realfill.core.atomic_io import atomic_directory, write_json
from realfill.core.parallel import map_parallel
from realfill.geometry.camera import IntrinsicsPrior
from realfill.imaging.ops import Pixels, to_uint8
from realfill.imaging.region import Region
from realfill.photo_io.lens import read_lens
from realfill.photo_io.photo_cache import PhotoCache
from realfill.photo_io.working_files import read_png, write_png

if TYPE_CHECKING:
    from realfill.core.params import Params

_FILM_DIAGONAL = 43.27  # mm, of the 24 x 36 mm frame that EXIF's FocalLengthIn35mmFilm refers to


@dataclass(frozen=True)
class AlignResult:
    """What was placed.

    Attributes:
        placed: Model, box, references and how much of the hole they cover.
        folder: The folder that was written.
    """

    placed: PlacementSummary
    folder: Path


def run(album: Album, params: Params) -> AlignResult:
    """Write placed.json, completed.png, and proposal.png and confidence.png where references could be placed.

    Where tuning shows composites, what the other photos show in each reference's view is written, too.

    Raises:
        StageError: `validate` or `masks` has not run, or structure from motion cannot run.
        ModelError: The matcher's weights are not installed.
    """
    profile = read_working_profile(album)
    region = Region.around(read_png(canvas_path(album)), read_png(mask_path(album)), profile=profile)
    references = accepted_references(album)
    placement = None
    if params.align.enabled:
        read = PhotoCache().read_rgb
        priors = map_parallel(lambda path: _read_intrinsics(path, read(path, profile)), references)
        kept_matches = None if album.around is None else album.shared_out / "work" / MATCHES
        placement = place_references(
            region,
            references,
            [_read_target_intrinsics(album), *priors],
            params.align.references,
            kept_matches=kept_matches,
            read=read,
        )
        if placement.mosaic and are_monochrome(album):
            placement = _take_structure(placement, placement.mosaic, region)
    mosaic = placement.mosaic if placement else None
    summary = PlacementSummary(
        model=placement.model if placement else "none",
        box=region.box,
        references=tuple(mosaic.references) if mosaic else (),
        covered=mosaic.hole_share(1) if mosaic else 0.0,
        certain=mosaic.hole_share(CERTAIN) if mosaic else 0.0,
        errors=placement.errors if placement else {},
    )
    with atomic_directory(album.work("align")) as folder:
        write_json(folder / "placed.json", asdict(summary))
        if placement:
            write_png(folder / "completed.png", placement.completed, profile)
        if mosaic:
            write_png(folder / "proposal.png", mosaic.colors, profile)
            write_png(folder / "confidence.png", mosaic.confidence)
        if placement and params.finetune.composite:
            for number, view in turn_views(placement.scene).items():
                write_turned_view(folder, number, view.colors, view.known, profile)
    return AlignResult(summary, album.work("align"))


def _take_structure(placement: Placement, mosaic: Mosaic, region: Region) -> Placement:
    """Take the structure alone of references without colors: the colors are the target's, and likely nowhere."""
    picture = np.where(mosaic.hole[..., None], to_uint8(mosaic.colors), region.crop(region.canvas))
    hole = region.hole
    return replace(
        placement,
        mosaic=replace(
            mosaic,
            colors=np.where(mosaic.hole[..., None], colorize(picture, mosaic.hole), to_uint8(mosaic.colors)),
            confidence=np.minimum(mosaic.confidence, np.uint8(LIKELY - 1)),
        ),
        completed=colorize(placement.completed, hole),
    )


def _read_target_intrinsics(album: Album) -> IntrinsicsPrior:
    """Read the intrinsics of the canvas, in which the photo may lie anywhere."""
    window = read_window(album)
    focal, camera = read_lens(album.target)
    center = (window.photo_left + window.photo_width / 2, window.photo_top + window.photo_height / 2)
    diagonal = math.hypot(window.photo_width, window.photo_height)
    return IntrinsicsPrior(window.canvas_width, window.canvas_height, center, _to_pixels(focal, diagonal), camera)


def _read_intrinsics(path: Path, photo: Pixels) -> IntrinsicsPrior:
    height, width = photo.shape[:2]
    focal, camera = read_lens(path)
    focal = _to_pixels(focal, math.hypot(width, height))
    return IntrinsicsPrior(width, height, (width / 2, height / 2), focal, camera)


def _to_pixels(focal: float | None, diagonal: float) -> float | None:
    """Convert a focal length as on 35 mm film, mm, to pixels of a photo with this diagonal."""
    return None if focal is None else focal / _FILM_DIAGONAL * diagonal
