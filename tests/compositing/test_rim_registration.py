import cv2
import numpy as np
import pytest
import skimage.data

from realfill.compositing.rim_registration import register_around_hole
from realfill.geometry.warp import Warp
from realfill.imaging.region import Region, RegionSettings
from support.scenes import rectangle_mask
from support.warped_references import identity_maps

PHOTO = cv2.resize(skimage.data.coffee(), (300, 200))
MASK = rectangle_mask(PHOTO.shape, slice(60, 140), slice(100, 200))
REGION = Region.around(PHOTO, MASK, RegionSettings(margin=0.4, working_side=300))


def displaced_by(pixels: float) -> Warp:
    """A warp that shows the photo this much too far to the left."""

    def maps(columns: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return columns + pixels, rows, np.ones(rows.shape, bool)

    return Warp(maps, 0.0)


def error_along(warp: Warp, columns: slice) -> float:
    """Mean displacement of some columns of the hole's rows, pixels."""
    x, y = REGION.grid(full=True)
    left, top, _, _ = REGION.box
    place = np.s_[60 - top : 140 - top, columns.start - left : columns.stop - left]
    return float(np.abs(warp.maps(x, y)[0] - x)[place].mean())


@pytest.mark.parametrize("pixels", [-2.0, 3.0])
def test_a_reference_that_is_some_pixels_off_meets_the_target_at_the_rim(pixels: float) -> None:
    warp = register_around_hole(REGION, PHOTO, displaced_by(pixels))
    assert error_along(warp, slice(92, 100)) < abs(pixels) / 3
    assert error_along(warp, slice(100, 104)) < abs(pixels) / 2


def test_a_reference_in_place_stays_there_in_other_light_too() -> None:
    darker = np.rint(PHOTO * 0.6 + 10).astype(np.uint8)
    warp = register_around_hole(REGION, darker, Warp(identity_maps, 0.0))
    assert error_along(warp, slice(92, 208)) < 0.2


def test_a_photo_of_something_else_displaces_nothing() -> None:
    other = np.random.default_rng(0).integers(0, 256, PHOTO.shape, np.uint8)
    warp = register_around_hole(REGION, other, Warp(identity_maps, 0.0))
    assert error_along(warp, slice(100, 200)) < 0.3


def test_a_tiny_region_is_left_as_it_is() -> None:
    mask = rectangle_mask(PHOTO.shape, slice(100, 103), slice(100, 103))
    warp = Warp(identity_maps, 0.0)
    region = Region.around(PHOTO, mask, RegionSettings(min_side=0))
    assert register_around_hole(region, PHOTO, warp) is warp
