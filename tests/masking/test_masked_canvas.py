import numpy as np
import pytest
from skimage import data

from realfill.album.schemas import Window
from realfill.core.errors import MaskError
from realfill.core.params import MasksParams
from realfill.masking.masked_canvas import build_masked_canvas
from realfill.masking.outpainting import Extension
from support.scenes import rectangle_mask

PICTURE = np.ascontiguousarray(data.astronaut()[:120, 180:340])
HOLE = rectangle_mask(PICTURE.shape, slice(30, 70), slice(40, 100))


def test_the_hole_is_gray_and_the_rest_is_the_photo() -> None:
    before = PICTURE.copy()
    canvas = build_masked_canvas(PICTURE, HOLE, "file", Extension(), MasksParams())
    assert np.array_equal(canvas.mask, HOLE)
    assert (canvas.pixels[HOLE > 0] == 128).all()
    assert np.array_equal(canvas.pixels[HOLE == 0], PICTURE[HOLE == 0])
    assert canvas.window == Window("file", 160, 120, 0, 0, 160, 120, 10, 0, 120, 40 * 60 / (120 * 160))
    assert np.array_equal(PICTURE, before)


def test_what_is_added_to_the_photo_belongs_to_the_hole() -> None:
    extension = Extension(left=40, bottom=30)
    canvas = build_masked_canvas(PICTURE, HOLE, "file", extension, MasksParams())
    assert canvas.pixels.shape == (150, 200, 3)
    assert np.array_equal(canvas.mask[:120, 40:], HOLE)
    assert (canvas.mask[120:] == 255).all() and (canvas.mask[:, :40] == 255).all()
    assert (canvas.pixels[canvas.mask > 0] == 128).all()
    window = canvas.window
    assert (window.canvas_width, window.canvas_height) == (200, 150)
    assert (window.photo_left, window.photo_top, window.photo_width, window.photo_height) == (40, 0, 160, 120)


def test_the_hole_grows_by_the_parameter() -> None:
    canvas = build_masked_canvas(PICTURE, HOLE, "file", Extension(), MasksParams(grow=5))
    assert canvas.mask[50, 35] == 255 and canvas.mask[50, 34] == 0
    assert canvas.pixels[50, 35].tolist() == [128, 128, 128]


@pytest.mark.parametrize(
    ("hole", "extension", "problem"),
    [
        (np.zeros_like(HOLE), Extension(), "Nothing is marked"),
        (np.full_like(HOLE, 255), Extension(), "100.0% of the picture"),
        (np.zeros_like(HOLE), Extension(left=4800), "of the picture is to be filled"),
    ],
)
def test_an_empty_or_an_almost_full_hole_is_refused(hole: np.ndarray, extension: Extension, problem: str) -> None:
    with pytest.raises(MaskError, match=problem):
        build_masked_canvas(PICTURE, hole, "file", extension, MasksParams())
