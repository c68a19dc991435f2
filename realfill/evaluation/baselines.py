"""Simple ways to fill a hole, with which every result is compared.

All of them use the known part of a picture, [H, W, 3] uint8 sRGB, and ignore what is inside its hole, [H, W] bool.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from realfill.evaluation.keypoint_recall import RecallSettings, detect_keypoints, is_inside, match_mutual
from realfill.imaging.ops import Pixels
from realfill.matching.base_matcher import Keypoints


@dataclass(frozen=True)
class BaselineSettings:
    """How the baselines fill.

    The values are part of the evaluation's protocol. All but those of the keypoints are set by hand.

    Attributes:
        telea_radius: Radius of Telea's inpainting, pixels.
        rim: Side of the square by which the hole is dilated before keypoints in it are dropped, pixels: descriptors
            beside the hole show its blank.
        min_matches: A reference with fewer matches is not fitted.
        ransac_threshold: Largest reprojection error of an inlier of MAGSAC++, pixels.
        ransac_iterations: Most iterations of MAGSAC++.
        ransac_confidence: Confidence at which MAGSAC++ stops, 0 to 1.
        min_coverage: Least coverage of a pixel by the warped reference, 8-bit levels.
        min_shared: Colors are matched where the picture and the reference share more than this many pixels.
        min_gain: Least gain of a color channel.
        max_gain: Largest gain of a color channel.
        keypoints: How keypoints are detected and matched.
    """

    telea_radius: float = 5
    rim: int = 17
    min_matches: int = 8
    ransac_threshold: float = 3.0
    ransac_iterations: int = 20_000
    ransac_confidence: float = 0.9999
    min_coverage: int = 250
    min_shared: int = 500
    min_gain: float = 0.6
    max_gain: float = 1.6
    keypoints: RecallSettings = RecallSettings()


@dataclass(frozen=True)
class HomographyFill:
    """A picture whose hole is filled from one reference.

    Attributes:
        picture: [H, W, 3] uint8 sRGB.
        inliers: Matches of the reference that fit its homography; 0 where none could be fitted.
    """

    picture: Pixels
    inliers: int


@dataclass(frozen=True)
class _FittedReference:
    """A reference with its homography to the picture, float64 [3, 3], and the number of inliers."""

    reference: Pixels
    homography: np.ndarray
    inliers: int


def fill_mean_color(picture: Pixels, hole: Pixels) -> Pixels:
    """Fill the hole with the mean color of the known part."""
    return np.where(hole[..., None], picture[~hole].mean(axis=0), picture).astype(np.uint8)


def fill_telea(picture: Pixels, hole: Pixels, settings: BaselineSettings = BaselineSettings()) -> Pixels:
    """Fill the hole by OpenCV's inpainting after Telea (2004)."""
    mask = hole.astype(np.uint8) * 255
    filled: Pixels = cv2.inpaint(_blank(picture, hole), mask, settings.telea_radius, cv2.INPAINT_TELEA)
    return filled


def fill_one_homography(
    picture: Pixels, hole: Pixels, references: Sequence[Pixels], settings: BaselineSettings = BaselineSettings()
) -> HomographyFill:
    """Fill the hole with the reference that has most inliers, warped by one homography.

    Matches are mutual nearest neighbors of XFeat, the homography is fitted by MAGSAC++, the reference's colors are
    matched to the known part by a gain and an offset per channel. Where the reference has no pixels, Telea fills.

    Args:
        picture: The picture.
        hole: Its hole.
        references: [h, w, 3] uint8 sRGB each, at about the picture's scale.
        settings: Thresholds.

    Raises:
        ModelError: XFeat's weights are not installed.
    """
    filled = fill_telea(picture, hole, settings)
    best = _fit_best_reference(picture, hole, references, settings)
    if best is None:
        return HomographyFill(filled, 0)
    size = picture.shape[1::-1]
    warped = cv2.warpPerspective(best.reference, best.homography, size, flags=cv2.INTER_AREA)
    coverage = cv2.warpPerspective(np.full(best.reference.shape[:2], 255, np.uint8), best.homography, size)
    is_covered = coverage > settings.min_coverage  # [H, W] bool
    matched = _match_colors(warped, picture, is_covered & ~hole, settings)
    return HomographyFill(np.where((hole & is_covered)[..., None], matched, filled), best.inliers)


def _fit_best_reference(
    picture: Pixels, hole: Pixels, references: Sequence[Pixels], settings: BaselineSettings
) -> _FittedReference | None:
    """The reference with most inliers; the first of several."""
    detected = detect_keypoints(_blank(picture, hole), settings.keypoints)
    dilated = cv2.dilate(hole.astype(np.uint8), np.ones((settings.rim, settings.rim))) > 0
    is_known = ~is_inside(detected, dilated)
    known = Keypoints(detected.points[is_known], detected.descriptors[is_known], detected.size)
    best: _FittedReference | None = None
    for reference in references:
        fitted = _fit_homography(reference, known, settings)
        if fitted is not None and fitted.inliers > (best.inliers if best else 0):
            best = fitted
    return best


def _fit_homography(reference: Pixels, keypoints: Keypoints, settings: BaselineSettings) -> _FittedReference | None:
    """Fit a homography from a reference to the picture with these keypoints."""
    detected = detect_keypoints(reference, settings.keypoints)
    nearest, is_mutual = match_mutual(detected, keypoints, settings.keypoints)
    if is_mutual.sum() < settings.min_matches:
        return None
    homography, is_inlier = cv2.findHomography(
        detected.points[is_mutual].numpy(),
        keypoints.points[nearest[is_mutual]].numpy(),
        cv2.USAC_MAGSAC,
        settings.ransac_threshold,
        maxIters=settings.ransac_iterations,
        confidence=settings.ransac_confidence,
    )
    return None if homography is None else _FittedReference(reference, homography, int(is_inlier.sum()))


def _match_colors(warped: Pixels, picture: Pixels, shared: Pixels, settings: BaselineSettings) -> Pixels:
    """Match the warped reference's colors to the picture's, by each channel's mean and deviation in shared pixels."""
    if shared.sum() <= settings.min_shared:
        return warped
    source, target = warped[shared].astype(np.float64), picture[shared].astype(np.float64)  # [N, 3]
    gain = np.clip(target.std(axis=0) / (source.std(axis=0) + 1e-3), settings.min_gain, settings.max_gain)
    return ((warped - source.mean(axis=0)) * gain + target.mean(axis=0)).clip(0, 255).astype(np.uint8)


def _blank(picture: Pixels, hole: Pixels) -> Pixels:
    """The picture with a white hole."""
    return np.where(hole[..., None], np.uint8(255), picture)
