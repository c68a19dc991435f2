"""Fusion of the references' depth maps in the target's view: drawn with a z-buffer, and merged where most agree."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from realfill.core.failures import NumericalError
from realfill.core.parallel import map_parallel
from realfill.geometry.camera import Camera
from realfill.geometry.depth_consistency import ReferenceDepth
from realfill.geometry.projection import inverse_depth_in, project
from realfill.geometry.reference_depth import ReferenceDepthSettings
from realfill.imaging.ops import fill_from_nearest
from realfill.imaging.region import Region


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
    layers = map_parallel(lambda one: _draw(one, target, region, settings), maps)
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
    x, y, depth = _project_into(region, relative, one.rays, one.inverse_depth)
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
    return x, y, np.where(in_front, inverse_depth_in(target, rays, inverse_depth), 0).astype(np.float32)


def _enlarge(inverse_depth: np.ndarray, factor: int, edge: float) -> np.ndarray:
    """Enlarge a depth map [h, w], without interpolation across its edges."""
    if factor == 1:
        return inverse_depth
    size = (inverse_depth.shape[1] * factor, inverse_depth.shape[0] * factor)
    nearest = cv2.resize(inverse_depth, size, interpolation=cv2.INTER_NEAREST)
    smooth = cv2.resize(inverse_depth, size, interpolation=cv2.INTER_LINEAR)
    return np.asarray(np.where(np.abs(smooth - nearest) > edge * nearest, nearest, smooth))
