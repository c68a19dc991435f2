"""From the described hole to the canvas, its mask, and the square window that the model sees.

One convention everywhere: 255 = fill, 0 = keep. The hole comes from exactly one of target/mask.*, the target's
alpha channel, or boxes and polygons in album.yaml; outpainting adds to the first and the last, or stands alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from realfill.album.layout import Album
from realfill.album.schemas import Window
from realfill.album.store import read_inputs
from realfill.core.atomic_io import atomic_directory, write_json
from realfill.core.errors import MaskError
from realfill.core.params import Params
from realfill.imaging.ops import Pixels
from realfill.masking.hole_mask import check_hole_share, grow_mask, mask_from_alpha, mask_from_file, mask_from_shapes
from realfill.masking.model_window import window_around
from realfill.masking.outpainting import Extension, extend, read_extension
from realfill.photo_io.color_management import to_srgb
from realfill.photo_io.decode import Photo, read_photo
from realfill.photo_io.working_files import write_png

GREY = 128  # what the canvas holds inside the hole
MINIMUM_SIDE = 256  # resolution of the smallest base model, in pixels


@dataclass(frozen=True)
class MasksResult:
    """What `run` decided; the pictures lie in `work/masks`.

    Attributes:
        window: Canvas, photo, and window, in canvas pixels.
    """

    window: Window

    @property
    def hole(self) -> float:
        """Share of the canvas that is filled, 0 to 1."""
        return self.window.hole

    @property
    def source(self) -> str:
        """ "file", "alpha", "shapes" or "outpaint": what described the hole."""
        return self.window.source


def run(album: Album, params: Params) -> MasksResult:
    """Write canvas.png, mask.png and window.json of the album into `work/masks`.

    The canvas is mid-grey wherever it is to be filled, so that nothing of what stood there reaches later stages.

    Raises:
        StageError: `validate` has not run.
        PhotoError: The target or the mask cannot be read.
        MaskError: The hole is not described, or described in a way that cannot be meant.
    """
    read_inputs(album)
    limit = params.validate_.max_megapixels
    photo = read_photo(album.target, max_megapixels=limit)
    picture = to_srgb(photo)
    with _blaming(_settings_path(album)):
        extension = read_extension(album.settings, photo.width, photo.height, limit)
    source, drawn = _drawn(album, photo, picture, extension, limit)
    mask = grow_mask(extend(drawn, extension, 255), params.masks.grow)
    hole = float(np.count_nonzero(mask) / mask.size)
    with _blaming(album.target if source == "alpha" else album.mask or _settings_path(album)):
        check_hole_share(hole, params.masks.max_hole)
    canvas = extend(picture, extension, GREY)
    canvas[mask > 0] = GREY
    left, top, side = window_around(mask, params.masks.context, MINIMUM_SIDE)
    window = Window(
        source=source,
        canvas_width=canvas.shape[1],
        canvas_height=canvas.shape[0],
        photo_left=extension.left,
        photo_top=extension.top,
        photo_width=photo.width,
        photo_height=photo.height,
        left=left,
        top=top,
        side=side,
        hole=hole,
    )
    with atomic_directory(album.work("masks")) as folder:
        write_png(folder / "canvas.png", canvas)
        write_png(folder / "mask.png", mask)
        write_json(folder / "window.json", asdict(window))
    return MasksResult(window)


def _drawn(album: Album, photo: Photo, picture: Pixels, extension: Extension, limit: float) -> tuple[str, Pixels]:
    """What describes the hole, and its part inside the photo: [H, W] uint8."""
    shapes = bool(album.settings.boxes or album.settings.polygons)
    if album.mask is not None and shapes:
        problem = f"The hole is described twice: here and by {album.mask.name}."
        raise MaskError(problem, "Delete the file, or the boxes and polygons.", _settings_path(album))
    if album.mask is not None:
        with _blaming(album.mask):
            return "file", mask_from_file(read_photo(album.mask, max_megapixels=limit), photo, picture)
    if shapes:
        with _blaming(_settings_path(album)):
            return "shapes", mask_from_shapes(album.settings, photo.width, photo.height)
    if extension != Extension():
        return "outpaint", np.zeros((photo.height, photo.width), np.uint8)
    with _blaming(album.target):
        return "alpha", mask_from_alpha(photo)


def _settings_path(album: Album) -> Path:
    return album.root / "album.yaml"


@contextmanager
def _blaming(path: Path) -> Iterator[None]:
    """Name the file at fault in what the functions on pixels raise."""
    try:
        yield
    except MaskError as error:
        raise MaskError(error.problem, error.remedy, path) from None
