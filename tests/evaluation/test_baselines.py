import cv2
import numpy as np
from skimage import data

from realfill.evaluation.baselines import fill_mean_color, fill_one_homography, fill_telea
from realfill.evaluation.metrics import Scorer


def test_baselines_fill_the_hole_from_outside_of_it_and_touch_nothing_else(
    scorer: Scorer, astronaut: np.ndarray, hole: np.ndarray
) -> None:
    dug = np.where(hole[..., None], np.uint8(7), astronaut)
    for fill in (fill_mean_color, fill_telea):
        filled = fill(astronaut, hole)
        assert np.array_equal(filled[~hole], astronaut[~hole])
        assert np.array_equal(filled, fill(dug, hole))
        assert 5 < scorer.score(filled).psnr < 20
    assert len(np.unique(fill_mean_color(astronaut, hole)[hole], axis=0)) == 1


def test_one_homography_warps_the_reference_that_shows_the_same_plane(
    scorer: Scorer, astronaut: np.ndarray, hole: np.ndarray
) -> None:
    turn = np.array([[0.95, 0.05, 12], [-0.04, 0.97, 9], [6e-5, -3e-5, 1]])
    moved = cv2.warpPerspective(astronaut, turn, (512, 512), flags=cv2.INTER_AREA)
    reference = (moved * 0.8 + 10).astype(np.uint8)
    filled = fill_one_homography(astronaut, hole, [data.cat(), reference])
    assert np.array_equal(filled.picture[~hole], astronaut[~hole])
    assert filled.inliers > 100
    score = scorer.score(filled.picture)
    assert score.recall is not None
    assert score.psnr > 25
    assert score.recall > 0.7


def test_one_homography_leaves_to_telea_what_the_reference_does_not_reach(
    astronaut: np.ndarray, hole: np.ndarray
) -> None:
    telea = fill_telea(astronaut, hole)
    left = fill_one_homography(astronaut, hole, [astronaut[:, :270]])
    assert left.inliers > 100
    assert np.array_equal(left.picture[:, 275:], telea[:, 275:])
    assert not np.array_equal(left.picture[:, :265], telea[:, :265])
    nothing = fill_one_homography(astronaut, hole, [np.full((300, 400, 3), 90, np.uint8)])
    assert nothing.inliers == 0
    assert np.array_equal(nothing.picture, telea)
