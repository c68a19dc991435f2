import numpy as np
import pytest
import skimage.data

from realfill.imaging.ops import to_float, to_uint8
from realfill.matching.correspondences import Matches
from realfill.matching.photometric_alignment import PhotometricAlignmentSettings, align_colors

SETTINGS = PhotometricAlignmentSettings()
PHOTO = np.ascontiguousarray(skimage.data.coffee()[:200, :300])
EVENING = to_uint8(to_float(PHOTO) * np.array([0.7, 0.6, 0.5]) + 0.05)
SIDES = [600, 600]  # the photos are shown at half their size


def same_points(count: int) -> Matches:
    points = np.random.default_rng(0).uniform((4, 4), (590, 390), (count, 2)).astype(np.float32)
    return Matches(points, points, np.ones(count, np.float32))


def difference(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a.astype(float) - b).mean())


def test_a_photo_in_other_light_gets_the_colors_of_the_target() -> None:
    aligned = align_colors([PHOTO, EVENING], SIDES, {(0, 1): same_points(200)})
    assert difference(EVENING, PHOTO) > 25
    assert difference(aligned.photos[1], PHOTO) < 3
    np.testing.assert_array_equal(aligned.photos[0], PHOTO)
    assert aligned.tolerance == SETTINGS.min_tolerance


def test_wrong_matches_do_not_decide() -> None:
    right, wrong = same_points(200), same_points(80)
    wrong = Matches(wrong.points0, wrong.points1[::-1], wrong.confidence)
    aligned = align_colors([PHOTO, EVENING], SIDES, {(0, 1): Matches.concatenate([right, wrong])})
    assert difference(aligned.photos[1], PHOTO) < 5


def test_a_photo_with_few_matches_keeps_its_colors_and_nothing_is_told_apart() -> None:
    aligned = align_colors([PHOTO, EVENING], SIDES, {(0, 1): same_points(SETTINGS.min_matches - 1)})
    np.testing.assert_array_equal(aligned.photos[1], EVENING)
    assert aligned.tolerance == SETTINGS.max_tolerance


@pytest.mark.parametrize("noise", [0.05, 0.2])
def test_the_less_matched_colors_resemble_the_more_may_colors_differ(noise: float) -> None:
    patches = np.random.default_rng(1).normal(0, noise, (20, 30, 3)).repeat(10, axis=0).repeat(10, axis=1)
    other = to_uint8(to_float(PHOTO) + patches)
    tolerance = align_colors([PHOTO, other], SIDES, {(0, 1): same_points(400)}).tolerance
    assert noise < tolerance <= SETTINGS.max_tolerance
