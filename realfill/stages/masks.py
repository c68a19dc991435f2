"""From the description of the hole to the canvas, its mask, and the square window that the model sees.

In every mask 255 = fill and 0 = keep. The hole is described by exactly one of target/mask.*, the target's alpha
channel, and boxes and polygons in album.yaml. Outpainting adds to the first and the last, or stands alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from realfill.album.layout import Album
from realfill.album.schemas import Window
from realfill.album.store import read_inputs
from realfill.core.atomic_io import atomic_directory, write_json
from realfill.core.errors import MaskError
from realfill.imaging.ops import Pixels
from realfill.masking.hole_mask import mask_from_alpha, mask_from_drawing, mask_from_shapes
from realfill.masking.masked_canvas import build_masked_canvas
from realfill.masking.outpainting import Extension, compute_extension
from realfill.photo_io.color_management import to_rgb
from realfill.photo_io.decode import read_photo
from realfill.photo_io.photo import Photo
from realfill.photo_io.working_files import write_png
from realfill.photo_io.working_space import choose_working_profile

if TYPE_CHECKING:
    from realfill.core.params import Params


@dataclass(frozen=True)
class MasksResult:
    """What `run` decided; the images lie in `work/masks`.

    Attributes:
        window: Canvas, photo, and window, in pixels of the canvas.
    """

    window: Window

    @property
    def hole(self) -> float:
        """Share of the canvas that is filled, 0 to 1."""
        return self.window.hole

    @property
    def source(self) -> str:
        """What described the hole: "file", "alpha", "shapes" or "outpaint"."""
        return self.window.source


def run(album: Album, params: Params) -> MasksResult:
    """Write canvas.png, mask.png and window.json of the album into `work/masks`.

    Raises:
        StageError: `validate` has not run.
        PhotoError: The target or the mask cannot be read.
        MaskError: The hole is not described, or its description is not plausible.
    """
    read_inputs(album)
    photo = read_photo(album.target)
    profile = choose_working_profile(photo)
    picture = to_rgb(photo, profile)
    with _name_in_errors(_settings_path(album)):
        max_megapixels = params.validate_.max_megapixels
        extension = compute_extension(album.settings, photo.width, photo.height, max_megapixels)
    source, hole = _read_hole(album, photo, picture, extension)
    with _name_in_errors(album.target if source == "alpha" else album.mask or _settings_path(album)):
        canvas = build_masked_canvas(picture, hole, source, extension, params.masks)
    with atomic_directory(album.work("masks")) as folder:
        write_png(folder / "canvas.png", canvas.pixels, profile)
        write_png(folder / "mask.png", canvas.mask)
        write_json(folder / "window.json", asdict(canvas.window))
    return MasksResult(canvas.window)


def _read_hole(album: Album, photo: Photo, picture: Pixels, extension: Extension) -> tuple[str, Pixels]:
    """Read what describes the hole.

    Returns:
        What it was, as in `Window.source`, and the part of the hole inside the photo, [H, W] uint8, 255 = fill.
    """
    settings_path = _settings_path(album)
    has_shapes = bool(album.settings.boxes or album.settings.polygons)
    if album.mask is not None and has_shapes:
        problem = f"The hole is described twice: here and by {album.mask.name}."
        raise MaskError(problem, "Delete the file, or the boxes and polygons.", settings_path)
    if album.mask is not None:
        with _name_in_errors(album.mask):
            return "file", mask_from_drawing(read_photo(album.mask), photo, picture)
    if has_shapes:
        with _name_in_errors(settings_path):
            return "shapes", mask_from_shapes(album.settings, photo.width, photo.height)
    if extension != Extension():
        return "outpaint", np.zeros((photo.height, photo.width), np.uint8)
    with _name_in_errors(album.target):
        return "alpha", mask_from_alpha(photo)


def _settings_path(album: Album) -> Path:
    return album.root / "album.yaml"


@contextmanager
def _name_in_errors(path: Path) -> Iterator[None]:
    """Add the file at fault to the errors of functions that know only its pixels."""
    try:
        yield
    except MaskError as error:
        raise MaskError(error.problem, error.remedy, path) from None
