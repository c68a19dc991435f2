import cv2
import numpy as np
import pytest
from skimage import data

from realfill.imaging.ops import resize
from realfill.selection.fill_errors import (
    measure_placement_error,
    measure_reference_error,
    measure_rim_error,
    warp_reference,
)

PHOTO = np.ascontiguousarray(data.astronaut()[:320, :320])
HOLE = np.zeros((320, 320), bool)
HOLE[80:240, 80:240] = True


def test_the_rim_error_is_the_step_at_the_rim() -> None:
    hole = np.zeros((40, 60), bool)
    hole[10:30, 20:50] = True
    image = np.full((40, 60, 3), 100, np.uint8)
    assert measure_rim_error(image, hole) == 0
    image[hole] = 130
    assert measure_rim_error(image, hole) == 30
    assert measure_rim_error(image, np.ones((40, 60), bool)) == 0


def test_the_placement_error_counts_what_was_placed_by_its_confidence() -> None:
    hole = np.zeros((40, 60), bool)
    hole[:, 20:] = True
    placed = np.full((40, 60, 3), 100, np.uint8)
    confidence = np.zeros((40, 60), np.uint8)
    confidence[:, :40], confidence[:, 40:50] = 200, 50
    image = placed.copy()
    image[:, :20] = 0  # not in the hole
    image[:, 20:40] = 110
    image[:, 40:50] = 130
    image[:, 50:] = 255  # nothing was placed there
    expected = (10 * 20 * 200 + 30 * 10 * 50) / (20 * 200 + 10 * 50)
    assert measure_placement_error(image, hole, placed, confidence) == pytest.approx(expected)
    assert measure_placement_error(image, hole, placed, np.zeros_like(confidence)) == 0


def test_the_reference_error_forgives_parallax_and_not_another_content() -> None:
    warped = [resize(PHOTO, 40, 40).astype(np.float32)]
    moved = np.roll(PHOTO, (16, 0), (0, 1))
    other = np.ascontiguousarray(data.coffee()[:320, :320])
    same, near, far = (measure_reference_error(image, HOLE, warped) for image in (PHOTO, moved, other))
    assert same < 1
    assert near < 4
    assert far > 20
    beyond = np.full((40, 40, 3), np.inf, np.float32)
    assert measure_reference_error(other, HOLE, []) == measure_reference_error(other, HOLE, [beyond]) == 0
    assert measure_reference_error(PHOTO, HOLE, [*warped, beyond]) == same


def test_a_reference_is_warped_into_the_view_in_its_colors() -> None:
    homography = np.array([[0.9, 0, 40], [0, 0.9, 10], [0, 0, 1]])  # from the view to the reference
    reference = cv2.warpPerspective(PHOTO, homography, (360, 320), flags=cv2.INTER_AREA)
    darker = np.rint(reference * 0.7).astype(np.uint8)
    warped = warp_reference(darker, homography, PHOTO, HOLE)
    assert warped is not None and warped.shape == (40, 40, 3)
    shown = np.isfinite(warped).all(axis=2)
    assert shown.mean() > 0.9
    assert np.abs(warped - resize(PHOTO.astype(np.float32), 40, 40))[shown].mean() < 4


def test_what_the_reference_does_not_show_is_infinite() -> None:
    warped = warp_reference(np.ascontiguousarray(PHOTO[:, :160]), np.eye(3), PHOTO, HOLE)
    assert warped is not None
    assert np.isinf(warped[:, 20:]).all()
    assert np.isfinite(warped[:, :19]).all()


def test_a_reference_that_shares_nothing_known_is_not_warped() -> None:
    assert warp_reference(PHOTO, np.eye(3), PHOTO, np.ones_like(HOLE)) is None
    elsewhere = np.array([[1.0, 0, 900], [0, 1, 0], [0, 0, 1]])
    assert warp_reference(PHOTO, elsewhere, PHOTO, HOLE) is None


def test_cells_that_match_count_though_rounding_puts_their_error_below_zero() -> None:
    generator = np.random.default_rng(0)
    reference = np.zeros((40, 20, 3), np.float32)
    reference[:12] = generator.uniform(0, 250, (12, 20, 1))
    reference[12:20] = generator.uniform(0, 3e-4, (8, 20, 1))  # so that the box filter's sums do not return to 0
    black, everywhere = np.zeros((320, 160, 3), np.uint8), np.ones((320, 160), bool)
    upper = measure_reference_error(black[:160], everywhere[:160], [reference[:20]])
    assert measure_reference_error(black, everywhere, [reference]) == pytest.approx(upper / 2, rel=0.05)
