import numpy as np

from realfill.matching.correspondences import Matches

MATCHES = Matches(
    np.array([[1, 2], [3, 4], [5, 6]], np.float32),
    np.array([[10, 20], [30, 40], [50, 60]], np.float32),
    np.array([0.1, 0.2, 0.3], np.float32),
)


def test_matches_are_selected_by_mask_or_by_index() -> None:
    for selection in (np.array([True, False, True]), np.array([0, 2])):
        selected = MATCHES[selection]
        assert len(selected) == 2
        assert selected.points0.tolist() == [[1, 2], [5, 6]]
        assert selected.points1.tolist() == [[10, 20], [50, 60]]
        assert selected.confidence.tolist() == MATCHES.confidence[[0, 2]].tolist()


def test_matches_are_joined_in_order() -> None:
    joined = Matches.concatenate([MATCHES, Matches.empty(), MATCHES[np.array([1])]])
    assert joined.points0.tolist() == [[1, 2], [3, 4], [5, 6], [3, 4]]
    assert joined.points0.dtype == joined.confidence.dtype == np.float32


def test_the_photos_are_exchanged() -> None:
    swapped = MATCHES.swap()
    assert swapped.points0 is MATCHES.points1
    assert swapped.points1 is MATCHES.points0


def test_points_of_each_photo_are_scaled_by_its_own_factor() -> None:
    scaled = MATCHES.rescale(0.5, 2)
    assert scaled.points0[0].tolist() == [0.5, 1]
    assert scaled.points1[0].tolist() == [20, 40]
    assert scaled.points0.dtype == np.float32
