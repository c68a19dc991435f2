"""Warps of the references by the geometry of the scene.

Structure from motion and a depth map give the warps where the scene is deep. Where the camera only turned, or the
scene is flat, a homography for each reference does.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from realfill.core.failures import require_finite, skip_failing
from realfill.geometry.camera import MIN_DEPTH, Camera, IntrinsicsPrior
from realfill.geometry.depth_consistency import ReferenceDepth
from realfill.geometry.depth_fusion import merge_reference_depths
from realfill.geometry.photo_consistency import SourceView, TargetView
from realfill.geometry.plane_sweep import PlaneSweepSettings, estimate_inverse_depth, refine_inverse_depth
from realfill.geometry.projection import VisibilitySettings, compute_visibility, project_pixels
from realfill.geometry.reconstruction import Reconstruction
from realfill.geometry.reference_depth import ReferenceDepthSettings
from realfill.geometry.resection import ResectionSettings, resect_target
from realfill.geometry.sfm import SfmSettings, reconstruct
from realfill.geometry.warp import Warp, homography_warp
from realfill.imaging.ops import Pixels, to_gray
from realfill.imaging.region import Region
from realfill.matching.album_matches import AlbumMatchSettings
from realfill.matching.correspondences import Matches
from realfill.matching.two_view import TwoViewSettings, estimate_two_view_geometry


@dataclass(frozen=True)
class ReferenceWarpSettings:
    """When cameras and depth are used, and when homographies.

    Attributes:
        side: Longer side of the photos in whose pixels errors are judged: the size that ALIKED sees.
        min_points: Sparse points around the hole, below which no depth is estimated; set by hand.
        max_point_error: Mean reprojection error beyond which a sparse point is not used, pixels at `side`; set by
            hand.
        point_margin: How far outside the region sparse points are used, pixels at the working scale; set by hand.
        min_plane_matches: Matches that a homography has to explain, if it is to be used; set by hand.
        two_view: Of the homographies.
        sfm: Of structure from motion.
        resection: Of the target's camera.
        plane_sweep: Of the depth map, where it is swept in the target's view.
        reference_depth: Of the depth maps of the references.
        visibility: Of occlusion in a reference.
    """

    side: int = AlbumMatchSettings.aliked_side
    min_points: int = 30
    max_point_error: float = 1.5
    point_margin: float = 40
    min_plane_matches: int = 40
    two_view: TwoViewSettings = TwoViewSettings()
    sfm: SfmSettings = SfmSettings()
    resection: ResectionSettings = ResectionSettings()
    plane_sweep: PlaneSweepSettings = PlaneSweepSettings()
    reference_depth: ReferenceDepthSettings = ReferenceDepthSettings()
    visibility: VisibilitySettings = VisibilitySettings()


def reconstruct_scene(
    matches: Mapping[tuple[int, int], Matches],
    priors: Sequence[IntrinsicsPrior],
    settings: ReferenceWarpSettings = ReferenceWarpSettings(),
) -> Reconstruction | None:
    """Estimate the cameras and sparse points of a scene; see `sfm.reconstruct` and `resection`.

    Returns:
        The reconstruction; None where there is none, or its computation fails.

    Raises:
        StageError: Structure from motion cannot run.
    """
    scales, reconstruction = _scales(priors, settings), None
    with skip_failing("Structure from motion"):
        reconstruction = reconstruct(priors, matches, scales, settings.sfm)
    if reconstruction is not None:
        with skip_failing("The resection of the target"):
            return resect_target(reconstruction, matches, priors, scales, settings.resection)
    return reconstruction


def estimate_reference_warps(
    region: Region,
    reconstruction: Reconstruction | None,
    matches: Mapping[tuple[int, int], Matches],
    photos: Sequence[Pixels],
    priors: Sequence[IntrinsicsPrior],
    settings: ReferenceWarpSettings = ReferenceWarpSettings(),
    reference_depths: Sequence[ReferenceDepth] = (),
) -> Iterator[tuple[str, dict[int, Warp]]]:
    """Estimate how the region is mapped into the references.

    Where focal lengths are unresolved, a camera that only turned seems to have moved. Then homographies are preferred
    if they explain all references.

    Args:
        region: The part of the target around the hole.
        reconstruction: Of the scene, as `reconstruct_scene` returns it.
        matches: Between photos i < j by (i, j), pixels of the full-size photos; photo 0 is the target.
        photos: Target and references, [h, w, 3] uint8 RGB; they may be smaller than at full size.
        priors: Of the cameras, one per photo, at full size.
        settings: When cameras are used, and when homographies.
        reference_depths: Of which the region's depth is merged; without any it is swept in the target's view.

    Yields:
        Models of the scene, the preferred one first: "depth" if there are cameras and depth, then "plane". Of each
        its warps by number of the reference; references that could not be placed are absent. A model is estimated
        when it is asked for.
    """
    homographies = None
    if reconstruction is not None and reconstruction.focal_unresolved:
        homographies = _homography_warps(matches, _scales(priors, settings), settings)
        if reconstruction.cameras.keys() - {0} <= homographies.keys():
            reconstruction = None
    warps = None
    if reconstruction is not None:
        with skip_failing("The depth of the scene"):
            points = _project_sparse_points(region, reconstruction, settings)
            if len(points) >= settings.min_points:
                warps = _depth_warps(region, reconstruction, points, photos, priors, reference_depths, settings)
    if warps is not None:
        yield "depth", warps
    yield "plane", homographies or _homography_warps(matches, _scales(priors, settings), settings)


def _scales(priors: Sequence[IntrinsicsPrior], settings: ReferenceWarpSettings) -> list[float]:
    """Size at which errors are judged / full size, one per photo."""
    return [min(1.0, settings.side / max(prior.width, prior.height)) for prior in priors]


def _project_sparse_points(
    region: Region, reconstruction: Reconstruction, settings: ReferenceWarpSettings
) -> np.ndarray:
    """Project the accurate sparse points into the region: columns, rows (working scale), inverse depth, [N, 3]."""
    camera = reconstruction.cameras[0]
    columns, rows, depth = camera.project_world(reconstruction.points)
    x, y = region.to_working(columns, rows)
    width, height = region.size
    margin = settings.point_margin
    inside = (x > -margin) & (x < width + margin) & (y > -margin) & (y < height + margin)
    kept = (depth > MIN_DEPTH) & (reconstruction.errors < settings.max_point_error) & inside
    return np.stack([x[kept], y[kept], 1 / depth[kept]], axis=1)


def _depth_warps(
    region: Region,
    reconstruction: Reconstruction,
    points: np.ndarray,
    photos: Sequence[Pixels],
    priors: Sequence[IntrinsicsPrior],
    reference_depths: Sequence[ReferenceDepth],
    settings: ReferenceWarpSettings,
) -> dict[int, Warp]:
    """Estimate the depth of the region, and derive the warps of all posed references from it."""
    target = reconstruction.cameras[0]
    cameras = {number: camera.relative_to(target) for number, camera in reconstruction.cameras.items() if number}
    side = round(max(region.canvas.shape[:2]) * region.scale)
    views = [SourceView.of(photos[number], side, camera, priors[number]) for number, camera in cameras.items()]
    rays = target.rays(*region.grid())  # [h, w, 3]
    target_view = TargetView(to_gray(region.crop_rescaled(region.canvas)), region.hole, rays, points)
    if reference_depths:
        merged = merge_reference_depths(reference_depths, target, region, settings.reference_depth)
        inverse_depth = refine_inverse_depth(target_view, views, merged, settings.reference_depth.refinement)
    else:
        inverse_depth = estimate_inverse_depth(target_view, views, settings.plane_sweep)
    median_inverse_depth = np.median(points[:, 2])
    require_finite(inverse_depth=inverse_depth, median_inverse_depth=median_inverse_depth)
    warps = {}
    for number, camera in cameras.items():
        with skip_failing(f"The visibility in reference {number}"):
            warps[number] = Warp(
                _DepthMap(target, camera, inverse_depth),
                parallax=math.atan(float(np.linalg.norm(camera.translation) * median_inverse_depth)),
                visible=compute_visibility(camera, rays, inverse_depth, settings.visibility),
            )
    return warps


@dataclass(frozen=True)
class _DepthMap:
    """The `CoordinateMap` of a reference by the depth of the region.

    Attributes:
        target: The target's camera.
        reference: The reference's camera, relative to the target's.
        inverse_depth: Of the region, [h, w] float32 at the working scale.
    """

    target: Camera
    reference: Camera
    inverse_depth: np.ndarray

    def __call__(self, columns: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Map the region's pixels, at any scale, into the reference; see `Warp.maps`."""
        height, width = columns.shape
        inverse_depth = cv2.resize(self.inverse_depth, (width, height), interpolation=cv2.INTER_LINEAR)
        return project_pixels(self.target, self.reference, columns, rows, inverse_depth)


def _homography_warps(
    matches: Mapping[tuple[int, int], Matches], scales: Sequence[float], settings: ReferenceWarpSettings
) -> dict[int, Warp]:
    """Estimate homographies for the references that see nothing but a plane, or were taken from the same place."""
    warps = {}
    for (i, number), pairs in matches.items():
        if i:
            continue
        with skip_failing(f"The homography to reference {number}"):
            homography = _estimate_homography(pairs.rescale(scales[0], scales[number]), settings)
            if homography is not None:
                down, up = np.diag([scales[0], scales[0], 1]), np.diag([1 / scales[number], 1 / scales[number], 1])
                warps[number] = homography_warp(up @ homography @ down)
    return warps


def _estimate_homography(matches: Matches, settings: ReferenceWarpSettings) -> np.ndarray | None:
    """Estimate the homography [3, 3] of matches; None where it explains too few, or fewer than another geometry."""
    geometry = estimate_two_view_geometry(matches, settings.two_view)
    if geometry is None or geometry.fundamental is not None:
        return None
    if geometry.inlier_mask(matches).sum() < settings.min_plane_matches:
        return None
    require_finite(homography=geometry.homography)
    return geometry.homography
