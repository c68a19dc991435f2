"""Photo-consistency: how well views of a scene agree where its depth is assumed to be known."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from realfill.geometry.camera import Camera
from realfill.geometry.projection import in_bounds, project
from realfill.imaging.ncc import NccPatches, NccSettings


@dataclass(frozen=True)
class SourceView:
    """A reference that is compared.

    Attributes:
        gray: [h, w] float32, 0 to 1.
        camera: Of this picture, relative to the target's camera.
    """

    gray: np.ndarray
    camera: Camera

    def rescale(self, scale: float) -> SourceView:
        """Return the view at a smaller scale, or itself at scale 1."""
        gray = _shrink(self.gray, scale)
        return SourceView(gray, self.camera.rescale(gray.shape[1] / self.gray.shape[1]))


@dataclass(frozen=True)
class TargetView:
    """The part of the target whose depth is estimated.

    Attributes:
        gray: [H, W] float32, 0 to 1; anything in the hole.
        hole: bool [H, W].
        rays: Directions of the pixels, [H, W, 3] float32 with z = 1.
        points: Sparse points in this part, columns, rows and inverse depths, float64 [N, 3] with N >= 8.
    """

    gray: np.ndarray
    hole: np.ndarray
    rays: np.ndarray
    points: np.ndarray

    def rescale(self, scale: float) -> TargetView:
        """Return the view at a smaller scale; whatever touches the hole belongs to it."""
        gray, hole, rays = (_shrink(plane, scale) for plane in (self.gray, self.hole.astype(np.float32), self.rays))
        exact_scale = np.array(gray.shape[::-1]) / self.gray.shape[::-1]
        places = (self.points[:, :2] + 0.5) * exact_scale - 0.5
        return TargetView(gray, hole > 0, rays, np.column_stack([places, self.points[:, 2]]))


def photo_consistency_cost(
    target: TargetView,
    views: Sequence[SourceView],
    inverse_depth: np.ndarray | float,
    settings: NccSettings = NccSettings(),
) -> np.ndarray:
    """Compute how badly the views agree at a depth.

    Outside the hole each view is compared with the target, in the hole and at its rim each view with each other one.
    The better half of the comparisons counts: at the true depth some views are occluded, at a wrong one few agree.

    Args:
        target: The part of the target.
        views: At least one; a single one says nothing in the hole.
        inverse_depth: 1 / depth, [H, W] float32 or one value for all.
        settings: Of the comparison.

    Returns:
        [H, W] float32, 0 to about 1.
    """
    warped = [_warp_patches(view, target.rays, inverse_depth, settings) for view in views]
    known = NccPatches.of(target.gray, settings=settings)
    with_target = _mean_of_better_half([patches.distance(known) for patches in warped])
    if not target.hole.any():
        return with_target
    pairs = [a.distance(b) for a, b in itertools.combinations(warped, 2)]
    among_views = _mean_of_better_half(pairs) if pairs else np.ones_like(with_target)
    window = np.ones((settings.window, settings.window), np.uint8)
    outside = cv2.erode((~target.hole).astype(np.uint8), window) > 0  # no pixel of the hole in the window
    cost: np.ndarray = np.where(outside, with_target, among_views)
    return cost


def _warp_patches(
    view: SourceView, rays: np.ndarray, inverse_depth: np.ndarray | float, settings: NccSettings
) -> NccPatches:
    columns, rows, in_front = project(view.camera, rays, inverse_depth)
    gray = cv2.remap(view.gray, columns, rows, cv2.INTER_LINEAR)
    return NccPatches.of(gray, in_front & in_bounds(columns, rows, view.gray.shape), settings)


def _mean_of_better_half(costs: Sequence[np.ndarray]) -> np.ndarray:
    """Average the lower half of N costs at every pixel, [H, W] float32."""
    rest, better = list(costs), list[np.ndarray]()
    while len(better) < (len(costs) + 1) // 2:  # a selection sort by whole planes: np.sort along them is far slower
        least = rest.pop()
        for number, plane in enumerate(rest):
            rest[number], least = np.maximum(plane, least), np.minimum(plane, least)
        better.append(least)
    mean: np.ndarray = np.mean(better, axis=0)
    return mean


def _shrink(plane: np.ndarray, scale: float) -> np.ndarray:
    if scale == 1:
        return plane
    size = (max(1, round(plane.shape[1] * scale)), max(1, round(plane.shape[0] * scale)))
    shrunk: np.ndarray = cv2.resize(plane, size, interpolation=cv2.INTER_AREA)
    return shrunk
