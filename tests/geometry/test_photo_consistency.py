from dataclasses import replace

import cv2
import numpy as np
import skimage.data

from realfill.geometry.camera import Camera
from realfill.geometry.photo_consistency import PhotoConsistency, SourceView, TargetView

PAINT = cv2.resize(skimage.data.gravel(), (600, 400)).astype(np.float32) / 255
COLUMNS, ROWS = np.meshgrid(np.arange(160, dtype=np.float32), np.arange(120, dtype=np.float32))
CENTER = (79.5, 59.5)
RAYS = Camera(100.0, CENTER, (0.0, 0.0), np.eye(3), np.zeros(3)).rays(COLUMNS, ROWS)
HOLE = np.zeros((120, 160), bool)
HOLE[40:80, 50:110] = True


def wall_from(x: float) -> np.ndarray:
    """A wall at inverse depth 0.2, from a camera that moved along the columns."""
    return np.asarray(cv2.remap(PAINT, COLUMNS + 200 - 20 * x, ROWS + 100, cv2.INTER_LINEAR))


def view(x: float) -> SourceView:
    return SourceView(wall_from(x), Camera(100.0, CENTER, (0.0, 0.0), np.eye(3), np.array([x, 0, 0])))


def target() -> TargetView:
    return TargetView(np.where(HOLE, 0, wall_from(0)).astype(np.float32), HOLE, RAYS, np.array([[10.0, 20, 0.2]]))


def test_views_agree_at_the_true_depth_inside_the_hole_and_outside() -> None:
    views = [view(0.5), view(-0.5)]
    right, wrong = (PhotoConsistency(target(), views).cost(depth) for depth in (0.2, 0.4))
    inner = np.zeros_like(HOLE)
    inner[20:100, 30:130] = True  # both views show it
    assert np.percentile(right[inner & HOLE], 90) < 0.2
    assert np.percentile(right[inner & ~HOLE], 90) < 0.2
    assert np.median(wrong[inner & HOLE]) > 0.5
    assert np.median(wrong[inner & ~HOLE]) > 0.5


def test_a_depth_map_says_the_same_as_its_one_depth() -> None:
    views = [view(0.5), view(-0.5)]
    depth = np.full(HOLE.shape, 0.3, np.float32)
    np.testing.assert_array_equal(
        PhotoConsistency(target(), views).cost(depth), PhotoConsistency(target(), views).cost(0.3)
    )


def test_a_single_view_says_nothing_in_the_hole() -> None:
    for depth in (0.2, 0.4):
        assert (PhotoConsistency(target(), [view(0.5)]).cost(depth)[HOLE] == 1).all()


def test_one_view_that_is_occluded_does_not_matter() -> None:
    covered = SourceView(np.full((120, 160), 0.5, np.float32), view(0.3).camera)
    cost = PhotoConsistency(target(), [view(0.5), view(-0.5), covered]).cost(0.2)
    assert np.median(cost[20:100, 30:130]) < 0.1


def test_views_shrink_with_their_cameras_and_points() -> None:
    small = target().rescale(0.5)
    assert small.gray.shape == small.hole.shape == small.rays.shape[:2] == (60, 80)
    assert small.hole[20:40, 25:55].all()
    assert small.hole.sum() == 20 * 30
    np.testing.assert_allclose(small.points, [[(10 + 0.5) / 2 - 0.5, (20 + 0.5) / 2 - 0.5, 0.2]])
    shrunk = view(0.5).rescale(0.5)
    assert shrunk.gray.shape == (60, 80)
    assert shrunk.camera.focal == 50
    same = view(0.5)
    assert same.rescale(1).gray is same.gray


def test_colors_tell_surfaces_without_texture_apart() -> None:
    red, blue = np.array([0.5, 0.1, 0.1], np.float32), np.array([0.1, 0.1, 0.5], np.float32)
    flat = np.full((120, 160), 0.5, np.float32)

    def half_red(edge: int) -> np.ndarray:
        return np.where((edge > COLUMNS)[..., None], red, blue) / np.float32(0.1)

    views = [replace(view(x), gray=flat, colors=half_red(80 + round(20 * x))) for x in (0.5, -0.5)]
    seen = replace(target(), gray=flat, colors=half_red(80))
    beside = np.zeros_like(HOLE)
    beside[45:75, 82:86] = True  # in the hole, where one view shows the other half at the wrong depth
    right, wrong = (PhotoConsistency(seen, views, color_weight=1.0).cost(depth)[beside] for depth in (0.2, 0.8))
    np.testing.assert_allclose(right, 1, atol=0.01)  # nothing correlates
    assert wrong.min() > 1.9
