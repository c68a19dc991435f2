"""Masks over photos that EXIF turns."""

import cv2
import numpy as np
import pytest
from skimage import data

from realfill.imaging.ops import Pixels
from realfill.masking.hole_mask import Hole
from realfill.masking.stored_orientation import settle_orientation
from realfill.photo_io.photo import Photo, apply_orientation

PICTURE = np.ascontiguousarray(cv2.resize(data.astronaut(), (160, 160), interpolation=cv2.INTER_AREA))
DRAWN = np.zeros((160, 160), np.uint8)
DRAWN[20:60, 90:130] = 255


def settle(mask: Pixels, orientation: int, *, damaged: bool) -> Hole:
    """The hole of a photo whose damage, shown upright, is `DRAWN`."""
    shown = np.where((DRAWN > 0)[..., None] & damaged, np.uint8(128), PICTURE)
    return settle_orientation(Hole(mask), Photo(shown, None, None, "JPEG", orientation), shown)


@pytest.mark.parametrize("orientation", range(2, 9))
def test_a_mask_over_the_stored_picture_is_turned_where_the_damage_tells(orientation: int) -> None:
    inverse = {6: 8, 8: 6}.get(orientation, orientation)
    stored = np.ascontiguousarray(apply_orientation(DRAWN, inverse))
    hole = settle(stored, orientation, damaged=True)
    assert np.array_equal(hole.mask, DRAWN)
    assert "was turned in the same way" in hole.warnings[0]
    assert settle(DRAWN, orientation, damaged=True) == Hole(DRAWN)
    unknown = settle(stored, orientation, damaged=False)
    assert unknown.mask is stored
    assert f"(EXIF orientation {orientation})" in unknown.warnings[0] and "see on the page" in unknown.warnings[0]


def test_nothing_is_said_where_the_size_tells_or_nothing_is_turned() -> None:
    assert settle(DRAWN, 1, damaged=False) == Hole(DRAWN)
    wide = DRAWN[:120]
    photo = Photo(PICTURE[:120], None, None, "JPEG", 6)
    assert settle_orientation(Hole(wide), photo, PICTURE[:120]) == Hole(wide)
