"""Depth maps of a wall that recedes to the right, of which parts are wrong."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
import skimage.data

from realfill.geometry.camera import Camera
from realfill.geometry.depth_consistency import ReferenceDepth, check_consistency
from realfill.geometry.depth_propagation import DepthPropagationSettings, _move_surfaces, propagate_depths
from realfill.geometry.photo_consistency import SourceView

WIDTH, HEIGHT, FOCAL = 160, 120, 130.0
CENTER = ((WIDTH - 1) / 2, (HEIGHT - 1) / 2)
LEFT, SLOPE = 0.3, -0.001  # inverse depth of the first column, and its change from one to the next
SHIFTS = (0.0, 0.35, -0.35)
SETTINGS = DepthPropagationSettings()


def wall(shift: float) -> np.ndarray:
    """Inverse depth of the wall in a camera moved to the left by a shift, [H, W] float32.

    A point is at column u + focal * shift * depth(u) where the first camera sees it at u: a line goes over into one.
    """
    first = np.arange(-100.0, WIDTH + 100)
    inverse_depth = LEFT + SLOPE * first
    seen = np.interp(np.arange(WIDTH), first + FOCAL * shift * inverse_depth, inverse_depth)
    return np.repeat(seen[None], HEIGHT, axis=0).astype(np.float32)


def view(shift: float, camera: Camera) -> SourceView:
    """What the camera sees of the wall, which is papered with gravel."""
    columns, rows = np.meshgrid(np.arange(WIDTH, dtype=np.float32), np.arange(HEIGHT, dtype=np.float32))
    paper = cv2.resize(skimage.data.gravel(), (700, 500)).astype(np.float32) / 255
    gray = cv2.remap(paper, columns - FOCAL * shift * wall(shift) + 200, rows + 150, cv2.INTER_LINEAR)
    return SourceView(gray, camera, np.repeat(gray[..., None], 3, axis=2))


CAMERAS = {
    n: Camera(FOCAL, CENTER, (0.0, 0.0), np.eye(3), np.array([shift, 0, 0]))
    for n, shift in enumerate(SHIFTS, start=1)
}
VIEWS = {n: view(shift, CAMERAS[n]) for n, shift in enumerate(SHIFTS, start=1)}
TRUE = [
    ReferenceDepth(CAMERAS[n], wall(s), np.zeros((HEIGHT, WIDTH), np.float32), n) for n, s in enumerate(SHIFTS, 1)
]
PIXEL = 1 / (FOCAL * 0.35)  # inverse depth that displaces a pixel by one
INSIDE = np.s_[12:-12, 24:-24]  # where all cameras see the wall


def propagate(maps: list[ReferenceDepth], settings: DepthPropagationSettings = SETTINGS) -> list[ReferenceDepth]:
    return propagate_depths(maps, check_consistency(maps, 1.5), VIEWS, settings)


def errors(one: ReferenceDepth, place: tuple[slice, slice] = INSIDE) -> np.ndarray:
    """Displacements by which the depth is wrong, pixels."""
    return np.abs(one.inverse_depth - TRUE[one.number - 1].inverse_depth)[place] / PIXEL


def spoil(one: ReferenceDepth, box: tuple[slice, slice], pixels: float) -> ReferenceDepth:
    spoiled = one.inverse_depth.copy()
    spoiled[box] += np.float32(pixels * PIXEL)
    return replace(one, inverse_depth=spoiled)


def test_the_wall_stays_as_it_is() -> None:
    for one in propagate(TRUE):
        np.testing.assert_allclose(one.inverse_depth, TRUE[one.number - 1].inverse_depth, rtol=1e-6)


@pytest.mark.parametrize("pixels", [-5, 4])
def test_a_wrong_part_takes_the_slanted_surface_around_it(pixels: float) -> None:
    box = np.s_[54:64, 74:84]
    mended, *_ = propagate([spoil(TRUE[0], box, pixels), *TRUE[1:]])
    assert np.percentile(errors(mended, box), 90) < 0.5


def test_the_depth_maps_of_the_others_decide_where_the_wall_has_no_texture() -> None:
    plain = {n: replace(one, gray=np.full_like(one.gray, 0.5), colors=None) for n, one in VIEWS.items()}
    maps = [spoil(TRUE[0], np.s_[54:64, 74:84], 6), *TRUE[1:]]
    checked = check_consistency(maps, 1.5)
    mended, *_ = propagate_depths(maps, checked, plain)
    assert np.percentile(errors(mended, np.s_[54:64, 74:84]), 90) < 1
    alone, *_ = propagate_depths(maps, checked, plain, replace(SETTINGS, geometric_weight=0))
    assert np.percentile(errors(alone, np.s_[54:64, 74:84]), 90) > 3


def test_the_same_maps_give_the_same_bytes() -> None:
    maps = [spoil(TRUE[0], np.s_[54:64, 74:84], 4), *TRUE[1:]]
    for one, again in zip(propagate(maps), propagate(maps), strict=True):
        np.testing.assert_array_equal(one.inverse_depth, again.inverse_depth)


def test_a_view_without_a_depth_map_still_tells() -> None:
    box = np.s_[54:64, 74:84]
    mended, _ = propagate([spoil(TRUE[0], box, 4), TRUE[1]])
    assert np.percentile(errors(mended, box), 90) < 0.5


def test_moved_surfaces_go_on_along_their_slopes() -> None:
    rows, columns = np.mgrid[:60, :80]
    plane = (0.5 + 0.002 * columns - 0.003 * rows).astype(np.float32)
    moved = list(_move_surfaces(plane, np.float32(0.02), SETTINGS))
    assert len(moved) == 8 * len(SETTINGS.distances)
    for one in moved:
        np.testing.assert_allclose(one[12:-12, 12:-12], plane[12:-12, 12:-12], atol=1e-5)


def test_no_surface_is_steeper_than_allowed() -> None:
    step = np.full((40, 60), 0.2, np.float32)
    step[:, 30:] = 0.6
    pixel = 0.01
    for one in _move_surfaces(step, np.float32(pixel), SETTINGS):
        assert 0.2 - 6.1 * pixel < one.min() and one.max() < 0.6 + 6.1 * pixel
