"""Lay a reference over a photo though the scene moved in between: by similarities that bend with the matches.

Moving least squares with similarity transforms (Schaefer, McPhail and Warren, SIGGRAPH 2006). Near matches it follows
them, so that the reference joins up with the photo; far from all it is the one similarity that explains them best,
which, unlike a homography, does not run away.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from realfill.geometry.warp import Maps, Warp
from realfill.matching.correspondences import Matches

_TOLERANCE = 0.03  # of the photo's longer side: how far a match may lie off the one similarity
_SOFT = 0.03  # of the photo's longer side: within which matches are averaged
_FEWEST = 20  # matches
_SHARE = 0.3  # of the matches that have to agree on one similarity
_ROUNDS = 4
_NODES = 64  # of the grid, along either side, on which the similarities are computed


def moving_least_squares_warps(
    matches: Mapping[tuple[int, int], Matches], sides: Sequence[float]
) -> tuple[dict[int, Warp], dict[int, Warp]]:
    """How photo 0 lies in the references, as nearly as similarities bent by the matches can say.

    Args:
        matches: Between photos i < j, in pixels.
        sides: Of each photo, the longer one, pixels.

    Returns:
        Warps that are not exact, by number of the reference: those that share enough with photo 0, and those that
        share enough with one of these only, through which they are reached.
    """
    either = {**matches, **{(j, i): _swap(pairs) for (i, j), pairs in matches.items() if i}}
    found = {pair: fitted for pair, pairs in either.items() if (fitted := _fitted(pairs, sides[pair[0]]))}
    direct = {j: fitted.maps for (i, j), fitted in found.items() if i == 0}
    through = {}
    for number in {j for _, j in found} - direct.keys():
        shared = [(len(found[i, number].ours), i) for i in direct if (i, number) in found]
        if shared:
            _, i = max(shared)
            through[number] = _chained(direct[i], found[i, number].maps)
    return _warps(direct), _warps(through)


def _warps(maps: Mapping[int, Maps]) -> dict[int, Warp]:
    return {number: Warp(laid, 0.0, exact=False) for number, laid in sorted(maps.items())}


@dataclass(frozen=True)
class _Deformation:
    """Matches that agree on a similarity, as complex numbers [N], and the distance within which they are averaged."""

    ours: np.ndarray
    theirs: np.ndarray
    soft: float

    def maps(self, columns: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """See `Warp.maps`."""
        x, y = (np.linspace(values.min(), values.max() + 1, _NODES) for values in (columns, rows))
        grid = np.stack([self.moved(x + 1j * row) for row in y])  # [nodes, nodes]
        across, down = (
            ((values - ends[0]) / (ends[1] - ends[0])).astype(np.float32)
            for values, ends in ((columns, x), (rows, y))
        )
        u, v = (
            cv2.remap(plane.astype(np.float32), across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            for plane in (grid.real, grid.imag)
        )
        return u, v, np.ones(u.shape, bool)

    def moved(self, places: np.ndarray) -> np.ndarray:
        """Where places [V] lie by the similarity w = a z + b that fits the matches best, each by its nearness."""
        weight = (np.abs(places[:, None] - self.ours) ** 2 + self.soft**2) ** -2.0  # [V, N]
        weight /= weight.sum(axis=1, keepdims=True)
        middle, there = weight @ self.ours, weight @ self.theirs  # [V]
        own, other = self.ours - middle[:, None], self.theirs - there[:, None]  # [V, N]
        spread = np.maximum((weight * np.abs(own) ** 2).sum(axis=1), 1e-9)
        turn = (weight * own.conj() * other).sum(axis=1) / spread  # [V]
        moved: np.ndarray = there + turn * (places - middle)
        return moved


def _fitted(matches: Matches, side: float) -> _Deformation | None:
    """The deformation by the matches that agree on one similarity, and those that then agree with it."""
    if len(matches) < _FEWEST:
        return None
    similarity, agree = cv2.estimateAffinePartial2D(
        matches.points1, matches.points0, method=cv2.RANSAC, ransacReprojThreshold=_TOLERANCE * side
    )
    if similarity is None or agree.sum() < max(_FEWEST, _SHARE * len(matches)):
        return None
    ours, theirs = (points.astype(np.float64) @ [1, 1j] for points in (matches.points0, matches.points1))
    reach = _TOLERANCE * side / float(np.hypot(*similarity[:, 0]))  # pixels of the reference
    kept = agree.ravel() > 0
    for _ in range(_ROUNDS):
        deformation = _Deformation(ours[kept], theirs[kept], _SOFT * side)
        kept = np.abs(deformation.moved(ours) - theirs) < reach
        if kept.sum() < _FEWEST:
            return None
    return deformation


def _swap(matches: Matches) -> Matches:
    return Matches(matches.points1, matches.points0, matches.confidence)


def _chained(first: Maps, second: Maps) -> Maps:
    def maps(columns: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        between, down, _ = first(columns, rows)
        return second(between, down)

    return maps
