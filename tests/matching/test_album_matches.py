from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from safetensors.numpy import load_file, save
from skimage import data

from realfill.matching.album_matches import AlbumMatchSettings, match_album, shrink_for_matching
from realfill.matching.aliked import AlikedSettings
from realfill.matching.base_matcher import Keypoints
from realfill.matching.correspondences import Matches
from realfill.matching.sift import SiftMatcher, SiftSettings

SCENE = cv2.resize(data.coffee(), (900, 600))
SETTINGS = AlbumMatchSettings(
    aliked_side=224, sift_side=480, aliked=AlikedSettings(max_keypoints=300), sift=SiftSettings(max_keypoints=500)
)
CORNERS = ((60, 40), (90, 70), (150, 60))  # of the views of the scene: target and two references
SIZE = (700, 500)


def view(corner: tuple[int, int]) -> np.ndarray:
    x, y = corner
    return SCENE[y : y + SIZE[1], x : x + SIZE[0]]


@pytest.fixture(scope="module")
def mask() -> np.ndarray:
    mask = np.zeros(SIZE[::-1], np.uint8)
    mask[150:350, 200:500] = 255
    return mask


def match(
    references: list[np.ndarray],
    mask: np.ndarray,
    max_references: int,
    settings: AlbumMatchSettings = SETTINGS,
    kept: Path | None = None,
) -> dict[tuple[int, int], Matches]:
    photos = [view(CORNERS[0]), *references]
    small = [shrink_for_matching(photo, settings) for photo in photos]
    return match_album(small, [max(photo.shape[:2]) for photo in photos], mask, max_references, settings, kept)


@pytest.fixture(scope="module")
def matches(mask: np.ndarray) -> dict[tuple[int, int], Matches]:
    return match([view(CORNERS[1]), view(CORNERS[2])], mask, 2)


def test_points_are_pixels_of_the_full_size_photos(matches: dict[tuple[int, int], Matches]) -> None:
    assert set(matches) == {(0, 1), (0, 2), (1, 2)}
    for (i, j), pairs in matches.items():
        assert len(pairs) > 100
        shift = np.subtract(CORNERS[i], CORNERS[j])
        assert np.median(np.abs(pairs.points1 - pairs.points0 - shift), axis=0).max() < 0.7


def test_nothing_in_the_targets_hole_is_matched(matches: dict[tuple[int, int], Matches], mask: np.ndarray) -> None:
    for number in (1, 2):
        columns, rows = np.rint(matches[0, number].points0).astype(int).T
        assert not mask[rows, columns].any()
    assert len(matches[1, 2]) > len(matches[0, 2])  # the references have no hole


def test_references_that_share_enough_by_sift_are_not_matched_by_aliked(
    matches: dict[tuple[int, int], Matches], mask: np.ndarray
) -> None:
    few = match([view(CORNERS[1]), view(CORNERS[2])], mask, 2, replace(SETTINGS, enough_sift=50))
    assert 50 < len(few[1, 2]) < len(matches[1, 2])
    assert len(few[0, 1]) == len(matches[0, 1])


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_photo_taken_with_the_camera_turned_is_matched_as_well(mask: np.ndarray, turns: int) -> None:
    turned = np.ascontiguousarray(np.rot90(view(CORNERS[1]), turns))
    settings = replace(SETTINGS, sift=SiftSettings(max_keypoints=30), few_aliked=0.2)  # SIFT bears turns by itself
    upright = match([turned], mask, 1, replace(settings, few_aliked=0))[0, 1]
    pairs = match([turned], mask, 1, settings)[0, 1]
    assert len(pairs) > 2 * len(upright)
    width, height = SIZE
    x, y = pairs.points1.T
    back = {1: (width - 1 - y, x), 2: (width - 1 - x, height - 1 - y), 3: (y, height - 1 - x)}[turns]
    shift = np.subtract(CORNERS[0], CORNERS[1])
    assert np.median(np.abs(np.stack(back, axis=1) - pairs.points0 - shift), axis=0).max() < 1.5


def test_equal_photos_give_equal_matches_whatever_the_threads(
    matches: dict[tuple[int, int], Matches], mask: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    again = match([view(CORNERS[1]), view(CORNERS[2])], mask, 2)
    assert again.keys() == matches.keys()
    for pair, expected in matches.items():
        assert again[pair].points1.tobytes() == expected.points1.tobytes()


def test_matches_among_references_are_kept_for_other_targets(
    matches: dict[tuple[int, int], Matches], mask: np.ndarray, tmp_path: Path
) -> None:
    made = match([view(CORNERS[1]), view(CORNERS[2])], mask, 2, kept=tmp_path)
    assert np.array_equal(made[1, 2].points1, matches[1, 2].points1)
    (file,) = tmp_path.iterdir()
    file.write_bytes(save({name: value[:7] for name, value in load_file(file).items()}))
    again = match([view(CORNERS[1]), view(CORNERS[2])], mask, 2, kept=tmp_path)
    assert len(again[1, 2]) == 7, "they were read"
    assert len(again[0, 1]) == len(matches[0, 1])


def test_the_references_that_share_most_are_kept(mask: np.ndarray) -> None:
    unrelated = np.ascontiguousarray(data.astronaut()[:400])
    assert set(match([unrelated, view(CORNERS[1]), view(CORNERS[2])], mask, 2)) == {(0, 2), (0, 3), (2, 3)}


@pytest.mark.parametrize("step", ["extract_features", "match"])
def test_where_one_matcher_fails_the_other_is_left(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, mask: np.ndarray, step: str
) -> None:
    def fail(*_: object) -> Keypoints:
        raise MemoryError

    monkeypatch.setattr(SiftMatcher, step, fail)
    (pairs,) = match([view(CORNERS[1])], mask, 1).values()
    assert len(pairs) > 20
    assert "sift" in caplog.text
    assert "failed and is left out (MemoryError)" in caplog.text
