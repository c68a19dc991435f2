from dataclasses import replace

import cv2
import numpy as np
import pytest
import skimage.data

from realfill.album.placement import CERTAIN
from realfill.compositing.mosaic_confidence import estimate_confidence
from realfill.compositing.warped_reference import WarpedReference
from support.warped_references import warped_reference

SMOOTH = cv2.GaussianBlur(cv2.resize(skimage.data.coffee(), (90, 60)), (0, 0), 5).astype(np.float32) / 255
LABELS = np.zeros((60, 90), int)


def confidence_of(*references: WarpedReference, disagreement: float = 0) -> float:
    """The mean confidence, 0 to 255, where the first reference is taken everywhere."""
    disagreements = np.full((len(references), 60, 90), disagreement, np.float32)
    return float(estimate_confidence(references, LABELS, disagreements).mean() * 255)


def test_two_references_that_agree_are_certain() -> None:
    assert confidence_of(warped_reference(SMOOTH), warped_reference(SMOOTH)) > 240


def test_a_single_reference_is_never_certain() -> None:
    confidence = confidence_of(warped_reference(SMOOTH))
    assert confidence == pytest.approx(0.4 * 255, rel=0.05)
    assert confidence < CERTAIN


def test_references_that_contradict_each_other_do_not_support_each_other() -> None:
    assert confidence_of(warped_reference(SMOOTH), warped_reference(SMOOTH + np.float32(0.3))) < CERTAIN


def test_a_second_reference_that_agrees_is_trusted_more_than_one_alone() -> None:
    alike, other = warped_reference(SMOOTH), warped_reference(SMOOTH + np.float32(0.3))
    assert confidence_of(alike, alike, alike) > 1.1 * confidence_of(alike, alike, other)


def test_a_pixel_is_trusted_no_more_than_what_surrounds_it() -> None:
    speck = np.zeros((60, 90), bool)
    speck[30, 45] = True
    references = [warped_reference(SMOOTH), warped_reference(SMOOTH, visible=speck)]
    confidence = estimate_confidence(references, LABELS, np.zeros((2, 60, 90), np.float32))
    assert confidence[speck] * 255 < CERTAIN


@pytest.mark.parametrize("change", ["hidden", "approximate"])
def test_a_hidden_or_approximately_aligned_reference_is_never_certain(change: str) -> None:
    doubtful = warped_reference(
        SMOOTH,
        visible=np.full((60, 90), change != "hidden"),
        approximate=change == "approximate",
    )
    assert confidence_of(doubtful, warped_reference(SMOOTH)) < CERTAIN


def test_an_outlier_is_hardly_trusted() -> None:
    references = warped_reference(SMOOTH), warped_reference(SMOOTH)
    assert confidence_of(*references, disagreement=1) < 0.4 * confidence_of(*references)


def test_busy_pixels_are_less_certain() -> None:
    columns, rows = np.meshgrid(np.arange(90), np.arange(60))
    stripes = np.where((columns + rows) % 4 < 2, 0.2, 0.8)[..., None].repeat(3, axis=-1).astype(np.float32)
    assert confidence_of(warped_reference(stripes), warped_reference(stripes)) < CERTAIN


def test_confidence_falls_with_the_similarity_around_the_hole() -> None:
    full, half = (
        confidence_of(*[replace(warped_reference(SMOOTH), similarity=similarity) for _ in range(2)])
        for similarity in (0.5, 0.25)
    )
    assert half == pytest.approx(full / 2)


def test_confidence_falls_where_the_reference_differs_from_the_photo_at_the_rim_nearby() -> None:
    like, unlike = (
        confidence_of(*[warped_reference(SMOOTH, rim_difference=difference) for _ in range(2)])
        for difference in (0.0, 0.2)
    )
    assert like > CERTAIN > unlike
