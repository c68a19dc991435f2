"""Bring a placed reference into the target's light, by what both show around the hole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

_BLUR = 2.0  # pixels; forgives small misplacement
_REACH = 150.0  # pixels from the hole beyond which nothing is learned
_NEAR = 60.0  # pixels in which a measurement loses its weight
_MOST = 20_000
_ROUNDS = 8
_RIDGE = 1e-4
_SCALES = (1.0, 2.0, 4.0)  # pixels of the full-size photo
_LOCAL = 33  # pixels over which the strength of detail is told
_GAINS = (0.8, 2.0)  # what detail is multiplied with, least and most
_FAINT = 0.002  # mean size of detail below which there is none
_FEWEST = 500  # pixels of which anything is learned
_SECTORS = 8
_WORST = 0.25  # an error beyond this is not counted as more
_FLAT = 0.03  # deviation of colours below which contrast is not told


@dataclass(frozen=True)
class ColorTransform:
    """A quadratic polynomial of the three colours for each colour, and how well it foretells what was left out.

    Attributes:
        coefficients: float64 [10, 3].
        error: Mean distance of colours in the parts of the ring that were left out in turn, 0 to 1.
    """

    coefficients: np.ndarray
    error: float

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """Bring an image [h, w, 3] sRGB in 0..1 into the target's light, float32."""
        terms = _terms(image.reshape(-1, 3).astype(np.float32))
        lit = (terms @ self.coefficients.astype(np.float32)).reshape(image.shape)
        return np.asarray(lit.clip(0, 1), np.float32)


def fit_color_transform(
    placed: np.ndarray, target: np.ndarray, shared: np.ndarray, hole: np.ndarray
) -> ColorTransform | None:
    """Learn how the target shows the placed reference's colours.

    Robust (Cauchy's weights, reweighted least squares): shadows that moved, people and misplaced parts do not count.

    Args:
        placed: [H, W, 3] float32 sRGB in 0..1.
        target: [H, W, 3] float32 sRGB in 0..1.
        shared: Where both show the scene, bool [H, W].
        hole: bool [H, W].

    Returns:
        None where too little is shared.
    """
    distance = cv2.distanceTransform((~hole).astype(np.uint8), cv2.DIST_L2, 5)
    ring = shared & (distance < _REACH)
    rows, columns = np.nonzero(ring)
    if len(rows) < _FEWEST:
        return None
    every = max(1, len(rows) // _MOST)
    rows, columns = rows[::every], columns[::every]
    theirs, ours = (_smoothed(image, ring)[rows, columns].astype(np.float64) for image in (placed, target))  # [N, 3]
    weight = np.exp(-distance[rows, columns] / _NEAR).astype(np.float64)
    centre = np.argwhere(hole).mean(axis=0)
    angle = np.arctan2(rows - centre[0], columns - centre[1])
    sector = ((angle / (2 * np.pi) + 0.5) * _SECTORS).astype(int) % _SECTORS
    errors = np.full(len(rows), _WORST)
    for left_out in range(_SECTORS):
        test = sector == left_out
        if test.any() and (~test).sum() > 200:
            guess = _terms(theirs[test]) @ _fitted(theirs[~test], ours[~test], weight[~test])
            errors[test] = np.minimum(np.linalg.norm(guess.clip(0, 1) - ours[test], axis=1), _WORST)
    return ColorTransform(_fitted(theirs, ours, weight), float((errors * weight).sum() / weight.sum()))


def match_color_statistics(
    placed: np.ndarray, target: np.ndarray, shared: np.ndarray, hole: np.ndarray
) -> ColorTransform | None:
    """Like `learn`, for a reference that lies only about right: palettes are compared instead of pixels.

    The linear map that takes one palette's mean and covariance to the other's with the least change of colours
    (Pitié and Kokaram, CVMP 2007).
    """
    distance = cv2.distanceTransform((~hole).astype(np.uint8), cv2.DIST_L2, 5)
    ring = shared & (distance < _REACH)
    if ring.sum() < _FEWEST:
        return None
    theirs, ours = (image[ring].astype(np.float64) for image in (placed, target))  # [N, 3]
    spreads = (np.cov(colours.T) + _FLAT**2 * np.eye(3) for colours in (theirs, ours))
    coefficients = np.zeros((10, 3))
    coefficients[1:4] = _transport(*spreads)
    coefficients[0] = ours.mean(axis=0) - theirs.mean(axis=0) @ coefficients[1:4]
    lit = _terms(theirs) @ coefficients
    return ColorTransform(coefficients, float(np.minimum(np.linalg.norm(lit - ours, axis=1), _WORST).mean()))


def _transport(given: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """The symmetric map [3, 3] that takes one covariance to the other."""
    root = _root(given)
    inverse = np.linalg.inv(root)
    return np.asarray(inverse @ _root(root @ wanted @ root) @ inverse)


def _root(covariance: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(covariance)
    return np.asarray((vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T)


def detail_gains(placed: np.ndarray, target: np.ndarray, shared: np.ndarray) -> tuple[float, ...]:
    """How much stronger the target's detail is than a placed reference's, for each of `_SCALES`, within `_GAINS`.

    Args:
        placed: [H, W, 3] float32 sRGB in 0..1, at full size.
        target: [H, W, 3] float32 sRGB in 0..1.
        shared: Where both show the scene, bool [H, W].
    """
    ours, theirs = (_bands(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)) for image in (target, placed))
    gains = []
    for own, their in zip(ours[:-1], theirs[:-1], strict=True):
        strong, weak = (cv2.blur(np.abs(band), (_LOCAL, _LOCAL))[shared] for band in (own, their))
        told = (strong > _FAINT) & (weak > _FAINT)
        gains.append(float(np.clip(np.median(strong[told] / weak[told]), *_GAINS)) if told.any() else 1.0)
    return tuple(gains)


def with_detail(image: np.ndarray, gains: Sequence[float]) -> np.ndarray:
    """An image [H, W, 3] float32 with its detail at each of `_SCALES` times a gain."""
    *fine, coarse = _bands(image)
    for gain, band in zip(gains, fine, strict=True):
        coarse = coarse + np.float32(gain) * band
    return coarse


def _bands(image: np.ndarray) -> list[np.ndarray]:
    """What is finer than each of `_SCALES`, the finest first, and the rest."""
    bands = []
    for scale in _SCALES:
        coarser = cv2.GaussianBlur(image, (0, 0), scale)
        bands.append(image - coarser)
        image = coarser
    return [*bands, image]


def _fitted(theirs: np.ndarray, ours: np.ndarray, weight: np.ndarray) -> np.ndarray:
    terms = _terms(theirs)  # [N, 10]
    unchanged = np.zeros((terms.shape[1], 3))
    unchanged[1:4] = np.eye(3)
    ridge = np.full(terms.shape[1], _RIDGE)
    ridge[0] = 0
    trust = np.ones(len(terms))
    for _ in range(_ROUNDS):
        total = weight * trust
        normal = terms.T @ (terms * total[:, None]) + np.diag(ridge) * total.sum()
        right = terms.T @ (ours * total[:, None]) + ridge[:, None] * unchanged * total.sum()
        coefficients = np.linalg.solve(normal, right)
        error = np.linalg.norm(terms @ coefficients - ours, axis=1)
        trust = 1 / (1 + (error / (1.5 * max(float(np.median(error)), 0.01))) ** 2)
    return np.asarray(coefficients)


def _terms(colours: np.ndarray) -> np.ndarray:
    red, green, blue = colours.T
    return np.stack(
        [np.ones_like(red), red, green, blue, red**2, green**2, blue**2, red * green, green * blue, blue * red],
        axis=1,
    )


def _smoothed(image: np.ndarray, region: np.ndarray) -> np.ndarray:
    weight = region.astype(np.float32)
    total = cv2.GaussianBlur(image * weight[..., None], (0, 0), _BLUR)
    smoothed: np.ndarray = total / np.maximum(cv2.GaussianBlur(weight, (0, 0), _BLUR), 1e-3)[..., None]
    return smoothed
