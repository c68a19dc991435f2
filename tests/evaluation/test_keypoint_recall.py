import numpy as np
import pytest
import torch

from realfill.evaluation.keypoint_recall import (
    RecallSettings,
    detect_keypoints,
    is_inside,
    keypoint_recall,
    match_mutual,
)
from realfill.matching.base_matcher import Keypoints

EVERYWHERE = np.ones((100, 100), bool)


def keypoints(points: list[tuple[float, float]], descriptors: list[int]) -> Keypoints:
    """Keypoints whose descriptors are alike where their numbers are equal."""
    return Keypoints(torch.tensor(points, dtype=torch.float32).reshape(-1, 2), torch.eye(8)[descriptors], (100, 100))


def test_recall_is_the_share_of_keypoints_in_the_same_place() -> None:
    truth = keypoints([(10, 10), (20, 20), (30, 30), (40, 40)], [0, 1, 2, 3])
    picture = keypoints([(13, 13), (20, 27), (30, 30)], [0, 1, 4])  # close enough, too far, another thing
    assert keypoint_recall(truth, picture, EVERYWHERE) == 0.25
    assert keypoint_recall(truth, picture, EVERYWHERE, RecallSettings(max_distance=8)) == 0.5


def test_only_keypoints_in_the_region_count() -> None:
    truth = keypoints([(10, 10), (60, 10)], [0, 1])
    right = EVERYWHERE.copy()
    right[:, :50] = False
    assert keypoint_recall(truth, keypoints([(60, 10)], [1]), right) == 1
    assert keypoint_recall(truth, keypoints([(10, 10)], [0]), right) == 0
    assert keypoint_recall(truth, truth, ~EVERYWHERE) is None


def test_a_picture_without_keypoints_recalls_nothing() -> None:
    assert keypoint_recall(keypoints([(10, 10)], [0]), keypoints([], []), EVERYWHERE) == 0
    assert keypoint_recall(keypoints([], []), keypoints([(10, 10)], [0]), EVERYWHERE) is None


def test_matches_are_mutual_and_similar_enough() -> None:
    first = Keypoints(torch.zeros(3, 2), torch.tensor([[1.0, 0], [0.9, 0.4359], [0.0, -1.0]]), (100, 100))
    second = Keypoints(torch.zeros(1, 2), torch.tensor([[1.0, 0]]), (100, 100))
    nearest, is_mutual = match_mutual(first, second)
    assert nearest.tolist() == [0, 0, 0]
    assert is_mutual.tolist() == [True, False, False], "the second one is similar, but not the nearest"
    assert not match_mutual(first, second, RecallSettings(min_cosine=1.0))[1].any()


def test_points_beyond_the_border_count_as_on_it() -> None:
    region = np.zeros((100, 100), bool)
    region[99, 99] = True
    assert is_inside(keypoints([(100.4, 99.9), (98.2, 99), (99, 99)], [0, 1, 2]), region).tolist() == [
        True,
        False,
        True,
    ]


def test_a_photo_shows_its_own_keypoints_again(astronaut: np.ndarray) -> None:
    detected = detect_keypoints(astronaut, RecallSettings(max_keypoints=256))
    assert len(detected.points) == 256
    assert torch.linalg.vector_norm(detected.descriptors, dim=1).numpy() == pytest.approx(1, abs=1e-4)
    assert keypoint_recall(detected, detected, np.ones((512, 512), bool)) == 1
