"""Depth of the target's view, inside the hole too, from how well the references agree with each other.

A plane sweep (Collins, CVPR 1996; Kang, Szeliski and Chai, CVPR 2001) over inverse depths of the target's camera: at
each depth the references are warped into the view and compared by normalised cross-correlation: where the target is
known with the target, in the hole among each other. Costs are regularised by semi-global matching (Hirschmüller,
PAMI 2008) and by the sparse points of the reconstruction. Inverse depth is affine in the image on every plane.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from scipy.interpolate import LinearNDInterpolator
from scipy.spatial import cKDTree

from realfill.geometry.projection import View, in_bounds, project
from realfill.geometry.sgm import sgm_labels
from realfill.imaging.ncc import NCC_WINDOW, NccPatches
from realfill.imaging.ops import fill_from_nearest

_SWEPT_SIDE = 400  # pixels along the longer side of the part in the first sweep
_LABELS = (16, 192)
_P1, _P2 = 0.12, 1.2  # costs of a step of one label, and of any larger one
_OUTLIERS = 0.5  # percent of the points: what the range leaves out at either end
_STRAYS = 3  # points: the most it leaves out at the near end, where things have few points
_MARGIN = 0.1  # of the points' range: what may lie beyond them
_GUIDE, _NEAR = 0.3, 6.0  # cost of lying off the sparse points' surface, pixels of a view from which it flattens
_ANCHOR = 0.6  # cost of lying far from a sparse point, at it
_NEIGHBOURS = 40  # points whose plane is continued beyond them
_ROUNDS = 5
_SPECK = 0.002  # of the part: an island of depths as small as this is a mistake
_SPECK_STEP = 3  # labels by which an island lies apart from what is around it
_REFINED = 3.0  # pixels that the last sweep looks to either side
_OFFSETS = 13  # labels of the later sweeps
_SMOOTHED, _RIPPLE, _SPREAD = 2, 1.5, 3.0  # rounds, pixels of a view, pixels of the part


@dataclass(frozen=True)
class Target:
    """The part of the target whose depth is asked for.

    Attributes:
        gray: [H, W] float32, 0 to 1; anything in the hole.
        hole: [H, W] bool.
        rays: Directions of the pixels, [H, W, 3] float32.
        points: Sparse points in this part, columns, rows and inverse depths, float64 [N, 3].
    """

    gray: np.ndarray
    hole: np.ndarray
    rays: np.ndarray
    points: np.ndarray


def inverse_depth(target: Target, views: Sequence[View]) -> np.ndarray:
    """Inverse depth of every pixel of the target's part, [H, W] float32.

    Args:
        target: With at least 8 points.
        views: At least one; with only one the hole's depth continues its surroundings and the sparse points.
    """
    points = _consistent(target.points)
    target = Target(target.gray, target.hole, target.rays, points)
    shrink = min(1.0, _SWEPT_SIDE / max(target.hole.shape))
    coarse, small = _shrunk(target, shrink), [_shrunk_view(view, shrink) for view in views]
    range_, pixels = _range(coarse, small)
    count = int(np.clip(pixels, *_LABELS))
    labels = np.linspace(*range_, count)
    step, per_label = float(labels[1] - labels[0]), pixels / count
    cost = np.stack([_matching_cost(coarse, small, label) for label in labels], axis=-1)  # [h, w, L]
    cost += _guidance(coarse, labels, per_label)
    place = _without_specks(sgm_labels(cost, _P1, _P2))
    rough = cv2.medianBlur((labels[0] + place * step).astype(np.float32), 5)
    height, width = target.hole.shape
    full = cv2.resize(rough, (width, height))
    pixel = step * shrink / per_label
    middle = _refined(target, views, full, pixel, max(_REFINED, 1.2 * per_label / shrink))
    return _smoothed(_refined(target, views, middle, pixel, _REFINED), pixel)


def _smoothed(depth: np.ndarray, pixel: float) -> np.ndarray:
    """Inverse depth [H, W] without the ripple of single pixels, its edges kept."""
    smooth = depth / np.float32(pixel)
    for _ in range(_SMOOTHED):
        smooth = cv2.bilateralFilter(smooth, 0, sigmaColor=_RIPPLE, sigmaSpace=_SPREAD)
    return np.asarray(smooth * np.float32(pixel))


def _without_specks(labels: np.ndarray) -> np.ndarray:
    """Labels [H, W] float32 where small islands take the label of the nearest pixel around them."""
    rounded = np.rint(labels).astype(np.int16)
    kept, _ = cv2.filterSpeckles(rounded, -1, round(_SPECK * labels.size), _SPECK_STEP)
    return fill_from_nearest(labels, kept >= 0)


def _refined(target: Target, views: Sequence[View], rough: np.ndarray, pixel: float, reach: float) -> np.ndarray:
    """Sweep again some pixels around a depth.

    Args:
        target: At full size.
        views: At full size.
        rough: Inverse depth, [H, W] float32.
        pixel: The inverse depth that moves a view by one pixel.
        reach: Pixels that are looked to either side.
    """
    base = cv2.GaussianBlur(rough, (0, 0), 1.0)
    offsets = np.linspace(-reach, reach, _OFFSETS)
    cost = np.stack(
        [
            _matching_cost(target, views, np.maximum(base + np.float32(offset * pixel), 0))
            + np.float32(0.1 * abs(offset) / reach)
            for offset in offsets
        ],
        axis=-1,
    )
    place = sgm_labels(cost, _P1, _P2)
    step = offsets[1] - offsets[0]
    refined: np.ndarray = np.maximum(base + ((place * step - reach) * pixel).astype(np.float32), 0)
    return refined


def _shrunk(target: Target, shrink: float) -> Target:
    gray, hole, rays = (_area(plane, shrink) for plane in (target.gray, target.hole.astype(np.float32), target.rays))
    scale = np.array(gray.shape[::-1]) / target.gray.shape[::-1]
    places = (target.points[:, :2] + 0.5) * scale - 0.5
    return Target(gray, hole > 0, rays, np.column_stack([places, target.points[:, 2]]))


def _area(image: np.ndarray, shrink: float) -> np.ndarray:
    if shrink == 1:
        return image
    size = (round(image.shape[1] * shrink), round(image.shape[0] * shrink))
    shrunk: np.ndarray = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return shrunk


def _shrunk_view(view: View, shrink: float) -> View:
    gray = _area(view.gray, shrink)
    return View(gray, view.camera.scaled(gray.shape[1] / view.gray.shape[1]))


def _consistent(points: np.ndarray) -> np.ndarray:
    """The points [N, 3] whose depth agrees with that of their neighbours."""
    _, near = cKDTree(points[:, :2]).query(points[:, :2], k=min(12, len(points)))
    depths = points[:, 2]
    middle = np.median(depths[near], axis=1)
    spread = np.median(np.abs(depths[near] - middle[:, None]), axis=1)
    span = np.ptp(np.percentile(depths, [2, 98]))
    kept: np.ndarray = points[np.abs(depths - middle) <= np.maximum(4 * spread, 0.03 * span)]
    return kept


def _range(target: Target, views: Sequence[View]) -> tuple[tuple[float, float], float]:
    """Nearest and farthest inverse depth, and by how many pixels they lie apart in the views."""
    depths = target.points[:, 2]
    nearest = 100 * max(1 - _STRAYS / len(depths), 1 - _OUTLIERS / 100)
    low, high = np.percentile(depths, [_OUTLIERS, nearest])
    span = high - low + 0.01 * high
    low, high = max(0.0, float(low - _MARGIN * span)), float(high + _MARGIN * span)
    apart = [1.0]
    for view in views:
        x0, y0, before0 = project(view.camera, target.rays, low)
        x1, y1, before1 = project(view.camera, target.rays, high)
        both = (
            before0 & before1 & in_bounds(x0, y0, view.gray.shape) & in_bounds(x1, y1, view.gray.shape) & target.hole
        )
        if both.any():
            apart.append(float(np.percentile(np.hypot(x1 - x0, y1 - y0)[both], 95)))
    return (low, high), max(apart)


def _matching_cost(target: Target, views: Sequence[View], inverse: np.ndarray | float) -> np.ndarray:
    """How badly the views fit at a depth, [H, W] float32, 0 to 1.

    The better half of the pairs counts: at the true depth some are hidden, at a wrong one few agree.
    """
    warped = [_warped_patches(view, target.rays, inverse) for view in views]
    known = NccPatches.of(target.gray)
    with_target = np.sort([patch.distance(known) for patch in warped], axis=0)
    among = [a.distance(b) for a, b in itertools.combinations(warped, 2)]
    among_views = np.sort(among, axis=0) if among else np.ones_like(with_target[:1])
    seen = cv2.erode((~target.hole).astype(np.uint8), np.ones((NCC_WINDOW, NCC_WINDOW), np.uint8)) > 0
    cost: np.ndarray = np.where(seen, _better_half(with_target), _better_half(among_views))
    return cost


def _warped_patches(view: View, rays: np.ndarray, inverse: np.ndarray | float) -> NccPatches:
    columns, rows, before = project(view.camera, rays, inverse)
    gray = cv2.remap(view.gray, columns, rows, cv2.INTER_LINEAR)
    return NccPatches.of(gray, before & in_bounds(columns, rows, view.gray.shape))


def _better_half(costs: np.ndarray) -> np.ndarray:
    half: np.ndarray = costs[: max(1, (len(costs) + 1) // 2)].mean(axis=0)
    return half


def _guidance(target: Target, labels: np.ndarray, per_label: float) -> np.ndarray:
    """Cost [H, W, L] of lying off the sparse points' surface, less so the farther the points are."""
    height, width = target.hole.shape
    surface, distance = _surface(target.points, height, width, float(labels[0]), float(labels[-1]))
    numbers = np.arange(len(labels), dtype=np.float32)
    step = labels[1] - labels[0]
    trust = _GUIDE * (0.35 + 0.65 * np.exp(-distance / (0.06 * max(height, width))))
    off = np.abs(numbers - ((surface - labels[0]) / step)[..., None]) * per_label
    cost = (trust[..., None] * np.log1p(off / _NEAR)).astype(np.float32)
    for x, y, depth in target.points:
        column, row = round(float(x)), round(float(y))
        if 0 <= column < width and 0 <= row < height:
            penalty = _ANCHOR * np.minimum(np.abs(numbers - (depth - labels[0]) / step) / 3, 1)
            cost[max(0, row - 1) : row + 2, max(0, column - 1) : column + 2] += penalty
    return cost


def _surface(points: np.ndarray, height: int, width: int, low: float, high: float) -> tuple[np.ndarray, np.ndarray]:
    """Inverse depth interpolated between points, and the distance to the next one in pixels, each [H, W]."""
    along = np.linspace(-0.1, 1.1, 9)
    frame = np.array([(u * width, v * height) for u in along for v in along if not (0 <= u <= 1 and 0 <= v <= 1)])
    tree = cKDTree(points[:, :2])
    _, near = tree.query(frame, k=min(_NEIGHBOURS, len(points)))
    beyond = np.array([_continued(points[group], place) for group, place in zip(near, frame, strict=True)])
    places = np.concatenate([points[:, :2], frame])
    depths = np.concatenate([points[:, 2], beyond.clip(low, high)])
    rows, columns = np.mgrid[:height, :width]
    distance, _ = tree.query(np.stack([columns, rows], axis=-1).reshape(-1, 2))
    surface = LinearNDInterpolator(places, depths)(columns, rows)
    return surface.astype(np.float32), distance.reshape(height, width).astype(np.float32)


def _continued(points: np.ndarray, place: np.ndarray) -> float:
    """Inverse depth at a place [2] of the plane through points [N, 3]; robust (Cauchy's weights)."""
    terms = np.column_stack([(points[:, :2] - place) / 100, np.ones(len(points))])
    weight = np.ones(len(points))
    for _ in range(_ROUNDS):
        normal = terms.T @ (terms * weight[:, None]) + np.diag([1e-2, 1e-2, 0])
        plane = np.linalg.solve(normal, terms.T @ (points[:, 2] * weight))
        error = np.abs(terms @ plane - points[:, 2])
        weight = 1 / (1 + (error / (1.5 * max(float(np.median(error)), 1e-9))) ** 2)
    return float(plane[2])
