"""FIXME DOCSTRING."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from realfill.matching.correspondences import Matches

_FEWEST_ON_PLANE = 12
_FEWEST_ON_LINES = 20
_TOLERANCE = 3.0


@dataclass(frozen=True)
class TwoViewGeometry:
    """How two views of a scene relate.

    Attributes:
        homography: From the first view to the second for the scene's dominant plane, float64 [3, 3].
        fundamental: Of the two views, float64 [3, 3]; None where the homography alone explains the matches (the
            scene is flat, or the camera only turned).
    """

    homography: np.ndarray
    fundamental: np.ndarray | None

    def errors(self, matches: Matches) -> np.ndarray:
        """Distance of each match from the geometry in pixels, [N]: Sampson's where the scene is not flat."""
        points0 = np.column_stack([matches.points0, np.ones(len(matches))])  # [N, 3]
        points1 = np.column_stack([matches.points1, np.ones(len(matches))])
        if self.fundamental is None:
            moved = points0 @ self.homography.T
            return np.asarray(np.linalg.norm(moved[:, :2] / moved[:, 2:] - matches.points1, axis=1))
        lines1, lines0 = points0 @ self.fundamental.T, points1 @ self.fundamental
        steepness = np.sqrt((lines0[:, :2] ** 2 + lines1[:, :2] ** 2).sum(axis=1))
        return np.asarray(np.abs((points1 * lines1).sum(axis=1)) / steepness)

    def agree(self, matches: Matches) -> np.ndarray:
        """Which matches lie within 3 pixels of the geometry, bool [N]."""
        return np.asarray(self.errors(matches) <= _TOLERANCE)


def estimate_two_view_geometry(matches: Matches) -> TwoViewGeometry | None:
    """The geometry that most matches agree with (MAGSAC++); None where so few do that it may be by chance.

    That is fewer than twelve for a homography, and than twenty for a fundamental matrix, which binds points to lines
    only. It has to explain over a tenth more than the homography does, since it is arbitrary where the scene is flat.
    """
    if len(matches) < _FEWEST_ON_PLANE:
        return None
    points0, points1 = matches.points0, matches.points1
    homography, _ = cv2.findHomography(points0, points1, cv2.USAC_MAGSAC, 2.0, confidence=0.999, maxIters=10_000)
    if homography is None:
        return None
    flat = TwoViewGeometry(homography, None)
    on_plane = flat.agree(matches).sum()
    fundamental, _ = cv2.findFundamentalMat(points0, points1, cv2.USAC_MAGSAC, 1.0, 0.999, 10_000)
    if fundamental is not None:
        deep = TwoViewGeometry(homography, fundamental)
        if deep.agree(matches).sum() >= max(_FEWEST_ON_LINES, 1.1 * on_plane):
            return deep
    return flat if on_plane >= _FEWEST_ON_PLANE else None


def verify_matches(matches: Matches) -> np.ndarray:
    """Which matches agree with the geometry that most of them agree with, bool [N]; none where there is none."""
    geometry = estimate_two_view_geometry(matches)
    return np.zeros(len(matches), bool) if geometry is None else geometry.agree(matches)
