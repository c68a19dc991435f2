import cv2
import numpy as np
import skimage.data

from realfill.compositing.consensus import estimate_consensus_offset
from realfill.compositing.reference_labeling import Labeling
from support.warped_references import warped_reference

PHOTO = cv2.resize(skimage.data.coffee(), (90, 60)).astype(np.float32) / 255
ALL = np.ones(PHOTO.shape[:2], bool)


def labeling_of(count: int, outliers: np.ndarray | None = None) -> Labeling:
    """The first reference is shown everywhere, and all suit alike."""
    nothing = np.zeros((count, *PHOTO.shape[:2]), bool)
    costs = nothing.astype(np.float32)
    return Labeling(np.zeros(PHOTO.shape[:2], int), costs, nothing if outliers is None else outliers, costs)


def with_error(seed: int, sigma: float) -> np.ndarray:
    noise = np.random.default_rng(seed).standard_normal(PHOTO.shape).astype(np.float32)
    coarse = cv2.GaussianBlur(noise, (0, 0), sigma) if sigma else noise
    return PHOTO + 0.03 * coarse / coarse.std()


def test_errors_of_single_references_cancel_out() -> None:
    shown, *others = (with_error(seed, sigma=5) for seed in range(4))
    references = [warped_reference(colors) for colors in (shown, *others)]
    offset = estimate_consensus_offset(references, labeling_of(4))
    assert np.abs(shown + offset - PHOTO).mean() < 0.7 * np.abs(shown - PHOTO).mean()


def test_the_finest_detail_stays() -> None:
    shown, *others = (with_error(seed, sigma=0) for seed in range(4))
    references = [warped_reference(colors) for colors in (shown, *others)]
    result = shown + estimate_consensus_offset(references, labeling_of(4))
    sharpness, before = (cv2.Laplacian(picture, cv2.CV_32F).std() for picture in (result, shown))
    assert abs(sharpness / before - 1) < 0.02


def test_who_is_hidden_or_alone_does_not_count() -> None:
    other = PHOTO + 0.05
    left = np.arange(90) < 45
    hidden = [warped_reference(PHOTO), warped_reference(other, visible=ALL & ~left)]
    alone = np.stack([~ALL, ALL & left])
    for offset in (
        estimate_consensus_offset(hidden, labeling_of(2)),
        estimate_consensus_offset([warped_reference(PHOTO), warped_reference(other)], labeling_of(2, alone)),
    ):
        assert np.abs(offset[:, :35]).max() < 1e-3
        assert (offset[:, 55:] > 0.015).all()


def test_other_content_counts_little() -> None:
    offset = estimate_consensus_offset([warped_reference(PHOTO), warped_reference(1 - PHOTO)], labeling_of(2))
    differs = np.abs(cv2.GaussianBlur(1 - 2 * PHOTO, (0, 0), 2.0)).min(axis=-1) > 0.4
    assert differs.any()
    assert np.abs(offset[differs]).max() < 0.03


def test_a_single_reference_stays_as_it_is() -> None:
    assert not estimate_consensus_offset([warped_reference(PHOTO)], labeling_of(1)).any()
