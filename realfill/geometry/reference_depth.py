"""Depth of the target's view from depth maps of the references, each in its own view.

In the hole the target shows nothing: depth there is a vote among references, and its edges lie on no picture's edges.
A reference sees the scene itself. Each one's depth is swept in its own view, checked against the others' (Merrell et
al., ICCV 2007), drawn into the target's view with a z-buffer, and merged where most agree.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from realfill.core.failures import NumericalError, require_finite, skip_failing
from realfill.core.parallel import map_parallel
from realfill.geometry.camera import MIN_DEPTH, Camera, IntrinsicsPrior
from realfill.geometry.photo_consistency import SourceView, TargetView
from realfill.geometry.plane_sweep import PlaneSweepSettings, estimate_inverse_depth
from realfill.geometry.projection import in_bounds, project
from realfill.geometry.reconstruction import Reconstruction
from realfill.imaging.ops import Pixels, fill_from_nearest, shrink_to, to_float, to_gray
from realfill.imaging.region import Region


@dataclass(frozen=True)
class ReferenceDepthSettings:
    """How the references' depth maps are estimated, checked and merged.

    Attributes:
        side: Longer side of the depth maps, pixels.
        min_points: Sparse points in a reference, below which it has no depth map; set by hand.
        max_reprojection: How far a pixel may come back from where it left, through the depth of another reference
            and its own, for the two to agree, pixels of the depth map.
        unsupported: Weight of a depth that no other reference agrees with; one that n agree with weighs n more.
        max_deviation: How far merged depths may differ, pixels of displacement in the median reference.
        max_spacing: Distance of neighbors beyond which a map is enlarged before it is drawn, pixels of the target.
        max_enlargement: The most that it is enlarged.
        edge: Relative difference of inverse depth between neighbors that makes an edge, across which an enlarged map
            is not interpolated.
        speckle_area: Islands of merged depths up to this share of the region are mistakes.
        median_size: Side of the median filter of the merged depth, pixels.
        plane_sweep: Of a reference's depth map. With the weight of colors COLORS_MEASURED
        refinement: Of the merged depth, in the target's view. Without the blur that the sweep's own refinement begins
            with, the edges stay sharp.
    """

    side: int = 512
    min_points: int = 30
    max_reprojection: float = 1.5
    unsupported: float = 0.3
    max_deviation: float = 2.0
    max_spacing: float = 0.7
    max_enlargement: int = 6
    edge: float = 0.02
    speckle_area: float = 0.002
    median_size: int = 5
    plane_sweep: PlaneSweepSettings = PlaneSweepSettings(coarse_side=320, max_labels=96, color_weight=1.0)
    refinement: PlaneSweepSettings = PlaneSweepSettings(refine_reach=1.5, refine_labels=7, refine_blur=0)


@dataclass(frozen=True)
class ReferenceDepth:
    """The depth map of a reference.

    Attributes:
        camera: Of the picture that is as large as the depth map.
        inverse_depth: [h, w] float32; 0 where more of the other references contradict it than agree.
        support: How many of the others agree, [h, w] float32.
        number: Of the photo.
    """

    camera: Camera
    inverse_depth: np.ndarray
    support: np.ndarray
    number: int = 0


def estimate_reference_depths(
    reconstruction: Reconstruction,
    photos: Sequence[Pixels],
    priors: Sequence[IntrinsicsPrior],
    max_point_error: float,
    settings: ReferenceDepthSettings = ReferenceDepthSettings(),
    color_tolerance: float = 1.0,
) -> list[ReferenceDepth]:
    """Estimate the depth map of every posed reference from the other references.

    The target takes no part, so that the depth maps do not depend on its hole.

    Args:
        reconstruction: Of the scene; photo 0 is the target.
        photos: Target and references, [h, w, 3] uint8, all in the target's colors; smaller than at full size, or not.
        priors: Of the cameras, one per photo, at full size.
        max_point_error: Mean reprojection error beyond which a sparse point is not used.
        settings: Size and checks.
        color_tolerance: See `photometric_alignment`.

    Returns:
        One per reference that has one; empty where fewer than two have.
    """
    views = {}
    for number, camera in sorted(reconstruction.cameras.items()):
        if number:
            photo = shrink_to(photos[number], settings.side)
            colors = to_float(photo) / np.float32(color_tolerance)
            views[number] = SourceView(to_gray(photo), camera.rescale(photo.shape[1] / priors[number].width), colors)
    points = reconstruction.points[reconstruction.errors < max_point_error]

    def estimate(number: int) -> ReferenceDepth | None:
        view, rest = views[number], [other for n, other in views.items() if n != number]
        others = [replace(other, camera=other.camera.relative_to(view.camera)) for other in rest]
        with skip_failing(f"The depth of reference {number}"):
            depth = _estimate_depth(view, others, points, settings) if others else None
            return None if depth is None else ReferenceDepth(view.camera, depth, np.zeros_like(depth), number)
        return None

    maps = [depth for depth in map_parallel(estimate, views) if depth is not None]
    return check_consistency(maps, settings) if len(maps) > 1 else []


def _estimate_depth(
    view: SourceView, others: Sequence[SourceView], points: np.ndarray, settings: ReferenceDepthSettings
) -> np.ndarray | None:
    """Estimate the inverse depth of a reference, [h, w] float32; None where it shows too few of the points [N, 3]."""
    columns, rows, depth = view.camera.project(points @ view.camera.rotation.T + view.camera.translation)
    shown = (depth > MIN_DEPTH) & in_bounds(columns, rows, view.gray.shape)
    if shown.sum() < settings.min_points:
        return None
    sparse = np.stack([columns[shown], rows[shown], 1 / depth[shown]], axis=1)
    whole = np.zeros(view.gray.shape, bool)
    target = TargetView(view.gray, whole, _rays(view.camera, view.gray.shape), sparse, view.colors)
    inverse_depth = estimate_inverse_depth(target, others, settings.plane_sweep)
    require_finite(inverse_depth=inverse_depth)
    return np.asarray(np.maximum(inverse_depth, MIN_DEPTH * inverse_depth.max()))  # 0 stands for nothing


def _rays(camera: Camera, shape: Sequence[int]) -> np.ndarray:
    """Directions of the pixels of a picture, [h, w, 3] float32."""
    rows, columns = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    return camera.rays(columns, rows)


def check_consistency(
    maps: Sequence[ReferenceDepth], settings: ReferenceDepthSettings = ReferenceDepthSettings()
) -> list[ReferenceDepth]:
    """Count for each pixel of depth maps which other ones agree, and drop the pixel where more contradict it.

    Another one agrees where the pixel, projected into it by its own depth, returns by the other's depth to where it
    came from. It contradicts where it sees a farther surface through the point (a free-space violation) that has
    support itself. Where it sees a nearer one, the point may be hidden from it.

    Args:
        maps: Their support is not read.
        settings: When they agree.
    """
    supported = []
    for one in maps:
        votes = [_compare(one, other, settings.max_reprojection) for other in maps if other is not one]
        support = np.sum([agrees for agrees, _ in votes], axis=0).astype(np.float32)
        supported.append(replace(one, support=support))
    checked = []
    for one in supported:
        votes = [_compare(one, other, settings.max_reprojection) for other in supported if other is not one]
        conflicts = np.sum([conflicts for _, conflicts in votes], axis=0)
        kept = np.where(conflicts > one.support, np.float32(0), one.inverse_depth)
        checked.append(replace(one, inverse_depth=kept))
    return checked


def _compare(one: ReferenceDepth, other: ReferenceDepth, max_reprojection: float) -> tuple[np.ndarray, np.ndarray]:
    """Tell where another depth map agrees, and where it contradicts, bool [h, w] each."""
    rows, columns = np.mgrid[: one.inverse_depth.shape[0], : one.inverse_depth.shape[1]].astype(np.float32)
    rays = one.camera.rays(columns, rows)
    camera = other.camera.relative_to(one.camera)
    x, y, in_front = project(camera, rays, one.inverse_depth)
    seen = in_front & in_bounds(x, y, other.inverse_depth.shape)
    x, y = np.where(seen, x, 0), np.where(seen, y, 0)
    surface, support = (cv2.remap(plane, x, y, cv2.INTER_NEAREST) for plane in (other.inverse_depth, other.support))
    back_x, back_y, in_front = project(one.camera.relative_to(other.camera), other.camera.rays(x, y), surface)
    agrees = seen & in_front & (np.hypot(back_x - columns, back_y - rows) < max_reprojection)
    nearer = _inverse_depth_in(camera, rays, one.inverse_depth) > surface
    return agrees, seen & ~agrees & nearer & (support > 0)


def _inverse_depth_in(camera: Camera, rays: np.ndarray, inverse_depth: np.ndarray) -> np.ndarray:
    """Inverse depth of points in another camera.

    Args:
        camera: The other, relative to the one that sees the points.
        rays: Directions of the points, [h, w, 3] float32 with z = 1.
        inverse_depth: [h, w] float32.

    Returns:
        [h, w] float32; 0 behind the camera.
    """
    along = rays @ camera.rotation[2].astype(np.float32) + inverse_depth * np.float32(camera.translation[2])
    return np.asarray(np.where(along > 0, inverse_depth / np.where(along > 0, along, 1), 0), np.float32)


def merge_reference_depths(
    maps: Sequence[ReferenceDepth],
    target: Camera,
    region: Region,
    settings: ReferenceDepthSettings = ReferenceDepthSettings(),
) -> np.ndarray:
    """Merge the references' depth maps in the target's view.

    Args:
        maps: As `estimate_reference_depths` returns them.
        target: Camera of the target at full size.
        region: The part of the target.
        settings: Checks.

    Returns:
        Inverse depth of the region, [h, w] float32 at the working scale.

    Raises:
        NumericalError: The depth maps show nothing of the region.
    """
    layers = [_draw(one, target, region, settings) for one in maps]
    depths = np.stack([depth for depth, _ in layers])  # [K, h, w]; 0: nothing
    drawn = depths > 0
    if not drawn.any():
        raise NumericalError("no depth map shows the region")
    baseline = float(np.median([np.linalg.norm(one.camera.relative_to(target).translation) for one in maps]))
    tolerance = settings.max_deviation / max(target.focal * region.scale * baseline, 1e-9)
    weights = np.where(drawn, np.stack([support for _, support in layers]) + settings.unsupported, 0)
    votes = np.full(depths.shape, -1, np.float32)
    means = np.zeros_like(depths)
    for number, depth in enumerate(depths):
        agreeing = weights * (np.abs(depths - depth) < tolerance)
        votes[number] = np.where(drawn[number], agreeing.sum(axis=0), -1)
        means[number] = (agreeing * depths).sum(axis=0) / np.maximum(agreeing.sum(axis=0), 1e-9)
    best = votes.argmax(axis=0)[None]
    merged = np.take_along_axis(means, best, axis=0)[0]
    steps = np.rint(merged / tolerance).clip(0, np.iinfo(np.int16).max).astype(np.int16)
    islands, _ = cv2.filterSpeckles(steps, -1, round(settings.speckle_area * steps.size), 1)
    filled = fill_from_nearest(merged, (islands >= 0) & (depths.max(axis=0) > 0)).astype(np.float32)
    return np.asarray(cv2.medianBlur(filled, settings.median_size))


def _draw(
    one: ReferenceDepth, target: Camera, region: Region, settings: ReferenceDepthSettings
) -> tuple[np.ndarray, np.ndarray]:
    """Draw a depth map into the region with a z-buffer.

    Returns:
        Inverse depth and support, [h, w] float32 each; 0 where nothing is drawn.
    """
    width, height = region.size
    relative = target.relative_to(one.camera)
    x, y, depth = _project_into(region, relative, _rays(one.camera, one.inverse_depth.shape), one.inverse_depth)
    near = (depth > 0) & (x > -1) & (y > -1) & (x < width) & (y < height)
    empty = np.zeros((height, width), np.float32)
    if not near.any():
        return empty, empty
    left, top, columns, rows = cv2.boundingRect(near.astype(np.uint8))
    box = np.s_[top : top + rows, left : left + columns]
    spacing = np.median(np.hypot(np.diff(x, axis=1), np.diff(y, axis=1))[near[:, 1:]]) if near[:, 1:].any() else 1.0
    factor = int(np.clip(np.ceil(spacing / settings.max_spacing), 1, settings.max_enlargement))
    inverse_depth, support = _enlarge(one.inverse_depth[box], factor, settings.edge), one.support[box]
    support = np.repeat(np.repeat(support, factor, axis=0), factor, axis=1)
    fine_x, fine_y = np.meshgrid(
        ((np.arange(columns * factor, dtype=np.float32) + 0.5) / factor - 0.5 + left),
        ((np.arange(rows * factor, dtype=np.float32) + 0.5) / factor - 0.5 + top),
    )
    x, y, depth = _project_into(region, relative, one.camera.rays(fine_x, fine_y), inverse_depth)
    shown = (depth > 0) & (x > -0.5) & (y > -0.5) & (x < width - 0.5) & (y < height - 0.5)
    place = np.rint(y[shown]).astype(int) * width + np.rint(x[shown]).astype(int)
    values = depth[shown]
    drawn, supported = empty.ravel().copy(), empty.ravel().copy()
    np.maximum.at(drawn, place, values)
    nearest = values == drawn[place]
    supported[place[nearest]] = support[shown][nearest]
    return drawn.reshape(height, width), supported.reshape(height, width)


def _project_into(
    region: Region, target: Camera, rays: np.ndarray, inverse_depth: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Project pixels of a reference into the region: columns, rows, and inverse depth there (0: behind the camera).

    Args:
        region: Of the target.
        target: Its camera at full size, relative to the reference's.
        rays: Directions of the reference's pixels, [h, w, 3] float32.
        inverse_depth: [h, w] float32.
    """
    columns, rows, in_front = project(target, rays, inverse_depth)
    x, y = region.to_working(columns, rows)
    return x, y, np.where(in_front, _inverse_depth_in(target, rays, inverse_depth), 0).astype(np.float32)


def _enlarge(inverse_depth: np.ndarray, factor: int, edge: float) -> np.ndarray:
    """Enlarge a depth map [h, w], without interpolation across its edges."""
    if factor == 1:
        return inverse_depth
    size = (inverse_depth.shape[1] * factor, inverse_depth.shape[0] * factor)
    nearest = cv2.resize(inverse_depth, size, interpolation=cv2.INTER_NEAREST)
    smooth = cv2.resize(inverse_depth, size, interpolation=cv2.INTER_LINEAR)
    return np.asarray(np.where(np.abs(smooth - nearest) > edge * nearest, nearest, smooth))
