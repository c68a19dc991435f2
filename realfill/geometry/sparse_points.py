"""What the sparse points of a reconstruction say of the depth between and beyond them.

Inverse depth is affine in the picture on every plane, so it is interpolated and extrapolated linearly.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import LinearNDInterpolator
from scipy.spatial import cKDTree


@dataclass(frozen=True)
class SparsePointSettings:
    """Which points are used, and what it costs a depth to lie off them.

    All values were set by hand. The surface's cost was bounded from `surface_scale` on at first; that it grows on
    was measured together with `PlaneSweepSettings.max_near_outliers`, see there.

    Attributes:
        neighbors: Points with which a point's depth is compared.
        max_deviation: How far it may lie off their median, as a multiple of their median absolute deviation.
        min_deviation: How far it always may, as a share of the range of all points' inverse depths.
        range_percentiles: Between which of the points this range is measured.
        surface_weight: Cost of lying off the surface through the points, at a point: multiplied by log(1 + d / s) of
            the distance d.
        surface_scale: s, pixels of a view.
        surface_floor: Share of the weight that is left far from all points.
        surface_reach: Distance from the next point in which the rest falls by e, as a share of the longer side.
        anchor_weight: Additional cost of lying off a point in the 3 x 3 pixels around it.
        anchor_labels: Distance from the point at which that is reached, labels.
        extrapolation_points: Nearest points that define the plane beyond the points.
        extrapolation_margin: How far beyond the picture the surface is continued, as a share of its sides.
        extrapolation_nodes: Places where it is continued, along either side.
        irls_rounds: Rounds of reweighted least squares for such a plane.
        irls_scale: Scale of Cauchy's weights, as a multiple of the median error.
        irls_ridge: Regularization of the plane's slopes.
    """

    neighbors: int = 12
    max_deviation: float = 4.0
    min_deviation: float = 0.03
    range_percentiles: tuple[float, float] = (2, 98)
    surface_weight: float = 0.3
    surface_scale: float = 6.0
    surface_floor: float = 0.35
    surface_reach: float = 0.06
    anchor_weight: float = 0.6
    anchor_labels: float = 3.0
    extrapolation_points: int = 40
    extrapolation_margin: float = 0.1
    extrapolation_nodes: int = 9
    irls_rounds: int = 5
    irls_scale: float = 1.5
    irls_ridge: float = 1e-2


def drop_inconsistent_points(points: np.ndarray, settings: SparsePointSettings = SparsePointSettings()) -> np.ndarray:
    """Drop the points whose inverse depth does not agree with that of their neighbors.

    Args:
        points: Columns, rows and inverse depths, float64 [N, 3].
        settings: How far they may differ.
    """
    _, nearest = cKDTree(points[:, :2]).query(points[:, :2], k=min(settings.neighbors, len(points)))  # [N, k]
    depths = points[:, 2]
    median = np.median(depths[nearest], axis=1)
    deviation = np.median(np.abs(depths[nearest] - median[:, None]), axis=1)
    span = np.ptp(np.percentile(depths, settings.range_percentiles))
    allowed = np.maximum(settings.max_deviation * deviation, settings.min_deviation * span)
    kept: np.ndarray = points[np.abs(depths - median) <= allowed]
    return kept


def sparse_point_cost(
    points: np.ndarray,
    shape: tuple[int, int],
    labels: np.ndarray,
    pixels_per_label: float,
    settings: SparsePointSettings = SparsePointSettings(),
) -> np.ndarray:
    """Compute the cost of every depth at every pixel: how far it lies off the surface through the sparse points.

    The cost is the lower the farther the points are from the pixel.

    Args:
        points: Columns, rows and inverse depths, float64 [N, 3].
        shape: Height and width of the picture.
        labels: Inverse depths in equal steps, ascending, [L].
        pixels_per_label: Displacement in a view that a step causes.
        settings: Weights.

    Returns:
        [L, H, W] float32.
    """
    height, width = shape
    surface, distance = _interpolate_surface(points, height, width, labels, settings)
    step = labels[1] - labels[0]
    nearness = np.exp(-distance / (settings.surface_reach * max(height, width)))
    weight = settings.surface_weight * (settings.surface_floor + (1 - settings.surface_floor) * nearness)  # [H, W]
    place = ((surface - labels[0]) / step).astype(np.float32)  # [H, W], labels
    cost = np.empty((len(labels), height, width), np.float32)
    for number in range(len(labels)):
        off = np.abs(np.float32(number) - place)  # [H, W], labels
        off *= np.float32(pixels_per_label / settings.surface_scale)
        off += 1
        np.multiply(np.log(off, out=off), weight, out=cost[number])
    numbers = np.arange(len(labels), dtype=np.float32)
    for x, y, depth in points:
        column, row = round(float(x)), round(float(y))
        if 0 <= column < width and 0 <= row < height:
            labels_off = np.abs(numbers - (depth - labels[0]) / step)
            penalty = settings.anchor_weight * np.minimum(labels_off / settings.anchor_labels, 1)
            near = np.s_[:, max(0, row - 1) : row + 2, max(0, column - 1) : column + 2]
            cost[near] += penalty[:, None, None]
    return cost


def _interpolate_surface(
    points: np.ndarray, height: int, width: int, labels: np.ndarray, settings: SparsePointSettings
) -> tuple[np.ndarray, np.ndarray]:
    """Interpolate inverse depth between points [N, 3], and beyond them by planes, within the range of the labels.

    Returns:
        Inverse depth, and the distance to the nearest point in pixels, [H, W] float32 each.
    """
    low, high = float(labels[0]), float(labels[-1])
    along = np.linspace(
        -settings.extrapolation_margin, 1 + settings.extrapolation_margin, settings.extrapolation_nodes
    )
    frame = np.array([(u * width, v * height) for u in along for v in along if not (0 <= u <= 1 and 0 <= v <= 1)])
    tree = cKDTree(points[:, :2])
    _, nearest = tree.query(frame, k=min(settings.extrapolation_points, len(points)))  # [F, k]
    beyond = np.array(
        [_extrapolate(points[group], place, settings) for group, place in zip(nearest, frame, strict=True)]
    )
    places = np.concatenate([points[:, :2], frame])
    depths = np.concatenate([points[:, 2], beyond.clip(low, high)])
    rows, columns = np.mgrid[:height, :width]
    distance, _ = tree.query(np.stack([columns, rows], axis=-1).reshape(-1, 2))
    surface = LinearNDInterpolator(places, depths)(columns, rows)
    return surface.astype(np.float32), distance.reshape(height, width).astype(np.float32)


def _extrapolate(points: np.ndarray, place: np.ndarray, settings: SparsePointSettings) -> float:
    """Return the inverse depth at a place [2] of the plane through points [N, 3], robust by Cauchy's weights."""
    terms = np.column_stack([(points[:, :2] - place) / 100, np.ones(len(points))])  # [N, 3]
    ridge = np.diag([settings.irls_ridge, settings.irls_ridge, 0])
    weight = np.ones(len(points))
    for _ in range(settings.irls_rounds):
        normal = terms.T @ (terms * weight[:, None]) + ridge
        plane = np.linalg.solve(normal, terms.T @ (points[:, 2] * weight))
        error = np.abs(terms @ plane - points[:, 2])
        weight = 1 / (1 + (error / (settings.irls_scale * max(float(np.median(error)), 1e-9))) ** 2)
    return float(plane[2])
