"""From the description of the hole to the canvas, its mask, and the square window that the model sees.

In every mask 255 = fill and 0 = keep. The hole is described by target/mask.*, by boxes and polygons in album.yaml, by
the target's alpha channel, and by outpainting; all that is there adds up. `validate` warns of what is doubtful in it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from realfill.album.layout import Album
from realfill.album.schemas import Window
from realfill.album.store import read_inputs
from realfill.core.atomic_io import atomic_directory, write_json
from realfill.masking.album_hole import name_in_errors, read_album_hole
from realfill.masking.masked_canvas import build_masked_canvas
from realfill.photo_io.color_management import to_rgb
from realfill.photo_io.decode import read_photo
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
        """What described the hole, as in `Window.source`."""
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
    hole = read_album_hole(album, photo, picture, params.validate_.max_megapixels)
    with name_in_errors(hole.path):
        canvas = build_masked_canvas(picture, hole.mask, hole.source, hole.extension, params.masks)
    with atomic_directory(album.work("masks")) as folder:
        write_png(folder / "canvas.png", canvas.pixels, profile)
        write_png(folder / "mask.png", canvas.mask)
        write_json(folder / "window.json", asdict(canvas.window))
    return MasksResult(canvas.window)
