import numpy as np
import pytest
from skimage import data

from realfill.compositing.ring_color_matching import match_ring_colors
from realfill.core.failures import NumericalError
from support.holes import CAST, blank_out, perfect_candidate, window_at
from support.scenes import rectangle_mask

PHOTO = data.astronaut()
MASK = rectangle_mask(PHOTO.shape, slice(80, 260), slice(150, 300))
WINDOW = window_at(MASK, 90, 40, 260)
CANVAS = blank_out(PHOTO, MASK)


def fill(cast: bool) -> np.ndarray:
    return perfect_candidate(PHOTO, WINDOW, 128, cast).astype(np.float32) / 255


def test_gain_and_offset_of_a_cast_are_undone_in_the_hole_too() -> None:
    true, cast = fill(cast=False), fill(cast=True)
    matched = match_ring_colors(CANVAS, MASK, WINDOW, cast)
    assert np.abs(cast - true).mean() > 8 / 255
    unclipped = ((true * CAST[0] + CAST[1] < 255) & (true * CAST[0] + CAST[1] > 0)).all(axis=2)
    assert np.abs(matched - true)[unclipped].mean() < 1.5 / 255


def test_a_cast_that_changes_across_the_window_is_undone() -> None:
    true = fill(cast=False)
    ramp = np.linspace(-0.06, 0.06, 128, dtype=np.float32)[:, None, None]
    matched = match_ring_colors(CANVAS, MASK, WINDOW, true + ramp)
    assert np.abs(matched - true).mean() < np.abs(ramp).mean() / 3


def test_a_wrong_object_at_the_rim_weighs_little() -> None:
    gray = np.full((400, 400, 3), 150, np.uint8)
    mask = rectangle_mask(gray.shape, slice(120, 280), slice(120, 280))
    candidate = np.full((128, 128, 3), 150 / 255, np.float32)
    candidate[10:40, 50:70] = 1
    matched = match_ring_colors(blank_out(gray, mask), mask, window_at(mask, 50, 50, 300), candidate)
    assert np.abs(matched[50:100, 30:100] * 255 - 150).max() < 6


def test_without_anything_known_the_fill_stays() -> None:
    everything = np.full_like(MASK, 255)
    candidate = fill(cast=True)
    assert match_ring_colors(CANVAS, everything, WINDOW, candidate) is candidate


def test_what_the_canvas_shows_in_the_hole_does_not_matter() -> None:
    painted = np.where(MASK[..., None] > 0, np.float32(1), CANVAS)
    first, second = (match_ring_colors(canvas, MASK, WINDOW, fill(cast=True)) for canvas in (CANVAS, painted))
    assert np.array_equal(first, second)


@pytest.mark.filterwarnings("ignore")  # SciPy's, of the matrix
def test_a_fill_that_is_no_number_is_a_failure() -> None:
    with pytest.raises(NumericalError):
        match_ring_colors(CANVAS, MASK, WINDOW, np.full((128, 128, 3), np.nan, np.float32))
