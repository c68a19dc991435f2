import cv2
import numpy as np
import pytest
import skimage.data

from realfill.evaluation.rim import rim_contrast

PHOTO = cv2.resize(skimage.data.coffee(), (300, 200))
HOLE = np.zeros(PHOTO.shape[:2], bool)
HOLE[60:140, 100:200] = True


def joined(fill: np.ndarray) -> float:
    contrasts = [rim_contrast(picture, HOLE) for picture in (np.where(HOLE[..., None], fill, PHOTO), PHOTO)]
    assert contrasts[0] is not None
    assert contrasts[1] is not None
    return contrasts[0] / contrasts[1]


def test_the_truth_has_a_rim_that_cannot_be_seen() -> None:
    assert joined(PHOTO) == 1


@pytest.mark.parametrize(
    "fill",
    [
        np.minimum(PHOTO, 225) + np.uint8(30),
        np.roll(PHOTO, 12, axis=1),
        np.full_like(PHOTO, 128),
    ],
    ids=["another tone", "cut outlines", "gray"],
)
def test_a_rim_that_can_be_seen_has_more_contrast_across_it(fill: np.ndarray) -> None:
    assert joined(fill) > 1.3


@pytest.mark.parametrize("hole", [np.zeros_like(HOLE), np.ones_like(HOLE)])
def test_without_a_rim_there_is_nothing_to_measure(hole: np.ndarray) -> None:
    assert rim_contrast(PHOTO, hole) is None


def test_a_flat_picture_has_no_contrast_to_compare_with() -> None:
    assert rim_contrast(np.full_like(PHOTO, 90), HOLE) is None
