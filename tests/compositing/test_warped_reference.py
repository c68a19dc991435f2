from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data

from realfill.compositing.warped_reference import (
    WarpedReference,
    WarpedReferenceSettings,
    carry_rim_difference,
    coarse_color_correlation,
    filter_by_similarity,
    similarity_around_hole,
    warp_and_match_color,
)
from realfill.geometry.warp import Warp
from realfill.imaging.region import Region, RegionSettings
from realfill.photo_io.working_files import write_png
from support.scenes import rectangle_mask
from support.warped_references import identity_maps, warped_reference

PHOTO = cv2.resize(skimage.data.coffee(), (300, 200))
MASK = rectangle_mask(PHOTO.shape, slice(70, 130), slice(110, 190))
REGION = Region.around(PHOTO, MASK, RegionSettings(margin=0.4, working_side=300))


def warp_photo(path: Path, photo: np.ndarray, warp: Warp) -> WarpedReference | None:
    write_png(path, photo)
    return warp_and_match_color(REGION, path, warp)


def test_a_reference_comes_into_the_view_the_light_and_the_sharpness_of_the_target(tmp_path: Path) -> None:
    darker = np.rint(cv2.GaussianBlur(PHOTO, (0, 0), 0.7) * 0.8).astype(np.uint8)
    shifted = Warp(lambda columns, rows: (columns + 5, rows - 3, np.ones(rows.shape, bool)), 0.1)
    reference = warp_photo(tmp_path / "darker.png", np.roll(darker, (-3, 5), (0, 1)), shifted)
    assert reference is not None
    truth = REGION.crop_rescaled(PHOTO).astype(np.float32) / 255
    assert np.abs(reference.colors - truth)[REGION.hole].mean() < 0.02
    assert reference.similarity > 0.8
    assert reference.band_gains.gains[0] > 1.3
    assert reference.valid.all()


def test_what_lies_in_the_hole_is_not_looked_at(tmp_path: Path) -> None:
    painted = np.where(MASK[..., None] > 0, np.uint8(255), PHOTO)
    write_png(tmp_path / "reference.png", PHOTO[:, :, ::-1])
    first, second = (
        warp_and_match_color(replace(REGION, canvas=canvas), tmp_path / "reference.png", Warp(identity_maps, 0.1))
        for canvas in (PHOTO, painted)
    )
    assert first is not None
    assert second is not None
    np.testing.assert_array_equal(first.color_transform.coefficients, second.color_transform.coefficients)


def test_an_approximately_aligned_reference_that_shows_something_else_is_dropped(tmp_path: Path) -> None:
    warp = Warp(identity_maps, 0.0, approximate=True)
    assert warp_photo(tmp_path / "shifted.png", np.roll(PHOTO, (3, -4), (0, 1)), warp) is not None
    assert warp_photo(tmp_path / "other.png", PHOTO[::-1], warp) is None


@pytest.mark.parametrize("approximate", [True, False])
def test_a_reference_that_shows_nothing_around_the_hole_is_dropped(tmp_path: Path, approximate: bool) -> None:
    hidden = Warp(identity_maps, 0.0, visible=np.zeros(REGION.hole.shape, bool), approximate=approximate)
    outside = Warp(lambda columns, rows: (columns + 1000, rows, np.ones(rows.shape, bool)), 0.0)
    assert warp_photo(tmp_path / "hidden.png", PHOTO, hidden) is None
    assert warp_photo(tmp_path / "outside.png", PHOTO, outside) is None


def test_only_references_that_resemble_the_target_about_as_much_as_the_best_one_are_kept() -> None:
    gray = np.full((20, 30, 3), 0.5, np.float32)
    best, good, poor = (warped_reference(gray, similarity=similarity) for similarity in (0.8, 0.4, 0.39))
    assert filter_by_similarity([None, poor, best, good]) == [best, good]
    assert filter_by_similarity([warped_reference(gray, similarity=0.14)]) == []
    assert filter_by_similarity([None]) == []


def test_the_similarity_is_that_of_textured_pixels_near_the_hole() -> None:
    target = PHOTO.astype(np.float32) / 255
    hole = MASK > 0
    correlation = np.full(hole.shape, 0.7, np.float32)
    correlation[hole] = -1
    everywhere = np.ones(hole.shape, bool)
    assert similarity_around_hole(correlation, target, everywhere, hole) == pytest.approx(0.7)
    assert similarity_around_hole(correlation, np.full_like(target, 0.5), everywhere, hole) == 0
    assert similarity_around_hole(correlation, target, ~everywhere, hole) == 0


def test_coarse_colors_correlate_in_spite_of_noise_and_shifts_and_not_with_their_negative() -> None:
    target = PHOTO.astype(np.float32) / 255
    noisy = np.roll(target, (4, -5), (0, 1)) + np.random.default_rng(0).normal(0, 0.2, target.shape)
    everywhere = np.ones(target.shape[:2], bool)
    assert coarse_color_correlation(noisy.astype(np.float32), target, everywhere, 12) > 0.9
    assert coarse_color_correlation(1 - target, target, everywhere, 12) == pytest.approx(-1)


def test_a_difference_beside_the_hole_is_carried_into_its_nearer_half() -> None:
    target = np.full((60, 80, 3), 0.5, np.float32)
    reference = target.copy()
    reference[:, :20] += np.float32(0.2)
    shared = np.ones((60, 80), bool)
    shared[:, 20:60] = False
    settings = WarpedReferenceSettings(rim_blur=2, rim_reach=20)
    difference = carry_rim_difference(reference, target, shared, settings)
    outside, inside = 0.2 * np.sqrt(3), difference[30, 20:60]
    np.testing.assert_allclose(difference[:, :12], outside, rtol=1e-3)
    assert np.all(np.diff(inside[:18]) < 0), "it counts less the farther away it is"
    assert inside[2] > 0.9 * outside
    assert inside[-3] < 0.1 * outside
    assert inside[10] > 2 * inside[-10]


def test_no_difference_is_carried_where_nothing_is_shared() -> None:
    target = np.zeros((6, 8, 3), np.float32)
    assert not carry_rim_difference(target + 1, target, np.zeros((6, 8), bool)).any()


def test_where_all_is_shared_nothing_is_carried() -> None:
    target = np.zeros((6, 8, 3), np.float32)
    difference = carry_rim_difference(target + np.float32(0.1), target, np.ones((6, 8), bool))
    np.testing.assert_allclose(difference, 0.1 * np.sqrt(3), rtol=1e-4)


def test_a_reference_that_shows_something_else_beside_the_hole_differs_at_the_rim_there(tmp_path: Path) -> None:
    other = PHOTO.copy()
    other[80:120, 90:110] = 255 - other[80:120, 90:110]
    reference = warp_photo(tmp_path / "other.png", other, Warp(identity_maps, 0.1))
    assert reference is not None
    columns = np.arange(REGION.hole.shape[1]) < REGION.hole.shape[1] // 2
    left, right = REGION.hole & columns, REGION.hole & ~columns
    assert reference.rim_difference[left].mean() > 2 * reference.rim_difference[right].mean()
