"""Approximate alignment of a reference whose scene moved: similarities that deform with the matches.

Moving least squares with similarity transforms (Schaefer, McPhail and Warren, "Image deformation using moving least
squares", SIGGRAPH 2006). Near matches the warp follows them, so that the reference joins up with the target; far from
all it tends to the one similarity that fits them best. Unlike a homography it does not diverge there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from realfill.core.failures import skip_failing
from realfill.geometry.warp import CoordinateMap, Warp
from realfill.matching.correspondences import Matches


@dataclass(frozen=True)
class MovingLeastSquaresSettings:
    """Which matches are used, and how smooth the warp is.

    Attributes:
        tolerance: How far a match may lie off, as a share of the target's longer side; set by hand.
        softness: Distance within which matches are averaged rather than interpolated, as a share of the longer side;
            set by hand.
        falloff: Exponent alpha of the paper's weights 1 / |p - v|^(2 alpha), here of the softened distance; set by
            hand.
        min_matches: With fewer matches that agree, there is no warp; set by hand.
        max_matches: The most matches that are used, those with the highest confidence: the time grows with the square
            of their number. Set by hand.
        min_share: Least share of the matches that agree on one similarity; set by hand.
        rounds: How often the matches that agree are selected anew; set by hand.
        grid_size: The warp is computed on a grid of this many nodes a side and interpolated; set by hand.
    """

    tolerance: float = 0.03
    softness: float = 0.03
    falloff: float = 2.0
    min_matches: int = 20
    max_matches: int = 1500
    min_share: float = 0.3
    rounds: int = 4
    grid_size: int = 64


def moving_least_squares_warps(
    matches: Mapping[tuple[int, int], Matches],
    sides: Sequence[float],
    settings: MovingLeastSquaresSettings = MovingLeastSquaresSettings(),
) -> tuple[dict[int, Warp], dict[int, Warp]]:
    """Align references approximately with the target.

    Args:
        matches: Between photos i < j by (i, j), in pixels; photo 0 is the target.
        sides: Longer side of each photo, pixels.
        settings: Which matches are used.

    Returns:
        Approximate warps by number of the reference: first of the references that share enough with the target, then
        of those that share enough with one of the former only, through which they are aligned.
    """
    ordered = {**matches, **{(j, i): pairs.swap() for (i, j), pairs in matches.items() if i}}

    def fit(pairs: Iterable[tuple[int, int]]) -> dict[tuple[int, int], _Deformation]:
        deformations = {}
        for i, j in pairs:
            with skip_failing(f"The approximate alignment of reference {j}"):
                deformation = _fit_deformation(ordered[i, j], sides[i], settings)
                if deformation is not None:
                    deformations[i, j] = deformation
        return deformations

    direct = {j: deformation.maps for (_, j), deformation in fit((i, j) for i, j in ordered if i == 0).items()}
    rest = fit((i, j) for i, j in ordered if i in direct and j not in direct)
    indirect = {}
    for number in {j for _, j in rest}:
        _, i = max((len(rest[i, number].source), i) for i in direct if (i, number) in rest)
        indirect[number] = _compose(direct[i], rest[i, number].maps)
    return _to_warps(direct), _to_warps(indirect)


@dataclass(frozen=True)
class _Deformation:
    """A deformation that follows matches; points are complex numbers x + iy.

    Attributes:
        source: Points of the matches in the first photo, complex128 [N].
        target: Their counterparts in the second photo, complex128 [N].
        softness: Distance within which matches are averaged, pixels of the first photo.
        settings: Falloff of the weights and size of the grid.
    """

    source: np.ndarray
    target: np.ndarray
    softness: float
    settings: MovingLeastSquaresSettings

    def maps(self, columns: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """See `Warp.maps`; defined everywhere."""
        size = self.settings.grid_size
        x, y = (np.linspace(values.min(), values.max() + 1, size) for values in (columns, rows))
        grid = np.stack([self.apply(x + 1j * row) for row in y])  # [size, size] complex
        map_x, map_y = (
            ((values - ends[0]) / (ends[1] - ends[0])).astype(np.float32)
            for values, ends in ((columns, x), (rows, y))
        )  # [h, w] each, in nodes of the grid
        u, v = (
            cv2.remap(plane.astype(np.float32), map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            for plane in (grid.real, grid.imag)
        )
        return u, v, np.ones(u.shape, bool)

    def apply(self, points: np.ndarray) -> np.ndarray:
        """Map points [V]: each by the similarity w = a z + b that fits the matches best, weighted by nearness.

        Section 2.2 of the paper, in complex numbers.
        """
        center = self.source.mean()  # the sums below are differences of squares
        points, source = points - center, self.source - center
        squared_distance = (
            np.square(points.real[:, None] - source.real) + np.square(points.imag[:, None] - source.imag)
        ) + self.softness**2
        weight = squared_distance**-self.settings.falloff  # [V, N]
        terms = [np.ones_like(source), source, self.target, np.abs(source) ** 2, source.conj() * self.target]
        sums = weight @ np.stack(terms, axis=1).view(np.float64)  # [V, 10]: real and imaginary parts
        total, source_mean, target_mean, square, product = sums.view(np.complex128).T
        source_mean, target_mean, square, product = (s / total for s in (source_mean, target_mean, square, product))
        spread = np.maximum(square.real - np.abs(source_mean) ** 2, 1e-9)
        factor = (product - source_mean.conj() * target_mean) / spread  # a: rotation and scale, [V]
        mapped: np.ndarray = target_mean + factor * (points - source_mean)
        return mapped


def _fit_deformation(matches: Matches, side: float, settings: MovingLeastSquaresSettings) -> _Deformation | None:
    """Fit a deformation to matches that agree on one similarity, then to those that agree with the deformation."""
    if len(matches) < settings.min_matches:
        return None
    if len(matches) > settings.max_matches:
        matches = matches[np.argsort(-matches.confidence, kind="stable")[: settings.max_matches]]
    similarity, inliers = cv2.estimateAffinePartial2D(
        matches.points1, matches.points0, method=cv2.RANSAC, ransacReprojThreshold=settings.tolerance * side
    )
    if similarity is None or inliers.sum() < max(settings.min_matches, settings.min_share * len(matches)):
        return None
    source, target = (points.astype(np.float64) @ [1, 1j] for points in (matches.points0, matches.points1))
    max_error = settings.tolerance * side / float(np.hypot(*similarity[:, 0]))  # pixels of the second photo
    kept = inliers.ravel() > 0
    for _ in range(settings.rounds):
        deformation = _Deformation(source[kept], target[kept], settings.softness * side, settings)
        kept = np.abs(deformation.apply(source) - target) < max_error
        if kept.sum() < settings.min_matches:
            return None
    return deformation


def _compose(first: CoordinateMap, second: CoordinateMap) -> CoordinateMap:
    def maps(columns: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        between_columns, between_rows, _ = first(columns, rows)
        return second(between_columns, between_rows)

    return maps


def _to_warps(maps: Mapping[int, CoordinateMap]) -> dict[int, Warp]:
    return {number: Warp(map_, 0.0, approximate=True) for number, map_ in sorted(maps.items())}
