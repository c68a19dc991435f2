"""Bring the colors of an album's photos to the target's, by what matched points look like in both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from realfill.imaging.ops import Pixels, to_float, to_uint8
from realfill.matching.correspondences import Matches


@dataclass(frozen=True)
class PhotometricAlignmentSettings:
    """How colors are compared. All values are set by hand, except where a measurement is named.

    Attributes:
        min_matches: Below which a reference keeps its colors.
        blur: Sigma of the Gaussian before colors are sampled, pixels: matches are a pixel or two apart.
        prior: How many matches the assumption weighs that the colors are the same already.
        rounds: Of reweighting.
        tolerance: Difference beyond which colors are different things', in medians of the residual. 3 and 6 did
            alike on two albums.
        min_tolerance: The least difference, 0 to 1.
        max_tolerance: The largest one, where light differs so much that colors tell little, 0 to 1.
    """

    min_matches: int = 40
    blur: float = 2.0
    prior: float = 0.1
    rounds: int = 8
    tolerance: float = 5.0
    min_tolerance: float = 0.04
    max_tolerance: float = 0.5


@dataclass(frozen=True)
class AlignedPhotos:
    """Photos whose colors can be compared.

    Attributes:
        photos: Target and references, [h, w, 3] uint8, in the target's colors.
        tolerance: Mean difference of the three channels beyond which two colors belong to different things, 0 to 1.
    """

    photos: Sequence[Pixels]
    tolerance: float


def align_colors(
    photos: Sequence[Pixels],
    sides: Sequence[int],
    matches: Mapping[tuple[int, int], Matches],
    settings: PhotometricAlignmentSettings = PhotometricAlignmentSettings(),
) -> AlignedPhotos:
    """Change the colors of each reference by one affine transform, robustly fitted at the matches with the target.

    Args:
        photos: Target and references, [h, w, 3] uint8; they may be smaller than at full size.
        sides: Longer side of each at full size, pixels.
        matches: Between photos i < j by (i, j), pixels at full size; photo 0 is the target.
        settings: Of the fit.
    """
    aligned, residuals = [photos[0]], []
    target = _smooth(photos[0], settings)
    for number in range(1, len(photos)):
        pairs = matches.get((0, number), Matches.empty())
        if len(pairs) < settings.min_matches:
            aligned.append(photos[number])
            continue
        wanted = _sample(target, sides[0], pairs.points0)  # [N, 3]
        colors = _sample(_smooth(photos[number], settings), sides[number], pairs.points1)
        transform, residual = _fit(colors, wanted, settings)
        changed = to_float(photos[number]) @ transform[:3] + transform[3]
        aligned.append(to_uint8(changed))
        residuals.append(residual)
    tolerance = settings.tolerance * float(np.median(residuals)) if residuals else settings.max_tolerance
    return AlignedPhotos(aligned, min(max(tolerance, settings.min_tolerance), settings.max_tolerance))


def _smooth(photo: Pixels, settings: PhotometricAlignmentSettings) -> np.ndarray:
    return np.asarray(cv2.GaussianBlur(to_float(photo), (0, 0), settings.blur))


def _sample(colors: np.ndarray, side: int, points: np.ndarray) -> np.ndarray:
    """Colors of a photo [h, w, 3] at points [N, 2] of its full size, [N, 3] float32."""
    scale = max(colors.shape[:2]) / side
    x, y = ((points.T + 0.5) * scale - 0.5).astype(np.float32)
    return np.asarray(cv2.remap(colors, x[None], y[None], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)[0])


def _fit(colors: np.ndarray, wanted: np.ndarray, settings: PhotometricAlignmentSettings) -> tuple[np.ndarray, float]:
    """Fit an affine transform by reweighted least squares (Cauchy).

    Args:
        colors: [N, 3] float32.
        wanted: [N, 3] float32.
        settings: Of the fit.

    Returns:
        The transform, float32 [4, 3], its last row the offset, and the median residual, mean of the channels.
    """
    known = np.column_stack([colors, np.ones(len(colors))])  # [N, 4]
    same = np.eye(4, 3)
    weights = np.ones(len(colors))
    for _ in range(settings.rounds):
        weighted = known * weights[:, None]
        normal = known.T @ weighted + settings.prior * np.eye(4)
        transform = np.linalg.solve(normal, weighted.T @ wanted + settings.prior * same)
        residuals = np.abs(known @ transform - wanted).mean(axis=1)
        median = float(np.median(residuals))
        weights = 1 / (1 + (residuals / max(median, 1e-3)) ** 2)
    return transform.astype(np.float32), median
