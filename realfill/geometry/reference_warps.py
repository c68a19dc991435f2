"""FIXME DOCSTRING."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np

from realfill.compositing.region import Region
from realfill.geometry.camera import Camera, IntrinsicsPrior
from realfill.geometry.plane_sweep import Target, inverse_depth
from realfill.geometry.projection import View, project, visible
from realfill.geometry.sfm import Reconstruction, reconstruct
from realfill.geometry.warp import Warp, homography_warp
from realfill.imaging.ops import Pixels, gray
from realfill.matching.album_matches import LEARNED_SIDE, shrink_to
from realfill.matching.correspondences import Matches
from realfill.matching.two_view import estimate_two_view_geometry

_FEWEST_POINTS = 30  # sparse points around the hole, below which depth is not asked for
_FEWEST_ON_PLANE = 40  # matches that one homography has to explain
_ERROR = 1.5  # pixels of the matched photos, beyond which a point is not used


def reference_warps(
    part: Region,
    matches: dict[tuple[int, int], Matches],
    photos: Sequence[Pixels],
    lenses: Sequence[IntrinsicsPrior],
) -> tuple[dict[int, Warp], str]:
    """How the part's pixels lie in the references, by their numbers from 1, and the model that says so.

    With guessed focal lengths a camera that only turned seems to have moved: what planes explain is left to them.
    """
    scales = [min(1.0, LEARNED_SIDE / max(lens.width, lens.height)) for lens in lenses]
    planes = _plane_warps(matches, scales)
    found = reconstruct(lenses, matches, scales)
    if found is not None and not (found.guessed and found.cameras.keys() - {0} <= planes.keys()):
        points = _sparse_points(part, found)
        if len(points) >= _FEWEST_POINTS:
            return _depth_warps(part, found, points, photos, lenses), "depth"
    return planes, "plane"


def _sparse_points(part: Region, found: Reconstruction) -> np.ndarray:
    """Sparse points in the part's view: columns and rows at the working scale, and inverse depth, [N, 3]."""
    camera = found.cameras[0]
    columns, rows, depth = camera.project(found.points @ camera.rotation.T + camera.translation)
    x, y = part.to_working(columns, rows)
    width, height = part.size
    inside = (x > -40) & (x < width + 40) & (y > -40) & (y < height + 40)
    kept = (depth > 0) & (found.errors < _ERROR) & inside
    return np.stack([x[kept], y[kept], 1 / depth[kept]], axis=1)


def _depth_warps(
    part: Region,
    found: Reconstruction,
    points: np.ndarray,
    photos: Sequence[Pixels],
    lenses: Sequence[IntrinsicsPrior],
) -> dict[int, Warp]:
    target = found.cameras[0]
    cameras = {number: camera.seen_from(target) for number, camera in found.cameras.items() if number}
    side = max(part.canvas.shape[:2]) * part.scale
    views = []
    for number, camera in cameras.items():
        shrunk = shrink_to(photos[number], round(side))
        views.append(View(gray(shrunk), camera.scaled(shrunk.shape[1] / lenses[number].width)))
    rays = target.rays(*part.grid())
    depth = inverse_depth(Target(gray(part.working(part.canvas)), part.hole, rays, points), views)

    def warp_of(camera: Camera) -> Warp:
        def maps(columns: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
            height, width = columns.shape
            inverse = cv2.resize(depth, (width, height), interpolation=cv2.INTER_LINEAR)
            return project(camera, target.rays(columns, rows), inverse)

        parallax = math.atan(float(np.linalg.norm(camera.translation) * np.median(points[:, 2])))
        return Warp(maps, parallax, visible(camera, rays, depth))

    return {number: warp_of(camera) for number, camera in cameras.items()}


def _plane_warps(matches: dict[tuple[int, int], Matches], scales: Sequence[float]) -> dict[int, Warp]:
    """Homographies for the references that see nothing but a plane, or from where the target was taken."""
    warps = {}
    for (i, number), found in matches.items():
        if i:
            continue
        shrunk = Matches(found.points0 * scales[0], found.points1 * scales[number], found.confidence)
        geometry = estimate_two_view_geometry(shrunk)
        if geometry is None or geometry.fundamental is not None or geometry.agree(shrunk).sum() < _FEWEST_ON_PLANE:
            continue
        down, up = np.diag([scales[0], scales[0], 1]), np.diag([1 / scales[number], 1 / scales[number], 1])
        warps[number] = homography_warp(up @ geometry.homography @ down)
    return warps
