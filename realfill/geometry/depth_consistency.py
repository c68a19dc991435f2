"""Depth maps of several views, checked against each other (Merrell et al., ICCV 2007)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import cv2
import numpy as np

from realfill.geometry.camera import Camera
from realfill.geometry.projection import RayProjection, in_bounds, inverse_depth_in, pixel_rays, project


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

    @cached_property
    def rays(self) -> np.ndarray:
        """Directions of the pixels, [h, w, 3] float32 with z = 1."""
        return pixel_rays(self.camera, self.inverse_depth.shape)


@dataclass(frozen=True)
class Return:
    """Pixels of a view that went to another one and came back.

    Attributes:
        columns: Where they arrive in the other view, pixels, [h, w] float32; 0 where they do not.
        rows: The same.
        seen: Whether they arrive there, bool [h, w].
        surface: Inverse depth in the other view where they arrive, [h, w] float32.
        distance: How far from where they left they come back, pixels, [h, w] float32; infinite where they do not.
    """

    columns: np.ndarray
    rows: np.ndarray
    seen: np.ndarray
    surface: np.ndarray
    distance: np.ndarray


class RoundTrip:
    """The way from one view to another by a depth that is assumed, and back by the depth map of the other.

    Args:
        one: The view; of its depth map only the size is used.
        other: The other view.
    """

    def __init__(self, one: ReferenceDepth, other: ReferenceDepth) -> None:
        self._other = other
        self._there = RayProjection(other.camera.relative_to(one.camera), one.rays)
        self._back = one.camera.relative_to(other.camera)
        self._rows, self._columns = np.mgrid[: one.rays.shape[0], : one.rays.shape[1]].astype(np.float32)

    def go(self, inverse_depth: np.ndarray) -> Return:
        """Go there and back by a depth, [h, w] float32."""
        columns, rows, in_front = self._there.at(inverse_depth)
        seen = in_front & in_bounds(columns, rows, self._other.inverse_depth.shape)
        columns, rows = np.where(seen, columns, np.float32(0)), np.where(seen, rows, np.float32(0))
        surface = cv2.remap(self._other.inverse_depth, columns, rows, cv2.INTER_NEAREST)
        rays = cv2.remap(self._other.rays, columns, rows, cv2.INTER_LINEAR)  # [h, w, 3]
        back_columns, back_rows, in_front = project(self._back, rays, surface)
        distance = np.hypot(back_columns - self._columns, back_rows - self._rows)
        returned = seen & in_front & (surface > 0)
        return Return(columns, rows, seen, surface, np.where(returned, distance, np.inf))


def check_consistency(maps: Sequence[ReferenceDepth], max_reprojection: float) -> list[ReferenceDepth]:
    """Count for each pixel of depth maps which other ones agree, and drop the pixel where more contradict it.

    Another one agrees where the pixel, projected into it by its own depth, returns by the other's depth to where it
    came from. It contradicts where it sees a farther surface through the point (a free-space violation) that has
    support itself. Where it sees a nearer one, the point may be hidden from it.

    Args:
        maps: Their support is not read.
        max_reprojection: How far from where it left a pixel comes back at most if the maps agree, pixels.

    Returns:
        The maps with their support, and 0 where they are contradicted.
    """
    trips = [[RoundTrip(one, other).go(one.inverse_depth) for other in maps if other is not one] for one in maps]
    supports = [
        np.sum([trip.distance < max_reprojection for trip in own], axis=0).astype(np.float32) for own in trips
    ]
    supported = [replace(one, support=support) for one, support in zip(maps, supports, strict=True)]
    checked = []
    for one, own in zip(supported, trips, strict=True):
        others = [other for other in supported if other is not one]
        votes = [_contradict(one, other, trip, max_reprojection) for other, trip in zip(others, own, strict=True)]
        kept = np.where(np.sum(votes, axis=0) > one.support, np.float32(0), one.inverse_depth)
        checked.append(replace(one, inverse_depth=kept))
    return checked


def _contradict(one: ReferenceDepth, other: ReferenceDepth, trip: Return, max_reprojection: float) -> np.ndarray:
    """Tell where another depth map contradicts, bool [h, w]."""
    support = cv2.remap(other.support, trip.columns, trip.rows, cv2.INTER_NEAREST)
    camera = other.camera.relative_to(one.camera)
    nearer = inverse_depth_in(camera, one.rays, one.inverse_depth) > trip.surface
    return np.asarray(trip.seen & (trip.distance >= max_reprojection) & nearer & (support > 0))
