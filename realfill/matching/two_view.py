"""Two-view geometry of matched photos: a homography or a fundamental matrix, estimated by MAGSAC++.

Barath, Noskova, Ivashechkin and Matas, CVPR 2020.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from realfill.matching.correspondences import Matches


@dataclass(frozen=True)
class TwoViewSettings:
    """When matches are taken to agree with a geometry.

    Attributes:
        min_homography_inliers: With fewer inliers a homography may be chance; set by hand.
        min_fundamental_inliers: The same for a fundamental matrix, which restricts a point to a line only; set by
            hand.
        min_fundamental_gain: A fundamental matrix has to have this many times the homography's inliers, since it is
            arbitrary where the scene is flat; set by hand.
        max_error: Largest error of an inlier, pixels; set by hand.
        homography_threshold: MAGSAC++'s threshold for the homography, pixels; set by hand.
        fundamental_threshold: MAGSAC++'s threshold for the fundamental matrix, pixels; set by hand.
        confidence: Probability at which MAGSAC++ stops; set by hand.
        max_iterations: The most samples that MAGSAC++ draws; set by hand.
    """

    min_homography_inliers: int = 12
    min_fundamental_inliers: int = 20
    min_fundamental_gain: float = 1.1
    max_error: float = 3.0
    homography_threshold: float = 2.0
    fundamental_threshold: float = 1.0
    confidence: float = 0.999
    max_iterations: int = 10_000


@dataclass(frozen=True)
class TwoViewGeometry:
    """The relation of two views of a scene.

    Attributes:
        homography: From the first view to the second for the scene's dominant plane, float64 [3, 3].
        fundamental: Fundamental matrix x1ᵀ F x0 = 0, float64 [3, 3]; None where the homography alone explains the
            matches: the scene is flat, or the camera only turned.
        max_error: Largest error of an inlier, pixels.
    """

    homography: np.ndarray
    fundamental: np.ndarray | None
    max_error: float = TwoViewSettings.max_error

    def errors(self, matches: Matches) -> np.ndarray:
        """Compute each match's error in pixels, [N] float64.

        It is the Sampson error of the fundamental matrix (Hartley and Zisserman, 2nd edition, section 11.4.3), or
        where there is none the homography's transfer error in the second view.
        """
        points0 = np.column_stack([matches.points0, np.ones(len(matches))])  # [N, 3]
        points1 = np.column_stack([matches.points1, np.ones(len(matches))])
        if self.fundamental is None:
            projected = points0 @ self.homography.T  # [N, 3]
            return np.asarray(np.linalg.norm(projected[:, :2] / projected[:, 2:] - matches.points1, axis=1))
        lines1, lines0 = points0 @ self.fundamental.T, points1 @ self.fundamental  # [N, 3]
        gradient = np.sqrt((lines0[:, :2] ** 2 + lines1[:, :2] ** 2).sum(axis=1))
        return np.asarray(np.abs((points1 * lines1).sum(axis=1)) / gradient)

    def inlier_mask(self, matches: Matches) -> np.ndarray:
        """Tell which matches agree with the geometry, bool [N]."""
        return np.asarray(self.errors(matches) <= self.max_error)


def estimate_two_view_geometry(
    matches: Matches, settings: TwoViewSettings = TwoViewSettings()
) -> TwoViewGeometry | None:
    """Estimate the geometry that most matches agree with.

    Returns:
        A homography, with a fundamental matrix where that explains clearly more matches; None where too few agree.
    """
    if len(matches) < settings.min_homography_inliers:
        return None
    homography = _estimate_homography(matches, settings)
    if homography is None:
        return None
    flat = TwoViewGeometry(homography, None, settings.max_error)
    flat_inliers = flat.inlier_mask(matches).sum()
    fundamental = _estimate_fundamental(matches, settings)
    if fundamental is not None:
        deep = TwoViewGeometry(homography, fundamental, settings.max_error)
        required = max(settings.min_fundamental_inliers, settings.min_fundamental_gain * flat_inliers)
        if deep.inlier_mask(matches).sum() >= required:
            return deep
    return flat if flat_inliers >= settings.min_homography_inliers else None


def verify_matches(matches: Matches, settings: TwoViewSettings = TwoViewSettings()) -> np.ndarray:
    """Tell which matches agree with the two-view geometry of all of them, bool [N]; none where there is none."""
    geometry = estimate_two_view_geometry(matches, settings)
    return np.zeros(len(matches), bool) if geometry is None else geometry.inlier_mask(matches)


def _estimate_homography(matches: Matches, settings: TwoViewSettings) -> np.ndarray | None:
    homography, _ = cv2.findHomography(
        matches.points0,
        matches.points1,
        cv2.USAC_MAGSAC,
        settings.homography_threshold,
        confidence=settings.confidence,
        maxIters=settings.max_iterations,
    )
    return homography


def _estimate_fundamental(matches: Matches, settings: TwoViewSettings) -> np.ndarray | None:
    """Estimate a fundamental matrix; None where none fits, as of photos that are shifted copies of each other."""
    try:
        fundamental, _ = cv2.findFundamentalMat(
            matches.points0,
            matches.points1,
            cv2.USAC_MAGSAC,
            settings.fundamental_threshold,
            settings.confidence,
            settings.max_iterations,
        )
    except cv2.error:  # an assertion: OpenCV's refinement found no matrix
        return None
    return fundamental
