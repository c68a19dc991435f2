"""Place the references' own pixels in the hole, by the geometry of the scene, at the photo's own resolution.

Cameras of target and references come from structure from motion, the depth of the target's view from how the
references agree; where the camera only turned, or the scene is flat, a homography for each reference does. Where none
of this makes anything certain, as when what is shown moved, references are laid about right, and nothing is called
certain. Every reference is warped into the target's view and brought into its light; the best one at each place makes
the proposal, and its confidence says how far that is to be believed.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path

from realfill.album.layout import Album
from realfill.album.placement import CERTAIN
from realfill.album.schemas import Placed, Window
from realfill.album.store import accepted_references, canvas_path, mask_path, read_window
from realfill.compositing.placement_models import place_references
from realfill.compositing.region import Region
from realfill.core.atomic_io import atomic_directory, write_json
from realfill.core.params import Params
from realfill.geometry.camera import IntrinsicsPrior
from realfill.photo_io.color_management import read_srgb
from realfill.photo_io.lens import read_lens
from realfill.photo_io.working_files import read_png, write_png

_MARGIN = 0.2  # of the hole's longer side: what is worked on around it
_WORKING_SIDE = 800  # pixels along the longer side of that part, for depth and fusion
_FILM_DIAGONAL = 43.27  # millimetres of a 24 x 36 mm frame


@dataclass(frozen=True)
class AlignResult:
    """What was placed; the pictures lie in `work/align`.

    Attributes:
        placed: Model, box, references and how much of the hole they cover.
        folder: Where the files lie.
    """

    placed: Placed
    folder: Path


def run(album: Album, params: Params) -> AlignResult:
    """Write what could be placed: placed.json, and where anything was, proposal.png and confidence.png.

    Raises:
        StageError: `validate` or `masks` has not run.
        ModelError: The matcher's weights are not installed.
    """
    window = read_window(album)
    part = Region.around(read_png(canvas_path(album)), read_png(mask_path(album)), _MARGIN, _WORKING_SIDE)
    references = accepted_references(album)
    model, fusion = "none", None
    if params.align.enabled:
        lenses = [_target_lens(album, window), *map(_lens, references)]
        model, fusion = place_references(part, references, lenses, params.align)
    placed = Placed(
        model=model,
        box=part.box,
        references=tuple(fusion.references) if fusion else (),
        covered=fusion.share(1) if fusion else 0.0,
        certain=fusion.share(CERTAIN) if fusion else 0.0,
    )
    folder = album.work("align")
    with atomic_directory(folder) as beside:
        write_json(beside / "placed.json", asdict(placed))
        if fusion:
            write_png(beside / "proposal.png", fusion.proposal)
            write_png(beside / "confidence.png", fusion.confidence)
    return AlignResult(placed, folder)


def _target_lens(album: Album, window: Window) -> IntrinsicsPrior:
    focal, camera = read_lens(album.target)
    centre = (window.photo_left + window.photo_width / 2, window.photo_top + window.photo_height / 2)
    diagonal = math.hypot(window.photo_width, window.photo_height)
    return IntrinsicsPrior(window.canvas_width, window.canvas_height, centre, _in_pixels(focal, diagonal), camera)


def _lens(path: Path) -> IntrinsicsPrior:
    focal, camera = read_lens(path)
    height, width = read_srgb(path).shape[:2]
    return IntrinsicsPrior(
        width, height, (width / 2, height / 2), _in_pixels(focal, math.hypot(width, height)), camera
    )


def _in_pixels(focal: float | None, diagonal: float) -> float | None:
    return None if focal is None else focal / _FILM_DIAGONAL * diagonal
