import cv2
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from realfill.geometry.camera import Camera
from realfill.geometry.projection import VisibilitySettings, compute_visibility, in_bounds, project

COLUMNS, ROWS = np.meshgrid(np.arange(120, dtype=np.float32), np.arange(80, dtype=np.float32))
RAYS = Camera(100.0, (59.5, 39.5), (0.0, 0.0), np.eye(3), np.zeros(3)).rays(COLUMNS, ROWS)
ASIDE = Camera(100.0, (59.5, 39.5), (0.0, 0.0), np.eye(3), np.array([1.0, 0, 0]))
WALL_AND_BOX = np.full((80, 120), 0.1, np.float32)
WALL_AND_BOX[20:60, 40:70] = 0.5  # the box; the camera aside sees it 40 pixels farther right than the wall


@pytest.mark.parametrize("inverse_depth", [0.2, np.full((80, 120), 0.2, np.float32)], ids=["one", "map"])
def test_points_are_displaced_by_baseline_times_focal_length_times_inverse_depth(
    inverse_depth: float | np.ndarray,
) -> None:
    columns, rows, in_front = project(ASIDE, RAYS, inverse_depth)
    np.testing.assert_allclose(columns, COLUMNS + 20, atol=1e-3)
    np.testing.assert_allclose(rows, ROWS, atol=1e-3)
    assert in_front.all()
    assert columns.dtype == rows.dtype == np.float32


def test_points_behind_the_camera_are_told() -> None:
    beyond = Camera(100.0, (59.5, 39.5), (0.0, 0.0), np.eye(3), np.array([0, 0, -5.0]))
    assert not project(beyond, RAYS, 0.25)[2].any()
    assert project(beyond, RAYS, 0.15)[2].all()


def test_bounds_are_the_centers_of_the_outer_pixels() -> None:
    columns, rows = np.array([-0.1, 0, 119, 119.1, 50]), np.array([0, 79, 0, 0, 79.1])
    assert in_bounds(columns, rows, (80, 120, 3)).tolist() == [False, True, True, False, False]


def test_what_a_near_box_hides_from_a_reference_is_known() -> None:
    visible = compute_visibility(ASIDE, RAYS, WALL_AND_BOX)
    assert visible[20:60, 40:70].all()  # the box itself
    hidden = np.zeros((80, 120), bool)
    hidden[20:60, 80:110] = True  # 40 pixels right of the box, where the wall was before
    inner = cv2.erode(hidden.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    outer = cv2.dilate(hidden.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    assert not visible[inner].any()
    assert visible[~outer].all()


def test_from_the_same_place_everything_is_visible() -> None:
    turned = Camera(100.0, (59.5, 39.5), (0.0, 0.0), cv2.Rodrigues(np.array([0, 0.2, 0]))[0], np.zeros(3))
    assert compute_visibility(turned, RAYS, WALL_AND_BOX).all()


def test_a_small_step_of_depth_hides_nothing() -> None:
    assert compute_visibility(ASIDE, RAYS, WALL_AND_BOX, VisibilitySettings(min_disparity=41)).all()


@pytest.mark.parametrize("depth", [1e-4, -0.5, np.nan])
def test_points_that_run_away_are_hidden_and_cost_nothing(depth: float) -> None:
    ahead = Camera(100.0, (59.5, 39.5), (0.0, 0.0), np.eye(3), np.array([0.1, 0, -1.0]))
    inverse_depth = np.full((80, 120), 0.1, np.float32)
    inverse_depth[:10, :10] = 1 / (1.0 + depth)  # at the camera's own plane, or behind it
    visible = compute_visibility(ahead, RAYS, inverse_depth)
    assert not visible[:10, :10].any()
    assert visible[20:].all()


ANY_FLOAT = st.floats(width=32) | st.sampled_from([0.0, 1e-30, -1e-6, 0.1, 1e6])


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    translation=st.tuples(ANY_FLOAT, ANY_FLOAT, ANY_FLOAT),
    axis=st.tuples(*[st.floats(-np.pi, np.pi)] * 3),
    distortion=st.floats(-0.5, 0.5),
    depths=st.lists(ANY_FLOAT, min_size=1, max_size=6),
)
@example(translation=(0.0, 0.0, 1e30), axis=(0.0, 0.0, 0.0), distortion=0.0, depths=[1e-30])  # all on one point
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_whatever_camera_and_depth_are_visibility_is_told(
    translation: tuple[float, ...], axis: tuple[float, ...], distortion: float, depths: list[float]
) -> None:
    camera = Camera(100.0, (59.5, 39.5), (distortion, 0.0), cv2.Rodrigues(np.array(axis))[0], np.array(translation))
    inverse_depth = np.resize(np.array(depths, np.float32), (80, 120))
    visible = compute_visibility(camera, RAYS, inverse_depth)
    assert visible.shape == (80, 120)
    assert visible.dtype == bool
