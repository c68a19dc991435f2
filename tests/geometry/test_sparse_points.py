import numpy as np
import pytest

from realfill.geometry.sparse_points import SparsePointSettings, drop_inconsistent_points, sparse_point_cost

LABELS = np.linspace(0, 1, 101)


def plane_points(count: int = 80) -> np.ndarray:
    """Points on a slanted plane in a picture of 100 x 80: inverse depth 0.2 to 0.6 along its width."""
    rng = np.random.default_rng(0)
    x, y = rng.uniform(20, 80, count), rng.uniform(20, 60, count)
    return np.column_stack([x, y, 0.2 + 0.4 * x / 100])


def test_points_that_contradict_their_neighbors_are_dropped() -> None:
    points = plane_points()
    points[:6, 2] += 0.3
    kept = drop_inconsistent_points(points)
    assert {tuple(point) for point in points[6:]} >= {tuple(point) for point in kept}
    assert len(kept) > 65
    assert len(drop_inconsistent_points(points, SparsePointSettings(min_deviation=10))) == 80


def test_the_cheapest_depth_lies_on_the_plane_through_the_points_between_and_beyond_them() -> None:
    cost = sparse_point_cost(plane_points(), (80, 100), LABELS, pixels_per_label=1)
    assert cost.shape == (101, 80, 100)
    assert cost.dtype == np.float32
    columns = np.arange(100)
    np.testing.assert_allclose(LABELS[cost.argmin(axis=0)], np.tile(0.2 + 0.4 * columns / 100, (80, 1)), atol=0.025)


def test_points_that_lie_off_the_plane_do_not_bend_it() -> None:
    points = plane_points()
    points[:15, 2] = 0.9
    far = sparse_point_cost(points, (80, 100), LABELS, pixels_per_label=1)[:, :5, :5].argmin(axis=0)
    assert LABELS[far] == pytest.approx(np.full((5, 5), 0.2), abs=0.03)


def test_far_from_the_points_a_depth_off_their_surface_costs_less() -> None:
    settings = SparsePointSettings(anchor_weight=0)
    points = plane_points()[:1]
    cost = sparse_point_cost(np.tile(points, (8, 1)) + np.eye(8, 3), (80, 100), LABELS, 1, settings)
    column, row = round(points[0, 0]), round(points[0, 1])
    worst = cost.max(axis=0)
    assert worst[row, column] > 2 * worst[0, 0]
    assert worst[0, 0] > 0


def test_a_point_binds_the_pixels_at_it() -> None:
    points = plane_points()
    with_anchor = sparse_point_cost(points, (80, 100), LABELS, 1)
    without = sparse_point_cost(points, (80, 100), LABELS, 1, SparsePointSettings(anchor_weight=0))
    column, row = round(points[0, 0]), round(points[0, 1])
    assert (with_anchor - without)[:, row, column].max() >= 0.6
    assert (with_anchor - without)[:, 5, 5].max() == 0
