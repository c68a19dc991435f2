"""Depth maps checked against each other."""

import numpy as np
import pytest

from realfill.geometry.camera import Camera
from realfill.geometry.depth_consistency import ReferenceDepth, RoundTrip, check_consistency
from realfill.geometry.depth_fusion import merge_reference_depths
from realfill.geometry.reference_depth import ReferenceDepthSettings
from realfill.imaging.region import Region, RegionSettings

WIDTH, HEIGHT, FOCAL = 160, 120, 130.0
CENTER = ((WIDTH - 1) / 2, (HEIGHT - 1) / 2)
NEAR, FAR = 0.3, 0.1  # inverse depths
SHIFTS = (0, 0.4, -0.4, 0.7)  # of the cameras, target first
CAMERAS = [Camera(FOCAL, CENTER, (0.0, 0.0), np.eye(3), np.array([shift, 0, 0])) for shift in SHIFTS]
MAX_REPROJECTION = ReferenceDepthSettings().max_reprojection


def flat(camera: Camera, inverse_depth: float) -> ReferenceDepth:
    """The depth map of a wall that faces the cameras."""
    shape = (HEIGHT, WIDTH)
    return ReferenceDepth(camera, np.full(shape, inverse_depth, np.float32), np.zeros(shape, np.float32))


def around_hole() -> Region:
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[30:90, 50:110] = 255
    return Region.around(np.zeros((HEIGHT, WIDTH, 3), np.uint8), mask, RegionSettings(margin=0.4))


def test_what_the_others_see_through_is_dropped() -> None:
    walls = [flat(CAMERAS[n], FAR) for n in (1, 2, 3)]
    walls[0].inverse_depth[40:60, 60:80] = NEAR
    ghost, *others = check_consistency(walls, MAX_REPROJECTION)
    assert (ghost.inverse_depth[42:58, 62:78] == 0).all()
    assert (ghost.support[42:58, 62:78] == 0).all()
    assert (ghost.inverse_depth[:30] > 0).all()
    assert ghost.support[:30, 80:].max() == 2
    assert all((other.inverse_depth > 0).all() for other in others)
    merged = merge_reference_depths([ghost, *others], CAMERAS[0], around_hole())
    np.testing.assert_allclose(merged, FAR, rtol=1e-4)


def test_a_hidden_surface_is_no_contradiction() -> None:
    walls = [flat(CAMERAS[1], NEAR), flat(CAMERAS[2], FAR), flat(CAMERAS[3], FAR)]
    near, *far = check_consistency(walls, MAX_REPROJECTION)
    assert all((wall.inverse_depth > 0).all() for wall in far)
    assert (near.inverse_depth == 0).any()


def test_a_round_trip_ends_where_it_began_if_both_views_see_the_same_surface() -> None:
    there, back = flat(CAMERAS[1], FAR), flat(CAMERAS[2], FAR)
    trip = RoundTrip(there, back).go(there.inverse_depth)
    assert trip.seen.mean() > 0.8
    assert trip.distance[trip.seen].max() < 0.01
    assert np.isinf(trip.distance[~trip.seen]).all()


def test_a_round_trip_by_another_depth_ends_as_far_off_as_the_cameras_stand_apart() -> None:
    """The pixel arrives beside the point that it shows, and comes back by the depth that is seen there."""
    there, back = flat(CAMERAS[1], FAR), flat(CAMERAS[2], FAR)
    trip = RoundTrip(there, back).go(np.full_like(there.inverse_depth, NEAR))
    apart = abs(float(CAMERAS[1].translation[0] - CAMERAS[2].translation[0]))
    assert trip.distance[trip.seen] == pytest.approx(FOCAL * apart * (NEAR - FAR), rel=1e-3)


def test_nobody_returns_from_where_nothing_is_seen() -> None:
    there, nothing = flat(CAMERAS[1], FAR), flat(CAMERAS[2], 0)
    trip = RoundTrip(there, nothing).go(there.inverse_depth)
    assert np.isinf(trip.distance).all()


def test_a_view_has_the_rays_of_its_pixels() -> None:
    camera = Camera(100.0, (4.0, 3.0), (0.0, 0.0), np.eye(3), np.zeros(3))
    rays = ReferenceDepth(camera, np.ones((7, 9), np.float32), np.zeros((7, 9), np.float32)).rays
    assert rays.shape == (7, 9, 3)
    np.testing.assert_allclose(rays[3, 4], (0, 0, 1), atol=1e-6)
