"""Resection: the target's camera anew from what it shares with the reconstructed scene.

The references share far more with each other than with a target that lacks a part, so that structure from motion may
explain them well and the target by a few wrong matches. Its matches with points that the references have agreed on
tell its pose by themselves: P3P in RANSAC, then a robust adjustment of pose, focal length and distortion.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from scipy.optimize import least_squares
from scipy.spatial import KDTree

from realfill.core.failures import require_finite
from realfill.geometry.camera import Camera, IntrinsicsPrior
from realfill.geometry.reconstruction import Reconstruction, msac_shares
from realfill.matching.correspondences import Matches


@dataclass(frozen=True)
class ResectionSettings:
    """When the target's camera is taken from resection. Lengths are pixels at which errors are judged.

    Attributes:
        min_points: Fewest points that the target shares, and that support the new camera; set by hand.
        max_point_error: Mean reprojection error beyond which a point is not used; set by hand.
        max_distance: How far a match may end from where the reference sees a point to be one with it; set by hand.
        max_error: Error beyond which a point does not support a camera; set by hand.
        max_support: Share of the points that support the present camera, above which it is not doubted, to save
            time; set by hand.
        initial_focal: Focal length to start from where it is unknown, as a multiple of the longer side. From .5 to
            3.2 the result was the same where a camera was replaced.
        iterations: Of RANSAC.
        loss_scale: Error from which on the adjustment counts errors less than squared (Cauchy).
        distortion_sigma: Standard deviation of the first radial coefficient; set by hand.
        rounds: Of adjustment, each to the points that support the camera by then.
        min_gain: By which share the new camera has to be supported better. Of the 55 views of 12 albums with a
            reconstruction five were doubted: it is by 38 % on the one whose camera was wrong by 40 % of the photo's
            side, and by 1 % at most on the other four.
    """

    min_points: int = 20
    max_point_error: float = 1.5
    max_distance: float = 1.0
    max_error: float = 4.0
    max_support: float = 0.75
    initial_focal: float = 1.2
    iterations: int = 3000
    loss_scale: float = 1.5
    distortion_sigma: float = 0.05
    rounds: int = 3
    min_gain: float = 0.1


@dataclass(frozen=True)
class _SharedPoints:
    """Points of the scene that the target sees.

    Attributes:
        places: Where it sees them, pixels of the full-size photo, float64 [N, 2].
        points: World coordinates, float64 [N, 3].
        pixel: Size of a pixel at which errors are judged, pixels of the full-size photo.
    """

    places: np.ndarray
    points: np.ndarray
    pixel: float

    def __getitem__(self, selection: np.ndarray) -> _SharedPoints:
        return _SharedPoints(self.places[selection], self.points[selection], self.pixel)

    def residuals(self, camera: Camera) -> np.ndarray:
        """Reprojection errors, float64 [N, 2]; infinite behind the camera."""
        columns, rows, depth = camera.project_world(self.points)
        errors = (np.stack([columns, rows], axis=1) - self.places) / self.pixel
        return np.asarray(np.where(depth[:, None] > 0, errors, np.inf))

    def support(self, camera: Camera, max_error: float) -> float:
        """How many points support a camera, each the less the larger its error is."""
        return float(msac_shares(np.linalg.norm(self.residuals(camera), axis=1), max_error).sum())


def resect_target(
    reconstruction: Reconstruction,
    matches: Mapping[tuple[int, int], Matches],
    priors: Sequence[IntrinsicsPrior],
    scales: Sequence[float],
    settings: ResectionSettings = ResectionSettings(),
) -> Reconstruction:
    """Replace the target's camera where resection explains clearly more of what it shares with the scene.

    Args:
        reconstruction: With cameras of the full-size photos; photo 0 is the target.
        matches: Between photos i < j by (i, j), pixels of the full-size photos.
        priors: Of the cameras, one per photo, at full size.
        scales: Size at which errors are judged / full size, one per photo.
        settings: When the new camera is taken.

    Raises:
        NumericalError: The new camera is not finite.
    """
    shared = _find_shared_points(reconstruction, matches, scales, settings)
    present = shared.support(reconstruction.cameras[0], settings.max_error)
    if len(shared.places) < settings.min_points or present > settings.max_support * len(shared.places):
        return reconstruction
    camera = _estimate_camera(shared, priors[0], settings)
    if camera is None:
        return reconstruction
    for _ in range(settings.rounds):
        camera = _adjust(camera, shared, settings)
    least = max(settings.min_points, (1 + settings.min_gain) * present)
    if shared.support(camera, settings.max_error) <= least:
        return reconstruction
    return replace(reconstruction, cameras={**reconstruction.cameras, 0: camera})


def _find_shared_points(
    reconstruction: Reconstruction,
    matches: Mapping[tuple[int, int], Matches],
    scales: Sequence[float],
    settings: ResectionSettings,
) -> _SharedPoints:
    """Find the points of the scene that matches of the target with its references end at."""
    accurate = reconstruction.points[reconstruction.errors < settings.max_point_error]
    places, points = [np.empty((0, 2))], [np.empty((0, 3))]
    for (i, number), pairs in matches.items():
        if i or number not in reconstruction.cameras or not len(pairs):
            continue
        camera = reconstruction.cameras[number]
        columns, rows, depth = camera.project_world(accurate)
        seen = np.stack([columns, rows], axis=1)[depth > 0]
        if not len(seen):
            continue
        distance, nearest = KDTree(seen).query(pairs.points1)
        near = distance * scales[number] < settings.max_distance
        places.append(pairs.points0[near])
        points.append(accurate[depth > 0][nearest[near]])
    return _SharedPoints(np.concatenate(places).astype(float), np.concatenate(points), 1 / scales[0])


def _estimate_camera(shared: _SharedPoints, prior: IntrinsicsPrior, settings: ResectionSettings) -> Camera | None:
    """Estimate a camera without distortion by P3P in RANSAC; None where nothing agrees."""
    focal = prior.focal or settings.initial_focal * max(prior.width, prior.height)
    center = (prior.center[0] - 0.5, prior.center[1] - 0.5)
    intrinsics = np.array([[focal, 0, center[0]], [0, focal, center[1]], [0, 0, 1]])
    succeeded, rotation, translation, _ = cv2.solvePnPRansac(
        shared.points,
        shared.places,
        intrinsics,
        None,
        iterationsCount=settings.iterations,
        reprojectionError=1.5 * settings.max_error * shared.pixel,  # before focal length and distortion are adjusted
        confidence=0.9999,
        flags=cv2.SOLVEPNP_AP3P,
    )
    if not succeeded:
        return None
    return Camera(focal, center, (0.0, 0.0), cv2.Rodrigues(rotation)[0], translation.ravel())


def _adjust(camera: Camera, shared: _SharedPoints, settings: ResectionSettings) -> Camera:
    """Adjust pose, focal length and the first radial coefficient robustly to the points near their places."""
    near = np.linalg.norm(shared.residuals(camera), axis=1) < 3 * settings.max_error
    used = shared[near]
    if len(used.places) < settings.min_points:
        return camera
    extent = float(np.linalg.norm(used.points - used.points.mean(axis=0), axis=1).mean())
    step = np.array([0.01, 0.01, 0.01, 0.01 * extent, 0.01 * extent, 0.01 * extent, 0.02, 0.02])

    def move(change: np.ndarray) -> Camera:
        rotation = cv2.Rodrigues(change[:3])[0] @ camera.rotation
        return Camera(
            camera.focal * float(np.exp(change[6])),
            camera.center,
            (camera.radial_distortion[0] + float(change[7]), camera.radial_distortion[1]),
            rotation,
            camera.translation + change[3:6],
        )

    def errors(change: np.ndarray) -> np.ndarray:
        moved = move(change)
        residuals = np.nan_to_num(used.residuals(moved), posinf=10 * settings.max_error)
        prior = settings.loss_scale * moved.radial_distortion[0] / settings.distortion_sigma
        return np.append(residuals.ravel(), prior)

    result = least_squares(errors, np.zeros(8), x_scale=step, loss="cauchy", f_scale=settings.loss_scale, max_nfev=60)
    require_finite(camera=result.x)
    return move(result.x)
