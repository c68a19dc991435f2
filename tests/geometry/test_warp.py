import cv2
import numpy as np
import pytest
import skimage.data
from hypothesis import example, given, settings
from hypothesis import strategies as st

from realfill.geometry.warp import WarpSettings, homography_warp, relative_stretch, remap_prefiltered

PHOTO = skimage.data.coffee()  # 600 x 400
COLUMNS, ROWS = np.meshgrid(np.arange(200, dtype=np.float32), np.arange(150, dtype=np.float32))
EVERYWHERE = np.ones(COLUMNS.shape, bool)


def test_points_on_pixels_get_their_colors() -> None:
    colors, valid = remap_prefiltered(PHOTO, COLUMNS + 30, ROWS + 50, EVERYWHERE)
    assert colors.dtype == np.float32
    assert valid.all()
    np.testing.assert_allclose(colors, PHOTO[50:200, 30:230] / 255, atol=1e-6)


def test_points_beyond_the_picture_or_undefined_are_not_valid() -> None:
    defined = EVERYWHERE.copy()
    defined[0] = False
    _, valid = remap_prefiltered(PHOTO, COLUMNS + 500, ROWS, defined)
    assert valid[1:, :100].all()
    assert not valid[:, 100:].any()
    assert not valid[0].any()


def test_wide_apart_points_are_averages_rather_than_single_pixels() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (400, 600, 3), np.uint8)
    columns, rows = (COLUMNS[:90, :140] * 4 + 10, ROWS[:90, :140] * 4 + 10)
    averaged, _ = remap_prefiltered(noise, columns, rows, np.ones(columns.shape, bool))
    picked, _ = remap_prefiltered(noise, columns, rows, np.ones(columns.shape, bool), WarpSettings(min_shrink=9))
    assert averaged.std() < 0.4 * picked.std()


def test_shrinking_does_not_move_anything() -> None:
    smooth = cv2.GaussianBlur(PHOTO, (0, 0), 6)
    columns, rows = (COLUMNS[:90, :140] * 4 + 10, ROWS[:90, :140] * 4 + 10)
    colors, _ = remap_prefiltered(smooth, columns, rows, np.ones(columns.shape, bool))
    there = smooth[rows.astype(int), columns.astype(int)] / 255
    assert np.abs(colors - there).mean() < 0.005


def test_a_homography_maps_points_and_knows_what_lies_behind() -> None:
    homography = np.array([[0.9, -0.15, 60], [0.12, 0.95, -20], [-0.01, 0, 1]])
    columns, rows, in_front = homography_warp(homography).maps(COLUMNS, ROWS)
    expected = cv2.perspectiveTransform(np.stack([COLUMNS, ROWS], axis=-1), homography)
    np.testing.assert_allclose(np.stack([columns, rows], axis=-1)[:, :90], expected[:, :90], rtol=1e-3, atol=1e-2)
    assert in_front[:, :99].all()
    assert not in_front[:, 101:].any()


def test_a_uniform_scale_stretches_nothing() -> None:
    assert relative_stretch(COLUMNS * 0.2, ROWS * 0.2, EVERYWHERE).max() < 1e-3


@pytest.mark.parametrize("axis", [0, 1])
def test_what_is_seen_edge_on_is_stretched_by_octaves(axis: int) -> None:
    narrow = np.where(COLUMNS < 40, COLUMNS / 4, COLUMNS - 30)
    columns, rows = (narrow, ROWS) if axis == 1 else (ROWS, narrow)
    stretch = relative_stretch(columns, rows, EVERYWHERE)
    assert stretch[:, 10:30] == pytest.approx(np.full((150, 20), 2), abs=0.01)
    assert stretch[:, 60:].max() < 0.01
    assert relative_stretch(columns, rows, EVERYWHERE, WarpSettings(max_stretch=1)).max() == 1


def test_without_valid_points_there_is_a_stretch_too() -> None:
    assert np.isfinite(relative_stretch(COLUMNS * 0.5, ROWS, ~EVERYWHERE)).all()


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(st.floats(width=32) | st.floats(-2, 2), min_size=9, max_size=9))
@example([1e30, 0, 0, 0, 1e30, 0, 0, 0, 1e30])
@example([np.nan] * 9)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_whatever_the_homography_is_what_is_sampled_is_finite(values: list[float]) -> None:
    columns, rows, in_front = homography_warp(np.reshape(values, (3, 3))).maps(COLUMNS, ROWS)
    colors, valid = remap_prefiltered(PHOTO, columns, rows, in_front)
    assert np.isfinite(colors).all()
    assert np.isfinite(columns[valid]).all()
    assert np.isfinite(relative_stretch(columns, rows, valid)).all()


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_part_that_runs_away_does_not_hide_the_stretch_of_the_rest() -> None:
    columns = np.where(COLUMNS < 40, COLUMNS / 4, COLUMNS - 30)
    columns[:, 150:] = np.inf
    stretch = relative_stretch(columns, ROWS, COLUMNS < 150)
    assert stretch[:, 10:30] == pytest.approx(np.full((150, 20), 2), abs=0.01)
