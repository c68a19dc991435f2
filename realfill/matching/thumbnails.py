"""Thumbnails of an album's photos: small pictures with keypoints, by which `validate` compares them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from realfill.imaging.ops import Pixels
from realfill.matching.correspondences import Matches
from realfill.matching.sift import SiftKeypoints, SiftMatcher, SiftSettings

_MATCHER = SiftMatcher(SiftSettings(max_keypoints=800))


@dataclass(frozen=True)
class RegistrationSettings:
    """When two thumbnails are registered by an affine map.

    Attributes:
        threshold: RANSAC's largest error of an inlier, pixels of the thumbnail; set by hand.
        min_inliers: With fewer the map may be chance; set by hand.
        min_area: Least area of the second thumbnail in the first, as a share of its own; set by hand.
        confidence: Probability at which RANSAC stops; set by hand.
        max_iterations: The most samples that RANSAC draws; set by hand.
    """

    threshold: float = 1.5
    min_inliers: int = 12
    min_area: float = 0.02
    confidence: float = 0.999
    max_iterations: int = 2000


@dataclass(frozen=True)
class Thumbnail:
    """A small picture of a photo.

    Attributes:
        pixels: [h, w, 3] uint8 sRGB.
    """

    pixels: Pixels

    @cached_property
    def keypoints(self) -> SiftKeypoints:
        """Its SIFT keypoints."""
        return _MATCHER.extract_features(self.pixels)

    def mirror(self) -> Thumbnail:
        """The same picture with left and right exchanged."""
        return Thumbnail(np.ascontiguousarray(self.pixels[:, ::-1]))


def match_thumbnails(thumbnail0: Thumbnail, thumbnail1: Thumbnail) -> Matches:
    """Match the keypoints of two thumbnails."""
    return _MATCHER.match(thumbnail0.keypoints, thumbnail1.keypoints)


def register(
    thumbnail0: Thumbnail, thumbnail1: Thumbnail, settings: RegistrationSettings = RegistrationSettings()
) -> np.ndarray | None:
    """Estimate the affine map from the second thumbnail to the first, float64 [2, 3]; None where too few agree."""
    matches = match_thumbnails(thumbnail0, thumbnail1)
    if len(matches) < settings.min_inliers:
        return None
    affine, inliers = cv2.estimateAffine2D(
        matches.points1,
        matches.points0,
        method=cv2.RANSAC,
        ransacReprojThreshold=settings.threshold,
        maxIters=settings.max_iterations,
        confidence=settings.confidence,
    )
    if affine is None or np.count_nonzero(inliers) < settings.min_inliers:
        return None
    return affine if np.linalg.det(affine[:, :2]) >= settings.min_area else None
