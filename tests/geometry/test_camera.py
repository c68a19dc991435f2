import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from realfill.geometry.camera import Camera, IntrinsicsPrior

QUARTER_TURN = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])


@given(st.floats(-0.2, 0.2), st.floats(-0.3, 0.3), st.floats(0, 400), st.floats(0, 300))
def test_a_ray_is_projected_back_to_its_pixel(k1: float, k2: float, column: float, row: float) -> None:
    camera = Camera(500.0, (199.5, 149.5), (k1, k2), np.eye(3), np.zeros(3))
    columns, rows, depth = camera.project(camera.rays(np.array([column]), np.array([row])).astype(np.float64) * 7)
    assert columns[0] == pytest.approx(column, abs=0.02)
    assert rows[0] == pytest.approx(row, abs=0.02)
    assert depth[0] == pytest.approx(7, rel=1e-5)


def test_distortion_moves_points_away_from_the_center() -> None:
    point = np.array([0.2, 0, 1])
    lenses = ((0.0, 0.0), (0.5, 0.0), (0.5, -2.0))
    columns = [Camera(500.0, (200, 150), lens, np.eye(3), np.zeros(3)).project(point)[0] - 200 for lens in lenses]
    assert columns == pytest.approx([100, 100 * (1 + 0.5 * 0.04), 100 * (1 + 0.5 * 0.04 - 2 * 0.0016)])


def test_distortion_folds_nothing_back_into_the_photo() -> None:
    camera = Camera(500.0, (199.5, 149.5), (0.0, -0.5), np.eye(3), np.zeros(3))
    radius = np.linspace(0, 30, 1000)
    columns, _, _ = camera.project(np.stack([radius, np.zeros_like(radius), np.ones_like(radius)], axis=-1))
    assert (np.diff(columns) > 0).all()
    behind = camera.project(np.array([0.4, 0.1, -1.0]))
    assert np.abs(behind[:2]).max() < 1e10


def test_a_resized_photo_shows_a_point_at_the_same_place() -> None:
    camera = Camera(500.0, (199.5, 149.5), (0.1, 0.0), np.eye(3), np.zeros(3))
    point = np.array([0.3, -0.2, 2])
    column, row, _ = camera.project(point)
    small_column, small_row, _ = camera.rescale(0.25).project(point)
    assert small_column + 0.5 == pytest.approx((column + 0.5) / 4)
    assert small_row + 0.5 == pytest.approx((row + 0.5) / 4)


def test_a_camera_relative_to_another_sees_the_same_points() -> None:
    one = Camera(500.0, (0, 0), (0.0, 0.0), QUARTER_TURN, np.array([1.0, 2, 3]))
    other = Camera(400.0, (0, 0), (0.0, 0.0), QUARTER_TURN.T, np.array([-1.0, 0, 2]))
    point = np.array([0.5, -0.3, 6])
    in_other = other.rotation @ point + other.translation
    relative = one.relative_to(other)
    np.testing.assert_allclose(
        relative.rotation @ in_other + relative.translation, one.rotation @ point + one.translation
    )
    assert relative.focal == one.focal


def test_a_prior_is_scaled_with_the_photo() -> None:
    prior = IntrinsicsPrior(4000, 3000, (2000, 1500), focal=3500, camera="a")
    assert prior.rescale(0.25) == IntrinsicsPrior(1000, 750, (500, 375), focal=875, camera="a")
    assert IntrinsicsPrior(4000, 3, (2000, 1.5)).rescale(0.01) == IntrinsicsPrior(40, 1, (20, 0.015))
