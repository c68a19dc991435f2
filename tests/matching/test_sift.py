import numpy as np
from skimage import data

from realfill.matching.sift import SiftKeypoints, SiftMatcher, SiftSettings


def keypoints(*descriptors: list[float]) -> SiftKeypoints:
    points = np.arange(2 * len(descriptors), dtype=np.float32).reshape(-1, 2)
    return SiftKeypoints(points, np.array(descriptors, np.float32))


def test_a_match_is_the_mutual_nearest_neighbor_and_clearly_nearer_than_the_second() -> None:
    photo0 = keypoints([0.0, 0], [10, 0], [5, 5])
    photo1 = keypoints([0.5, 0], [10, 1], [12, 0], [0, 9])
    matches = SiftMatcher().match(photo0, photo1)
    assert matches.points0.tolist() == [[0, 1], [2, 3]]  # the third one has neighbors at the same distance
    assert matches.points1.tolist() == [[0, 1], [2, 3]]
    np.testing.assert_allclose(matches.confidence, [1 - 0.5 / 9, 1 - 1 / 2], rtol=1e-5)


def test_the_ratio_decides() -> None:
    photo0, photo1 = keypoints([0.0, 0], [50, 0]), keypoints([7, 0], [0, 10.0], [50, 1])
    assert SiftMatcher().match(photo0, photo1).points0.tolist() == [[0, 1], [2, 3]]
    assert SiftMatcher(SiftSettings(max_ratio=0.6)).match(photo0, photo1).points0.tolist() == [[2, 3]]


def test_a_single_keypoint_has_no_second_neighbor() -> None:
    assert len(SiftMatcher().match(keypoints([0.0, 0]), keypoints([0.0, 0], [9, 9]))) == 0


def test_less_contrast_gives_more_keypoints_up_to_the_limit() -> None:
    photo = data.coffee()
    count = len(SiftMatcher().extract_features(photo).points)
    assert len(SiftMatcher(SiftSettings(contrast_threshold=0.01)).extract_features(photo).points) > count
    assert len(SiftMatcher(SiftSettings(max_keypoints=100)).extract_features(photo).points) <= 101


def test_matches_are_those_of_all_distances() -> None:
    values = np.random.default_rng(0).integers(0, 60, (700, 128)).astype(np.float32)
    photo0, photo1 = values, np.concatenate([values[300:] + 1, values[:100]])[::-1].copy()
    distances = np.linalg.norm(photo0[:, None] - photo1, axis=-1)  # [700, 500]
    nearest, second = distances.argmin(axis=1), np.sort(distances, axis=1)[:, 1]
    mutual = distances.argmin(axis=0)[nearest] == np.arange(len(photo0))
    kept = mutual & (distances.min(axis=1) < 0.8 * second)
    grid = np.arange(1400, dtype=np.float32).reshape(-1, 2)
    keypoints0, keypoints1 = (SiftKeypoints(grid[: len(v)], v) for v in (photo0, photo1))
    matches = SiftMatcher().match(keypoints0, keypoints1)
    assert len(matches) > 400
    np.testing.assert_array_equal(matches.points0, grid[: len(photo0)][kept])
    np.testing.assert_array_equal(matches.points1, grid[nearest[kept]])
