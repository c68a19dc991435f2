"""Depth maps of references that see a post before a wall, which the target's hole hides."""

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
import pytest
import skimage.data

from realfill.core.failures import NumericalError
from realfill.geometry.camera import Camera, IntrinsicsPrior
from realfill.geometry.depth_consistency import ReferenceDepth
from realfill.geometry.depth_fusion import merge_reference_depths
from realfill.geometry.photo_consistency import SourceView, TargetView
from realfill.geometry.plane_sweep import PlaneSweepSettings, estimate_inverse_depth, refine_inverse_depth
from realfill.geometry.reconstruction import Reconstruction
from realfill.geometry.reference_depth import ReferenceDepthSettings, estimate_reference_depths
from realfill.imaging.ops import Pixels, to_gray
from realfill.imaging.region import Region, RegionSettings
from realfill.matching.photometric_alignment import AlignedPhotos

WIDTH, HEIGHT, FOCAL = 160, 120, 130.0
CENTER = ((WIDTH - 1) / 2, (HEIGHT - 1) / 2)
NEAR, FAR = 0.3, 0.1  # inverse depths of the post and the wall
POST = (slice(20, 101), slice(68, 93))  # where the target sees it
SHIFTS = (0, 0.4, -0.4, 0.7)  # of the cameras, target first
CAMERAS = {n: Camera(FOCAL, CENTER, (0.0, 0.0), np.eye(3), np.array([shift, 0, 0])) for n, shift in enumerate(SHIFTS)}
PRIORS = [IntrinsicsPrior(WIDTH, HEIGHT, (WIDTH / 2, HEIGHT / 2))] * len(SHIFTS)
SWEEP = PlaneSweepSettings(max_labels=24, refine_labels=7)
SETTINGS = ReferenceDepthSettings(plane_sweep=SWEEP)


def photo(shift: float) -> Pixels:
    """The post before the wall, from a camera moved along the columns, [H, W, 3] uint8."""
    columns, rows = np.meshgrid(np.arange(WIDTH, dtype=np.float32), np.arange(HEIGHT, dtype=np.float32))
    gravel, brick = (cv2.resize(image, (700, 500)) for image in (skimage.data.gravel(), skimage.data.brick()))
    view = cv2.remap(gravel, columns + 200 - FOCAL * FAR * shift, rows + 150, cv2.INTER_LINEAR)
    along = columns - FOCAL * NEAR * shift
    before = (along >= 68) & (along <= 92) & (rows >= 20) & (rows <= 100)
    view[before] = cv2.remap(brick, along + 50, rows + 50, cv2.INTER_LINEAR)[before]
    return np.repeat(view[..., None], 3, axis=2)


PHOTOS = [photo(shift) for shift in SHIFTS]


def points_at(inverse_depth: float, left: float, right: float, top: float, bottom: float, count: int) -> np.ndarray:
    x, y = np.random.default_rng(0).uniform((left, top), (right, bottom), (count, 2)).T
    return np.stack([x - CENTER[0], y - CENTER[1], np.full(count, FOCAL)], axis=1) / (FOCAL * inverse_depth)


POINTS = np.concatenate([points_at(FAR, -40, 200, 0, 120, 300), points_at(NEAR, 68, 92, 20, 100, 60)])
RECONSTRUCTION = Reconstruction(CAMERAS, POINTS, np.full(len(POINTS), 0.3), np.full(len(POINTS), 3))


def around_hole() -> Region:
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[30:90, 50:110] = 255
    return Region.around(PHOTOS[0], mask, RegionSettings(margin=0.4))


REGION = around_hole()


def estimate(
    numbers: Sequence[int] = (0, 1, 2, 3), photos: Sequence[Pixels] = PHOTOS, max_point_error: float = 1.5
) -> list[ReferenceDepth]:
    reconstruction = replace(RECONSTRUCTION, cameras={n: CAMERAS[n] for n in numbers})
    return estimate_reference_depths(reconstruction, AlignedPhotos(photos, 1.0), PRIORS, max_point_error, SETTINGS)


@pytest.fixture(scope="module")
def maps() -> list[ReferenceDepth]:
    return estimate()


def share_wrong(depth: np.ndarray) -> float:
    """Share of the hole where depth, [h, w] at the working scale, is neither the post's nor the wall's."""
    truth = np.full((HEIGHT, WIDTH), FAR)
    truth[POST] = NEAR
    return float((np.abs(depth - REGION.crop(truth)) > 0.02)[REGION.hole].mean())


def test_a_post_before_a_wall_is_seen_better_by_the_references_than_in_the_hole(maps: list[ReferenceDepth]) -> None:
    x, y, z = CAMERAS[0].project(POINTS)
    sparse = np.stack([*REGION.to_working(x, y), 1 / z], axis=1)
    gray = to_gray(REGION.crop_rescaled(REGION.canvas))
    target = TargetView(gray, REGION.hole, CAMERAS[0].rays(*REGION.grid()), sparse)
    views = [SourceView(to_gray(PHOTOS[n]), CAMERAS[n]) for n in (1, 2, 3)]
    swept = estimate_inverse_depth(target, views, SWEEP)
    merged = merge_reference_depths(maps, CAMERAS[0], REGION, SETTINGS)
    refined = refine_inverse_depth(target, views, merged, SETTINGS.refinement)
    for depth in (merged, refined):
        assert depth.shape == REGION.hole.shape
        assert depth.dtype == np.float32
        assert share_wrong(depth) < 0.18
        assert share_wrong(depth) < 0.7 * share_wrong(swept)


def test_what_the_target_shows_has_no_vote(maps: list[ReferenceDepth]) -> None:
    noise = np.random.default_rng(0).integers(0, 255, PHOTOS[0].shape, np.uint8)
    for one, again in zip(maps, estimate(photos=[noise, *PHOTOS[1:]]), strict=True):
        np.testing.assert_array_equal(one.inverse_depth, again.inverse_depth)
        np.testing.assert_array_equal(one.support, again.support)


def test_a_single_reference_has_no_depth_map() -> None:
    assert estimate(numbers=(0, 1)) == []


def test_without_points_there_are_no_depth_maps() -> None:
    assert estimate(max_point_error=0.1) == []


def flat(camera: Camera, inverse_depth: float) -> ReferenceDepth:
    """The depth map of a wall that faces the cameras."""
    shape = (HEIGHT, WIDTH)
    return ReferenceDepth(camera, np.full(shape, inverse_depth, np.float32), np.zeros(shape, np.float32))


def test_depth_maps_that_show_nothing_of_the_region_are_a_failure() -> None:
    turned = np.diag([-1.0, 1, -1])
    behind = [flat(replace(camera, rotation=turned), FAR) for camera in CAMERAS.values()]
    with pytest.raises(NumericalError, match="no depth map shows the region"):
        merge_reference_depths(behind, CAMERAS[0], REGION)
