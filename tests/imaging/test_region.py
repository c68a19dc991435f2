import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from skimage import data

from realfill.imaging.region import Region, RegionSettings

PHOTO = data.coffee()  # 600 x 400


def region(rows: slice, columns: slice, settings: RegionSettings = RegionSettings()) -> Region:
    mask = np.zeros(PHOTO.shape[:2], np.uint8)
    mask[rows, columns] = 255
    return Region.around(PHOTO, mask, settings)


def test_the_margin_is_a_share_of_the_hole_and_ends_at_the_edge_of_the_canvas() -> None:
    assert region(slice(150, 250), slice(200, 300)).box == (200 - 28, 150 - 28, 300 + 28, 250 + 28)
    assert region(slice(0, 100), slice(500, 600)).box == (500 - 28, 0, 600, 100 + 28)


def test_around_a_speck_there_is_enough_to_compare() -> None:
    left, top, right, bottom = region(slice(200, 203), slice(300, 303)).box
    assert min(right - left, bottom - top) >= 90
    assert (left < 300, top < 200, right > 303, bottom > 203) == (True, True, True, True)


def test_a_large_region_is_worked_on_at_a_smaller_size() -> None:
    large = region(slice(100, 200), slice(100, 300), RegionSettings(margin=0, min_margin=0, working_side=100))
    assert (large.scale, large.size) == (0.5, (100, 50))
    assert large.crop_rescaled(PHOTO).shape == (50, 100, 3)
    assert large.crop(PHOTO).shape == (100, 200, 3)
    assert large.grid()[0].shape == (50, 100)
    assert large.grid(full=True)[0].shape == (100, 200)


def test_a_thin_region_keeps_a_few_pixels() -> None:
    thin = region(slice(100, 101), slice(0, 600), RegionSettings(margin=0, min_margin=0, working_side=100))
    assert thin.size == (100, 16)


def test_whatever_touches_the_hole_belongs_to_it() -> None:
    settings = RegionSettings(margin=0.5, min_margin=0, min_side=0, working_side=20)
    hole = region(slice(101, 139), slice(201, 239), settings).hole
    assert hole.shape == (20, 20)
    assert hole[5:15, 5:15].all()
    assert not hole[:4].any()


@given(st.integers(0, 350), st.integers(0, 550), st.integers(5, 50))
def test_the_grid_and_the_working_scale_agree(top: int, left: int, side: int) -> None:
    part = region(slice(top, top + side), slice(left, left + side), RegionSettings(working_side=50))
    columns, rows = part.grid()
    x, y = part.to_working(columns.astype(np.float64), rows.astype(np.float64))
    width, height = part.size
    np.testing.assert_allclose(x, np.broadcast_to(np.arange(width), x.shape), atol=1e-3)
    np.testing.assert_allclose(y, np.broadcast_to(np.arange(height)[:, None], y.shape), atol=1e-3)


def test_at_full_size_the_grid_counts_the_pixels_of_the_canvas() -> None:
    part = region(slice(150, 250), slice(200, 300))
    columns, rows = part.grid(full=True)
    assert (columns[0, 0], rows[0, 0]) == (172, 122)
    assert (columns[-1, -1], rows[-1, -1]) == (327, 277)


def test_a_filled_region_has_a_smaller_hole_and_leaves_the_canvas_as_it_is() -> None:
    before = PHOTO.copy()
    part = region(slice(150, 250), slice(200, 300))
    known = part.crop(part.mask) > 0
    known[:, :78] = False  # the left half of the hole stays
    filled = part.fill(np.full((*known.shape, 3), 7, np.uint8), known)
    assert (part.crop(filled.canvas)[known] == 7).all()
    assert np.array_equal(filled.canvas[:, :250], PHOTO[:, :250])
    assert np.count_nonzero(filled.mask) == 100 * 50
    assert np.count_nonzero(part.mask) == 100 * 100
    assert np.array_equal(PHOTO, before)
