import cv2
import numpy as np
import pytest
from skimage import data

from realfill.matching.correspondences import Matches
from realfill.matching.matchers import load_matcher
from realfill.matching.two_view import (
    TwoViewGeometry,
    TwoViewSettings,
    estimate_two_view_geometry,
    verify_matches,
)

Pair = tuple[np.ndarray, np.ndarray]
HOMOGRAPHY = np.array([[0.9, -0.15, 60], [0.12, 0.95, -20], [1e-4, 0, 1]])


def shifted_points(strays: int) -> Matches:
    """200 points that moved by (12, -7), the first ones anywhere."""
    random = np.random.default_rng(0)
    points = random.uniform(0, 600, (200, 2)).astype(np.float32)
    moved = (points + (12, -7) + random.normal(0, 0.3, points.shape)).astype(np.float32)
    moved[:strays] = random.uniform(0, 600, (strays, 2))
    return Matches(points, moved, np.ones(200, np.float32))


def test_a_flat_scene_gets_a_homography_and_a_deep_one_a_fundamental_matrix(stereo_pair: Pair) -> None:
    matcher, photo = load_matcher("xfeat"), data.coffee()
    warped = cv2.warpPerspective(photo, HOMOGRAPHY, photo.shape[1::-1])
    flat, deep = (
        estimate_two_view_geometry(matcher.match_images(photo, warped)),
        estimate_two_view_geometry(matcher.match_images(*stereo_pair)),
    )
    assert flat is not None
    assert flat.fundamental is None
    assert deep is not None
    assert deep.fundamental is not None


def test_outliers_are_told_apart() -> None:
    agree = verify_matches(shifted_points(strays=80))
    assert agree[80:].all()
    assert agree[:80].sum() < 8


@pytest.mark.parametrize("count", [0, 1, 7, 8, 11, 40])
def test_chance_and_too_few_matches_prove_nothing(count: int) -> None:
    random = np.random.default_rng(count)
    points0, points1 = random.uniform(0, 600, (2, count, 2)).astype(np.float32)
    assert verify_matches(Matches(points0, points1, np.ones(count, np.float32))).sum() == 0


def test_points_that_all_coincide_prove_nothing() -> None:
    same = np.full((30, 2), 5, np.float32)
    assert verify_matches(Matches(same, same, np.ones(30, np.float32))).shape == (30,)


def test_a_homography_is_enough_where_opencv_finds_no_fundamental_matrix(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise cv2.error("(-215:Assertion failed) !model.empty() in function 'setModelParameters'")

    monkeypatch.setattr(cv2, "findFundamentalMat", fail)  # as of some photos that were shifted by whole pixels
    assert verify_matches(shifted_points(strays=80))[80:].all()


def test_errors_are_pixels() -> None:
    matches = Matches(np.array([[10, 20]], np.float32), np.array([[13, 24]], np.float32), np.ones(1, np.float32))
    assert TwoViewGeometry(np.eye(3), None).errors(matches) == pytest.approx([5])
    same_row = np.array([[0.0, 0, 0], [0, 0, -1], [0, 1, 0]])  # the fundamental matrix of a rectified pair
    assert TwoViewGeometry(np.eye(3), same_row).errors(matches) == pytest.approx([4 / np.sqrt(2)])


def test_settings_decide_how_many_have_to_agree_and_how_well() -> None:
    matches = shifted_points(strays=0)
    assert estimate_two_view_geometry(matches, TwoViewSettings(min_homography_inliers=201)) is None
    geometry = estimate_two_view_geometry(matches, TwoViewSettings(max_error=0.2))
    assert geometry is not None
    assert 0 < geometry.inlier_mask(matches).sum() < 150
