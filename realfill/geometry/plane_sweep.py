"""Depth of the target's view, inside the hole too, from how well the references agree with each other.

A plane sweep (Collins, CVPR 1996; Kang, Szeliski and Chai, CVPR 2001) over inverse depths of the target's camera. At
each depth the references are warped into the view and compared by normalized cross-correlation: with the target where
it is known, among each other in the hole. Costs are regularized by semi-global matching and by the sparse points of
the reconstruction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from realfill.core.parallel import map_parallel
from realfill.geometry.photo_consistency import PhotoConsistency, SourceView, TargetView, inverse_depth_of_pixel
from realfill.geometry.projection import in_bounds, project
from realfill.geometry.sgm import sgm_labels
from realfill.geometry.sparse_points import SparsePointSettings, drop_inconsistent_points, sparse_point_cost
from realfill.imaging.ncc import NccSettings
from realfill.imaging.ops import fill_from_nearest


@dataclass(frozen=True)
class PlaneSweepSettings:
    """How depths are searched, and how smooth they are.

    The values were set by hand, except where a measurement is named.

    Attributes:
        coarse_side: Longer side of the first sweep, pixels; the later ones are at the working scale.
        min_labels: Least number of depths of the first sweep.
        max_labels: Largest number of depths of the first sweep; between the two, one a pixel of displacement.
        p1: Semi-global matching's penalty of neighbors one depth apart, in units of the matching cost (0 to 1).
        p2: Its penalty of neighbors farther apart.
        outlier_percent: Share of the points that the range of depths leaves out at either end.
        max_near_outliers: The most points that it leaves out at the near end, where objects have few points. Together
            with 192 instead of 128 depths and a cost of the sparse points' surface that grows on, it changed the
            PSNR of what is placed by +.52 dB (castle-outpaint), +.62 (tree-mouth), +.13 (tower-bridge),
            -.08 (castle-front) and -.10 (cathedral-portal).
        range_margin: What the range is extended by at either end, as a share of it.
        displacement_percentile: Percentile of the hole's pixels (of all where there is no hole) whose displacement
            over the range sets the number of depths.
        speckle_area: Islands of depths up to this share of the picture are mistakes.
        speckle_labels: By how many depths an island differs from its surroundings at least.
        median_size: Side of the median filter after the first sweep, pixels.
        refine_reach: How far the last sweep looks to either side of a depth, pixels of displacement.
        refine_overlap: How far the second sweep looks at least, in steps of the first.
        refine_labels: Depths of the later sweeps.
        refine_blur: Sigma of the Gaussian that smooths the depth around which they look, pixels; 0: none.
        refine_bias: Cost of the largest distance from that depth.
        smoothing_rounds: Bilateral filters at the end.
        smoothing_sigma_depth: Their sigma of depth, pixels of displacement.
        smoothing_sigma_space: Their sigma of space, pixels.
        ncc: Of the comparison.
        color_weight: Cost of different colors in the first sweep, beside that of uncorrelated windows. In the later
            ones it gave +.1 dB on five views of four albums, and -1 on one.
        points: Of the sparse points.
    """

    coarse_side: int = 400
    min_labels: int = 16
    max_labels: int = 192
    p1: float = 0.12
    p2: float = 1.2
    outlier_percent: float = 0.5
    max_near_outliers: int = 3
    range_margin: float = 0.1
    displacement_percentile: float = 95
    speckle_area: float = 0.002
    speckle_labels: int = 3
    median_size: int = 5
    refine_reach: float = 3.0
    refine_overlap: float = 1.2
    refine_labels: int = 13
    refine_blur: float = 1.0
    refine_bias: float = 0.1
    smoothing_rounds: int = 2
    smoothing_sigma_depth: float = 1.5
    smoothing_sigma_space: float = 3.0
    ncc: NccSettings = NccSettings()
    color_weight: float = 0.0
    points: SparsePointSettings = SparsePointSettings()


@dataclass(frozen=True)
class _CoarseDepth:
    """Result of the first sweep.

    Attributes:
        inverse_depth: [h, w] float32.
        step: Of inverse depth between two labels.
        pixels_per_label: Displacement in a view that a step causes.
    """

    inverse_depth: np.ndarray
    step: float
    pixels_per_label: float


def estimate_inverse_depth(
    target: TargetView, views: Sequence[SourceView], settings: PlaneSweepSettings = PlaneSweepSettings()
) -> np.ndarray:
    """Estimate the inverse depth of every pixel.

    Args:
        target: The part of the target.
        views: At least one; with a single one, depth in the hole continues its surroundings and the sparse points.
        settings: Search and smoothness.

    Returns:
        [H, W] float32, in units of the target's camera.
    """
    target = replace(target, points=drop_inconsistent_points(target.points, settings.points))
    shrink = min(1.0, settings.coarse_side / max(target.hole.shape))
    coarse = _sweep_range(target.rescale(shrink), [view.rescale(shrink) for view in views], settings)
    height, width = target.hole.shape
    depth = cv2.resize(coarse.inverse_depth, (width, height))
    pixel = coarse.step * shrink / coarse.pixels_per_label  # inverse depth that displaces a pixel by one
    first_reach = max(settings.refine_reach, settings.refine_overlap * coarse.pixels_per_label / shrink)
    for reach in (first_reach, settings.refine_reach):
        depth = _refine(target, views, depth, pixel, reach, settings)
    return _smooth(depth, pixel, settings)


def refine_inverse_depth(
    target: TargetView,
    views: Sequence[SourceView],
    depth: np.ndarray,
    settings: PlaneSweepSettings = PlaneSweepSettings(),
) -> np.ndarray:
    """Sweep around a depth that is known already.

    Args:
        target: The part of the target.
        views: At least one.
        depth: Inverse depth, [H, W] float32.
        settings: Search and smoothness.

    Returns:
        [H, W] float32.
    """
    pixel = inverse_depth_of_pixel(views)
    return _smooth(_refine(target, views, depth, pixel, settings.refine_reach, settings), pixel, settings)


def _sweep_range(target: TargetView, views: Sequence[SourceView], settings: PlaneSweepSettings) -> _CoarseDepth:
    """Sweep the whole range of depths."""
    nearest, farthest, displacement = _depth_range(target, views, settings)
    count = int(np.clip(displacement, settings.min_labels, settings.max_labels))
    labels = np.linspace(farthest, nearest, count)
    step, pixels_per_label = float(labels[1] - labels[0]), displacement / count
    height, width = target.hole.shape
    cost = sparse_point_cost(target.points, (height, width), labels, pixels_per_label, settings.points)  # [L, h, w]
    consistency = PhotoConsistency(target, views, settings.ncc, settings.color_weight)

    def add(number: int) -> None:
        cost[number] += consistency.cost(float(labels[number]))

    map_parallel(add, range(count))
    numbers = _remove_speckles(sgm_labels(cost, settings.p1, settings.p2), settings)  # [h, w]
    depth = cv2.medianBlur((labels[0] + numbers * step).astype(np.float32), settings.median_size)
    return _CoarseDepth(depth, step, pixels_per_label)


def _depth_range(
    target: TargetView, views: Sequence[SourceView], settings: PlaneSweepSettings
) -> tuple[float, float, float]:
    """Return the largest and the least inverse depth, and the displacement between them in a view, pixels."""
    depths = target.points[:, 2]
    near_percentile = 100 * max(1 - settings.max_near_outliers / len(depths), 1 - settings.outlier_percent / 100)
    low, high = np.percentile(depths, [settings.outlier_percent, near_percentile])
    span = high - low + 0.01 * high  # not 0 if all depths are equal
    low = max(0.0, float(low - settings.range_margin * span))
    high = float(high + settings.range_margin * span)
    displacements = [1.0]
    wanted = target.hole if target.hole.any() else ~target.hole
    for view in views:
        x0, y0, in_front0 = project(view.camera, target.rays, low)
        x1, y1, in_front1 = project(view.camera, target.rays, high)
        seen0 = in_front0 & in_bounds(x0, y0, view.gray.shape)
        seen1 = in_front1 & in_bounds(x1, y1, view.gray.shape)
        both = seen0 & seen1 & wanted
        if both.any():
            displacement = np.percentile(np.hypot(x1 - x0, y1 - y0)[both], settings.displacement_percentile)
            displacements.append(float(displacement))
    return high, low, max(displacements)


def _refine(
    target: TargetView,
    views: Sequence[SourceView],
    depth: np.ndarray,
    pixel: float,
    reach: float,
    settings: PlaneSweepSettings,
) -> np.ndarray:
    """Sweep again around a depth.

    Args:
        target: At the working scale.
        views: At the working scale.
        depth: Inverse depth, [H, W] float32.
        pixel: The inverse depth that displaces a view by one pixel.
        reach: How far to look to either side, pixels of displacement.
        settings: Number of depths and smoothness.
    """
    base = cv2.GaussianBlur(depth, (0, 0), settings.refine_blur) if settings.refine_blur else depth
    offsets = np.linspace(-reach, reach, settings.refine_labels)  # pixels
    consistency = PhotoConsistency(target, views, settings.ncc)
    cost = np.empty((len(offsets), *base.shape), np.float32)  # [L, H, W]

    def compare(number: int) -> None:
        offset = offsets[number]
        bias = np.float32(settings.refine_bias * abs(offset) / reach)
        np.add(consistency.cost(np.maximum(base + np.float32(offset * pixel), 0)), bias, out=cost[number])

    map_parallel(compare, range(len(offsets)))
    numbers = sgm_labels(cost, settings.p1, settings.p2)
    step = offsets[1] - offsets[0]
    refined: np.ndarray = np.maximum(base + ((numbers * step - reach) * pixel).astype(np.float32), 0)
    return refined


def _remove_speckles(labels: np.ndarray, settings: PlaneSweepSettings) -> np.ndarray:
    """Give small islands of labels [H, W] float32 the label of the nearest pixel around them."""
    rounded = np.rint(labels).astype(np.int16)
    area = round(settings.speckle_area * labels.size)
    kept, _ = cv2.filterSpeckles(rounded, -1, area, settings.speckle_labels)
    return fill_from_nearest(labels, kept >= 0)


def _smooth(depth: np.ndarray, pixel: float, settings: PlaneSweepSettings) -> np.ndarray:
    """Remove the ripple of single pixels from inverse depth [H, W], and keep its edges."""
    displacement = depth / np.float32(pixel)
    for _ in range(settings.smoothing_rounds):
        displacement = cv2.bilateralFilter(
            displacement,
            0,
            sigmaColor=settings.smoothing_sigma_depth,
            sigmaSpace=settings.smoothing_sigma_space,
        )
    return np.asarray(displacement * np.float32(pixel))
