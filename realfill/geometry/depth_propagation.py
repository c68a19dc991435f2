"""Depth maps improved by what lies beside each pixel, where the views then agree better.

The sweep compares windows that face the camera, and its smoothness keeps it from steep surfaces. PatchMatch stereo
(Bleyer et al., BMVC 2011) gives each pixel the slanted surfaces of its neighbors to choose from. Here whole maps are
moved, so that the windows of all pixels are compared at once. As in COLMAP (Schönberger et al., ECCV 2016) a depth
also has to agree with the depth maps of the other views.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from realfill.core.failures import require_finite
from realfill.core.parallel import map_parallel
from realfill.geometry.camera import MIN_DEPTH
from realfill.geometry.depth_consistency import ReferenceDepth, RoundTrip
from realfill.geometry.photo_consistency import (
    PhotoConsistency,
    SourceView,
    TargetView,
    inverse_depth_of_pixel,
    mean_of_better_half,
)
from realfill.imaging.ncc import NccSettings


@dataclass(frozen=True)
class DepthPropagationSettings:
    """Which surfaces are tried, and when they are taken.

    Chosen on 13 views of 8 albums, which gain .15 dB on average (-.3 to +.5). A second round over the neighbors gave
    the same there; smaller windows, other distances and other weights gave as much or less.

    Attributes:
        distances: How far the neighbors lie whose surfaces are tried, in 8 directions, pixels.
        max_slope: Largest slope of a surface, pixels of displacement per pixel; set by hand.
        min_gain: By how much the first surface that replaces the swept one has to cost less; set by hand.
        window: Side of the square over which differences of cost are averaged, pixels.
        geometric_weight: Cost of a depth that other views' depth maps do not confirm, where that of uncorrelated
            windows is 1.
        max_reprojection: How far from where it left a pixel comes back, pixels, from which on it costs that much.
        color_weight: Cost of different colors.
        slope_median: Side of the median filter before slopes are taken, pixels, 3 or 5; set by hand.
        median_size: Side of the median filter at the end, pixels, 3 or 5; it removes lines of one pixel. Set by hand.
        ncc: Of the comparison.
    """

    distances: tuple[int, ...] = (2, 6)
    max_slope: float = 1.0
    min_gain: float = 0.05
    window: int = 5
    geometric_weight: float = 0.5
    max_reprojection: float = 2.0
    color_weight: float = 1.0
    slope_median: int = 5
    median_size: int = 3
    ncc: NccSettings = NccSettings(window=11)


def propagate_depths(
    maps: Sequence[ReferenceDepth],
    checked: Sequence[ReferenceDepth],
    views: Mapping[int, SourceView],
    settings: DepthPropagationSettings = DepthPropagationSettings(),
) -> list[ReferenceDepth]:
    """Propagate the surfaces of depth maps from pixel to pixel.

    Args:
        maps: Two or more, with numbers of their own; inverse depth is above 0 everywhere.
        checked: The same maps as `check_consistency` leaves them: what others agree with.
        views: The references by number, with cameras in the world; some may have no depth map.
        settings: Which surfaces are tried, and when they are taken.

    Returns:
        The maps with better depths; their support is that of before.

    Raises:
        NumericalError: A depth is not finite.
    """

    def propagate(one: ReferenceDepth) -> ReferenceDepth:
        others = [view for number, view in views.items() if number != one.number]
        trips = [RoundTrip(one, other) for other in checked if other.number != one.number]
        return replace(one, inverse_depth=_propagate(_Cost(one, views[one.number], others, trips, settings), one))

    return map_parallel(propagate, maps)


class _Cost:
    """How badly depths of a view agree with the other views and their depth maps."""

    def __init__(
        self,
        one: ReferenceDepth,
        view: SourceView,
        others: Sequence[SourceView],
        trips: Sequence[RoundTrip],
        settings: DepthPropagationSettings,
    ) -> None:
        no_hole, no_points = np.zeros(view.gray.shape, bool), np.empty((0, 3))
        target = TargetView(view.gray, no_hole, one.rays, no_points, view.colors)
        sources = [other.relative_to(view.camera) for other in others]
        self._consistency = PhotoConsistency(target, sources, settings.ncc, settings.color_weight)
        self._trips, self.settings = trips, settings
        self.pixel = np.float32(inverse_depth_of_pixel(sources))

    def of(self, inverse_depth: np.ndarray) -> np.ndarray:
        """Compute the cost of an inverse depth [h, w] float32: [h, w] float32, 0 to about 1 + both weights."""
        cost = self._consistency.cost(inverse_depth)
        distances = [trip.go(inverse_depth).distance for trip in self._trips]
        shares = [np.minimum(distance / self.settings.max_reprojection, 1) for distance in distances]
        cost += np.float32(self.settings.geometric_weight) * mean_of_better_half(shares)
        return cost


def _propagate(cost: _Cost, one: ReferenceDepth) -> np.ndarray:
    """Replace the depth of a view, [h, w] float32, by those moved surfaces that cost less."""
    settings = cost.settings
    depth, least = one.inverse_depth, cost.of(one.inverse_depth) - np.float32(settings.min_gain)
    for moved in _move_surfaces(one.inverse_depth, cost.pixel, settings):
        costs = cost.of(moved)
        better = cv2.boxFilter(costs - least, cv2.CV_32F, (settings.window, settings.window)) < 0
        depth, least = np.where(better, moved, depth), np.where(better, costs, least)
    require_finite(inverse_depth=depth)
    return np.asarray(cv2.medianBlur(depth, settings.median_size))


def _move_surfaces(depth: np.ndarray, pixel: np.float32, settings: DepthPropagationSettings) -> Iterator[np.ndarray]:
    """Yield a depth map [h, w] float32 moved along the slopes of its surfaces, once for each neighbor."""
    steepest = np.float32(settings.max_slope) * pixel
    smooth = cv2.medianBlur(depth, settings.slope_median)
    slopes = [
        (cv2.Sobel(smooth, cv2.CV_32F, *axis, ksize=3) / 8).clip(-steepest, steepest) for axis in ((1, 0), (0, 1))
    ]
    farthest = depth.max() * np.float32(MIN_DEPTH)  # 0 stands for nothing
    for x, y in _neighbors(settings.distances):
        along_x, along_y = (_move(slope, x, y) * np.float32(step) for slope, step in zip(slopes, (x, y), strict=True))
        yield np.maximum(_move(depth, x, y) - along_x - along_y, farthest)


def _neighbors(distances: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield columns and rows of the neighbors in 8 directions at about these distances."""
    for distance in distances:
        aside = round(distance / 2**0.5)
        for x, y in ((distance, 0), (aside, aside)):
            yield from ((x, y), (-y, x), (-x, -y), (y, -x))


def _move(plane: np.ndarray, x: int, y: int) -> np.ndarray:
    """Move a plane [h, w] so that each pixel has the value of its neighbor x columns and y rows farther on."""
    matrix = np.array([[1, 0, -x], [0, 1, -y]], np.float32)
    size = plane.shape[::-1]
    return np.asarray(cv2.warpAffine(plane, matrix, size, flags=cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE))
