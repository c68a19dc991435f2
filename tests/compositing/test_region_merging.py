import numpy as np
import pytest
import skimage.data
from hypothesis import given, settings
from hypothesis import strategies as st

from realfill.compositing.reference_labeling import Labeling, label_references
from realfill.compositing.region_merging import RegionMergingSettings, merge_regions
from realfill.compositing.warped_reference import WarpedReference
from realfill.core.failures import NumericalError
from support.warped_references import warped_reference

TEXTURES = [plane[:60, :90, None].astype(np.float32) / 255 for plane in (skimage.data.grass(), skimage.data.gravel())]
LAWN = TEXTURES[0] * np.array([0.5, 0.9, 0.2], np.float32)
GRAVEL = TEXTURES[1] * np.float32(0.3) + np.array([0.7, 0.65, 0.6], np.float32)
STRIP = np.s_[25:33, 20:70]


def mask_of(place: tuple[slice, slice]) -> np.ndarray:
    mask = np.zeros(LAWN.shape[:2], bool)
    mask[place] = True
    return mask


def labeling_of(labels: np.ndarray, costs: np.ndarray) -> Labeling:
    nothing = np.zeros(costs.shape, np.float32)
    return Labeling(labels, nothing, nothing > 0, costs)


def hidden_in_strip(other: np.ndarray) -> list[WarpedReference]:
    """A lawn that something seems to hide in a strip, and another reference that is seen there, a little coarser."""
    lawn = warped_reference(LAWN, visible=~mask_of(STRIP))
    return [lawn, warped_reference(other, similarity=0.7)]


def test_a_strip_of_gravel_in_a_lawn_is_merged() -> None:
    references = hidden_in_strip(GRAVEL)
    labeling = label_references(references)
    assert (labeling.labels[STRIP] == 1).mean() > 0.5  # the labeling alone takes the gravel
    assert (merge_regions(references, labeling).labels == 0).all()


def test_a_strip_that_shows_the_same_stays() -> None:
    references = hidden_in_strip(LAWN + 0.005)
    labeling = label_references(references)
    merged = merge_regions(references, labeling)
    assert (merged.labels[STRIP] == 1).mean() > 0.5
    np.testing.assert_array_equal(merged.labels, labeling.labels)


def test_what_something_near_hides_stays_where_both_show_its_edge() -> None:
    """A post, and beside it what the first reference shows twice: the post, where the other one shows the wall."""
    wall, post = LAWN.copy(), (0.8, 0.1, 0.1)
    wall[:, 40:50] = post
    doubled = wall.copy()
    doubled[:, 50:58] = post
    hidden = mask_of(np.s_[:, 50:58])
    references = [warped_reference(doubled, visible=~hidden), warped_reference(wall, similarity=0.7)]
    merged = merge_regions(references, label_references(references))
    assert (merged.labels[hidden] == 1).all()


def test_a_reference_is_not_taken_where_it_shows_nothing() -> None:
    valid = ~mask_of(np.s_[28:30, 30:40])
    lawn = warped_reference(LAWN, visible=valid & ~mask_of(STRIP), valid=valid)
    references = [lawn, hidden_in_strip(GRAVEL)[1]]
    merged = merge_regions(references, label_references(references))
    assert (merged.labels[~valid] == 1).all()
    assert (merged.labels[valid] == 0).all()


def test_beside_what_no_reference_shows_there_is_no_seam() -> None:
    valid, band = ~mask_of(np.s_[:, 60:]), mask_of(np.s_[20:40, 40:60])
    shown = LAWN.copy()
    shown[band] = GRAVEL[band]
    references = [
        warped_reference(shown, visible=valid & ~band, valid=valid),
        warped_reference(LAWN, valid=valid, similarity=0.7),
    ]
    labeling = label_references(references)
    assert (labeling.labels[band] == 1).all()
    assert (merge_regions(references, labeling).labels[band] == 1).all()


def test_a_seam_with_a_reference_that_shows_nothing_there_is_seen() -> None:
    other = LAWN.copy()
    other[STRIP] = GRAVEL[STRIP]
    lawn = warped_reference(LAWN, visible=~mask_of(STRIP))
    references = [lawn, warped_reference(other, valid=mask_of(STRIP), similarity=0.7)]
    merged = merge_regions(references, label_references(references), RegionMergingSettings(blur=0.1))
    assert (merged.labels == 0).all()


@pytest.mark.parametrize(("gain", "stays"), [(1, False), (2, True)])
def test_a_seam_that_is_not_seen_costs_as_much_as_any_switch(gain: float, stays: bool) -> None:
    labels = mask_of(np.s_[20:23, 30:33]).astype(int)  # 9 pixels, 12 pairs along the rim
    costs = np.stack([labels * gain, (1 - labels) * 9]).astype(np.float32)
    merged = merge_regions([warped_reference(LAWN), warped_reference(LAWN + 0.01)], labeling_of(labels, costs))
    np.testing.assert_array_equal(merged.labels, labels if stays else 0)


def test_costs_that_are_not_finite_are_told() -> None:
    costs = np.full((2, 60, 90), np.nan, np.float32)
    with pytest.raises(NumericalError, match="costs"):
        merge_regions(hidden_in_strip(GRAVEL), labeling_of(np.zeros((60, 90), int), costs))


@settings(max_examples=40, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**32 - 1), count=st.integers(1, 4))
def test_merging_never_raises_what_pixels_and_seams_cost(seed: int, count: int) -> None:
    generator = np.random.default_rng(seed)
    pictures = generator.random((count, 12, 16, 3), dtype=np.float32)
    references = [warped_reference(picture) for picture in pictures]
    costs = generator.random((count, 12, 16), dtype=np.float32) * 9
    labels = generator.integers(0, count, (12, 16))
    merged = merge_regions(references, labeling_of(labels, costs), RegionMergingSettings(blur=0.1)).labels
    assert total_cost(pictures, costs, merged) <= total_cost(pictures, costs, labels) + 1e-3


def total_cost(pictures: np.ndarray, costs: np.ndarray, labels: np.ndarray) -> float:
    total = float(np.take_along_axis(costs, labels[None], axis=0).sum())
    for axis in (0, 1):
        first, second = (np.s_[:-1], np.s_[1:]) if axis == 0 else (np.s_[:, :-1], np.s_[:, 1:])
        rows, columns = np.mgrid[:12, :16]
        apart = np.inf
        for side in (first, second):
            shown = [pictures[labels[part], rows[side], columns[side]] for part in (first, second)]
            apart = np.minimum(apart, np.linalg.norm(shown[0] - shown[1], axis=-1))
        seen = np.maximum(apart - RegionMergingSettings().max_noise, 0)
        seam_costs = RegionMergingSettings().switch_cost + RegionMergingSettings().seam_cost * seen
        total += float(seam_costs[labels[first] != labels[second]].sum())
    return total
