"""Photo-consistency: how well views of a scene agree where its depth is assumed to be known."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from realfill.geometry.camera import Camera, IntrinsicsPrior
from realfill.geometry.projection import RayProjection, in_bounds
from realfill.imaging.ncc import NccPatches, NccSettings
from realfill.imaging.ops import Pixels, shrink_to, to_float, to_gray


@dataclass(frozen=True)
class SourceView:
    """A reference that is compared.

    Attributes:
        gray: [h, w] float32, 0 to 1.
        camera: Of this picture, relative to the target's camera.
        colors: [h, w, 3] float32, in units of the difference that colors of the same thing do not exceed; None where
            colors are not compared.
    """

    gray: np.ndarray
    camera: Camera
    colors: np.ndarray | None = None

    @classmethod
    def of(
        cls, photo: Pixels, side: int, camera: Camera, prior: IntrinsicsPrior, color_tolerance: float | None = None
    ) -> SourceView:
        """Shrink a photo until its longer side has at most `side` pixels.

        Args:
            photo: [h, w, 3] uint8; it may be smaller than at full size.
            side: Longer side of the view, pixels.
            camera: Of the photo at full size.
            prior: Of the photo at full size.
            color_tolerance: Difference that colors of the same thing do not exceed, 0 to 1; None: colors are not
                compared.
        """
        shrunk = shrink_to(photo, side)
        colors = None if color_tolerance is None else to_float(shrunk) / np.float32(color_tolerance)
        return cls(to_gray(shrunk), camera.rescale(shrunk.shape[1] / prior.width), colors)

    def relative_to(self, camera: Camera) -> SourceView:
        """Return the view with another camera's coordinate system for the world."""
        return replace(self, camera=self.camera.relative_to(camera))

    def rescale(self, scale: float) -> SourceView:
        """Return the view at a smaller scale, or itself at scale 1."""
        gray = _shrink(self.gray, scale)
        colors = None if self.colors is None else _shrink(self.colors, scale)
        return SourceView(gray, self.camera.rescale(gray.shape[1] / self.gray.shape[1]), colors)


def inverse_depth_of_pixel(views: Sequence[SourceView]) -> float:
    """The inverse depth that displaces a pixel by one in the median view."""
    return 1 / float(np.median([view.camera.focal * np.linalg.norm(view.camera.translation) for view in views]))


@dataclass(frozen=True)
class TargetView:
    """The part of the target whose depth is estimated.

    Attributes:
        gray: [H, W] float32, 0 to 1; anything in the hole.
        hole: bool [H, W].
        rays: Directions of the pixels, [H, W, 3] float32 with z = 1.
        points: Sparse points in this part, columns, rows and inverse depths, float64 [N, 3] with N >= 8.
        colors: As of a `SourceView`.
    """

    gray: np.ndarray
    hole: np.ndarray
    rays: np.ndarray
    points: np.ndarray
    colors: np.ndarray | None = None

    def rescale(self, scale: float) -> TargetView:
        """Return the view at a smaller scale; whatever touches the hole belongs to it."""
        gray, hole, rays = (_shrink(plane, scale) for plane in (self.gray, self.hole.astype(np.float32), self.rays))
        exact_scale = np.array(gray.shape[::-1]) / self.gray.shape[::-1]
        places = (self.points[:, :2] + 0.5) * exact_scale - 0.5
        colors = None if self.colors is None else _shrink(self.colors, scale)
        return TargetView(gray, hole > 0, rays, np.column_stack([places, self.points[:, 2]]), colors)


@dataclass(frozen=True)
class _WarpedView:
    """A view as it is compared.

    Attributes:
        patches: Of its gray values.
        colors: [H, W, 3] float32; None where colors are not compared.
        color_weight: Cost of different colors.
    """

    patches: NccPatches
    colors: np.ndarray | None
    color_weight: float

    def crop(self, box: tuple[slice, slice]) -> _WarpedView:
        colors = None if self.colors is None else self.colors[box]
        return _WarpedView(self.patches.crop(box), colors, self.color_weight)

    def distance(self, other: _WarpedView) -> np.ndarray:
        """Compare with another view, [H, W] float32."""
        cost = self.patches.distance(other.patches)
        if self.colors is None or other.colors is None:
            return cost
        mean = np.full((1, 3), self.color_weight / 3, np.float32)
        difference = cv2.transform(cv2.absdiff(self.colors, other.colors), mean)  # [H, W]
        for valid in (self.patches.valid, other.patches.valid):
            if valid is not None:
                np.putmask(difference, ~valid, np.float32(self.color_weight))
        cost += np.minimum(difference, np.float32(self.color_weight), out=difference)
        return cost


class PhotoConsistency:
    """How badly views agree with the target and with each other, for many depths.

    Outside the hole each view is compared with the target, in the hole and at its rim each view with each other one.
    The better half of the comparisons counts: at the true depth some views are occluded, at a wrong one few agree.
    Correlation says nothing of surfaces without texture; where views have colors, these are compared too, as the
    truncated absolute differences of AD-Census (Mei et al., ICCV Workshops 2011).

    Args:
        target: The part of the target.
        views: At least one; a single one says nothing in the hole.
        settings: Of the comparison.
        color_weight: Cost of different colors beside that of uncorrelated windows, which is 1; 0: they do not count.
    """

    def __init__(
        self,
        target: TargetView,
        views: Sequence[SourceView],
        settings: NccSettings = NccSettings(),
        color_weight: float = 0.0,
    ) -> None:
        self._settings = settings
        self._color_weight = color_weight
        self._views = [(view, RayProjection(view.camera, target.rays)) for view in views]
        self._target = self._view(NccPatches.of(target.gray, settings=settings), target.colors)
        window = np.ones((settings.window, settings.window), np.uint8)
        unknown = cv2.dilate(target.hole.astype(np.uint8), window)  # a pixel of the hole in the window
        left, top, width, height = cv2.boundingRect(cv2.dilate(unknown, window))
        self._box = np.s_[top : top + height, left : left + width]
        self._unknown = unknown[self._box] > 0

    def cost(self, inverse_depth: np.ndarray | float) -> np.ndarray:
        """Compute the cost of a depth.

        Args:
            inverse_depth: 1 / depth, [H, W] float32 or one value for all.

        Returns:
            [H, W] float32, 0 to about 1 + the weight of colors.
        """
        warped = [self._warp(view, projection, inverse_depth) for view, projection in self._views]
        cost = mean_of_better_half([view.distance(self._target) for view in warped])
        if self._unknown.any():
            cropped = [view.crop(self._box) for view in warped]
            pairs = [a.distance(b) for a, b in itertools.combinations(cropped, 2)]
            among_views = mean_of_better_half(pairs) if pairs else np.ones_like(cost[self._box])
            np.copyto(cost[self._box], among_views, where=self._unknown)
        return cost

    def _warp(self, view: SourceView, projection: RayProjection, inverse_depth: np.ndarray | float) -> _WarpedView:
        columns, rows, in_front = projection.at(inverse_depth)
        valid = in_bounds(columns, rows, view.gray.shape)
        valid &= in_front
        gray = cv2.remap(view.gray, columns, rows, cv2.INTER_LINEAR)
        colors = view.colors
        if colors is not None and self._color_weight:
            colors = cv2.remap(colors, columns, rows, cv2.INTER_LINEAR)  # [H, W, 3]
        return self._view(NccPatches.of(gray, valid, self._settings), colors)

    def _view(self, patches: NccPatches, colors: np.ndarray | None) -> _WarpedView:
        return _WarpedView(patches, colors if self._color_weight else None, self._color_weight)


def mean_of_better_half(costs: Sequence[np.ndarray]) -> np.ndarray:
    """Average the lower half of N costs at every pixel, [H, W] float32."""
    rest, count = list(costs), (len(costs) + 1) // 2
    total = np.zeros_like(costs[0])
    for _ in range(count):  # a selection sort by whole planes: np.sort along them is far slower
        least = rest.pop()
        for number, plane in enumerate(rest):
            rest[number], least = np.maximum(plane, least), np.minimum(plane, least)
        total += least
    total /= np.float32(count)
    return total


def _shrink(plane: np.ndarray, scale: float) -> np.ndarray:
    if scale == 1:
        return plane
    size = (max(1, round(plane.shape[1] * scale)), max(1, round(plane.shape[0] * scale)))
    shrunk: np.ndarray = cv2.resize(plane, size, interpolation=cv2.INTER_AREA)
    return shrunk
