import cv2
import numpy as np
import skimage.data

from realfill.compositing.reference_labeling import Labeling
from realfill.compositing.seam_finding import find_seams
from support.warped_references import warped_reference

PHOTO = cv2.resize(skimage.data.coffee(), (90, 60)).astype(np.float32) / 255
HALVES = np.repeat(np.arange(90)[None] >= 45, 60, axis=0).astype(int)
SPOT = np.s_[20:40, 43:48]  # on the seam between the halves


def with_spot() -> np.ndarray:
    colors = PHOTO.copy()
    colors[SPOT] = (1, 0, 0)
    return colors


def labeling_of(labels: np.ndarray, outliers: np.ndarray | None = None) -> Labeling:
    nothing = np.zeros((2, *labels.shape), bool)
    costs = nothing.astype(np.float32)
    return Labeling(labels, costs, nothing if outliers is None else outliers, costs)


def test_a_seam_goes_around_what_only_one_reference_shows() -> None:
    labels = find_seams([warped_reference(PHOTO), warped_reference(with_spot())], labeling_of(HALVES)).labels
    assert len(np.unique(labels[SPOT])) == 1
    far = np.abs(np.arange(90) - 44.5) > 8
    np.testing.assert_array_equal(labels[:, far], HALVES[:, far])


def test_a_seam_has_the_least_cost() -> None:
    """The rows are alike, so that the best of all seams is straight: in the column where both look most alike."""
    differing = PHOTO[:1] + np.abs(np.arange(90) - 48.5)[None, :, None].astype(np.float32) / 90
    references = [warped_reference(np.repeat(picture, 60, axis=0)) for picture in (PHOTO[:1], differing)]
    labels = find_seams(references, labeling_of(HALVES)).labels
    assert (labels == (np.arange(90) > 48)).all()


def test_a_reference_does_not_reach_to_where_it_is_hidden_or_alone() -> None:
    right_half = HALVES == 1
    hidden = warped_reference(PHOTO, visible=right_half)
    labels = find_seams([warped_reference(with_spot()), hidden], labeling_of(HALVES)).labels
    assert not (labels[:, :45] == 1).any()
    alone = np.stack([np.zeros_like(right_half), ~right_half])
    labels = find_seams([warped_reference(with_spot()), warped_reference(PHOTO)], labeling_of(HALVES, alone)).labels
    assert not (labels[:, :45] == 1).any()


def test_a_single_reference_has_no_seams() -> None:
    labeling = labeling_of(np.zeros((60, 90), int))
    assert find_seams([warped_reference(PHOTO), warped_reference(PHOTO)], labeling) is labeling
