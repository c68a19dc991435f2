from dataclasses import replace

import cv2
import numpy as np
import skimage.data

from realfill.compositing.reference_labeling import (
    _median_where_visible,
    label_references,
    photometric_disagreement,
)
from support.warped_references import warped_reference

PHOTO = cv2.resize(skimage.data.coffee(), (90, 60)).astype(np.float32) / 255
SPOT = np.s_[20:40, 30:60]


def spotted(color: float) -> np.ndarray:
    """The photo with something in it that the others do not show."""
    colors = PHOTO.copy()
    colors[SPOT] = color
    return colors


def test_what_only_one_of_three_shows_is_not_taken_from_it() -> None:
    references = [warped_reference(colors) for colors in (spotted(1.0), PHOTO, PHOTO)]
    labeling = label_references(references)
    assert (labeling.labels[SPOT] != 0).all()
    assert np.median(labeling.disagreement[0][SPOT]) > 1
    assert not labeling.disagreement[1:].any()


def test_two_references_do_not_outvote_each_other() -> None:
    references = [warped_reference(colors) for colors in (spotted(1.0), PHOTO)]
    assert not label_references(references).disagreement.any()


def test_the_median_is_that_of_the_references_that_show_a_place() -> None:
    generator = np.random.default_rng(0)
    for count in range(1, 6):
        colors = generator.random((count, 8, 9, 3), np.float32)
        visible = generator.random((count, 8, 9)) < 0.7
        expected = np.nanmedian(np.where(visible[..., None], colors, np.nan)[:, visible.any(axis=0)], axis=0)
        median = _median_where_visible(list(colors), visible)
        np.testing.assert_allclose(median[visible.any(axis=0)], expected, rtol=1e-6)


def test_references_with_a_much_larger_parallax_do_not_vote() -> None:
    near = warped_reference(PHOTO, parallax=0.1)
    far = [warped_reference(spotted(1.0), parallax=0.2) for _ in range(2)]
    assert not photometric_disagreement([near, *far], 0).any()
    assert np.median(photometric_disagreement([replace(near, warp=far[0].warp), *far], 0)[SPOT]) > 1


def test_a_hidden_reference_is_taken_only_where_no_other_shows_anything() -> None:
    visible = np.zeros((60, 90), bool)
    valid = np.ones((60, 90), bool)
    valid[:, 45:] = False
    hidden = warped_reference(PHOTO, visible=visible, parallax=0.05)
    other = warped_reference(PHOTO, valid=valid, parallax=0.1)
    labels = label_references([hidden, other]).labels
    assert (labels[:, :45] == 1).all()
    assert (labels[:, 45:] == 0).all()


def test_the_reference_that_shows_a_place_finer_is_taken() -> None:
    stretch = np.zeros((60, 90), np.float32)
    stretch[:, 45:] = 2
    coarse = replace(warped_reference(PHOTO, similarity=0.9), stretch=stretch)
    labels = label_references([coarse, warped_reference(PHOTO, similarity=0.8)]).labels
    assert (labels[:, :45] == 0).all()
    assert (labels[:, 45:] == 1).all()


def test_a_small_advantage_does_not_interrupt_a_reference() -> None:
    stretch = np.zeros((60, 90), np.float32)
    stretch[30, 40] = 0.3  # one pixel
    coarse = replace(warped_reference(PHOTO), stretch=stretch)
    labels = label_references([coarse, warped_reference(PHOTO, similarity=0.88)]).labels
    assert not labels.any()


def test_a_reference_whose_colors_are_exactly_the_targets_is_no_division_by_zero() -> None:
    exact = warped_reference(PHOTO)
    exact = replace(exact, color_transform=replace(exact.color_transform, residual=0.0))
    labeling = label_references([warped_reference(PHOTO), exact])
    assert (labeling.labels == 1).all()
    assert np.isfinite(labeling.disagreement).all()
