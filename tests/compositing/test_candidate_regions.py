"""Regions of the hole that show other candidates."""

import numpy as np

from realfill.compositing.blended_patch import BlendedPatch
from realfill.compositing.candidate_regions import draw_region, mix_classes, mix_patches

AREA = (slice(10, 110), slice(20, 220))
SQUARE = ((60, 30), (120, 30), (120, 90), (60, 90))


def patch(value: float) -> BlendedPatch:
    return BlendedPatch(AREA, np.full((100, 200, 3), value, np.float32), np.ones((100, 200), np.float32))


def test_a_region_shows_its_candidate_inside_and_nothing_of_it_outside() -> None:
    weight = draw_region(SQUARE, AREA)
    mixed = mix_patches(patch(0.2), [(patch(0.8), weight)]).colors
    np.testing.assert_allclose(mixed[50, 70], 0.8, atol=1e-6)
    np.testing.assert_allclose(mixed[5, 5], 0.2, atol=1e-6)
    across = mixed[50, 30:60, 0]
    assert (np.diff(across) >= -1e-6).all()
    assert np.diff(across).max() < 0.4, "a hard edge"


def test_later_regions_lie_over_earlier_ones_and_the_rest_stays_identical() -> None:
    weight = draw_region(SQUARE, AREA)
    mixed = mix_patches(patch(0.2), [(patch(0.8), weight), (patch(0.5), weight)]).colors
    np.testing.assert_allclose(mixed[50, 70], 0.5, atol=1e-6)
    assert (mixed[weight == 0] == patch(0.2).colors[weight == 0]).all()
    assert mix_patches(patch(0.2), []).colors is not None


def test_a_region_beyond_the_area_is_cut_off() -> None:
    weight = draw_region(((-500, -500), (5000, -500), (5000, 5000), (-500, 5000)), AREA)
    assert weight.shape == (100, 200)
    assert weight[50, 100] == 1


def test_pixels_are_classified_as_the_candidate_that_they_show() -> None:
    weight = draw_region(SQUARE, AREA)
    classes, other = np.full((100, 200), 85, np.uint8), np.full((100, 200), 255, np.uint8)
    mixed = mix_classes(classes, [(other, weight)])
    assert (mixed[50, 70], mixed[5, 5]) == (255, 85)
