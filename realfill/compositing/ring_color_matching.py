"""Match a fill's colors to the photo by the ring around the hole, which both show."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from scipy.sparse import csc_array, diags_array, eye_array, kron
from scipy.sparse.linalg import spsolve

from realfill.album.canvas import crop_window
from realfill.album.schemas import Window
from realfill.core.failures import require_finite
from realfill.imaging.ops import distance_transform, resize, to_float


@dataclass(frozen=True)
class RingColorSettings:
    """Thresholds of `match_ring_colors`.

    Attributes:
        grid: Side of the grid over the window on which the offset is solved, cells. Set by hand.
        hole_dilation: Side of the square by which the hole is dilated before colors are measured, pixels of the
            canvas, odd. Set by hand.
        min_known: Share of a cell that must be known for it to be measured. Set by hand.
        ring_width: Distance from the hole over which the weight of a measurement falls to 1/e, cells. Set by hand.
        stiffness: Weight of the offset's squared gradient, cells^2; greater is smoother. Set by hand.
        residual_scale: Residual at which a measurement has half its weight (Cauchy's function), where 1 is the range
            of the pixel values. Set by hand.
        iterations: Rounds of iteratively reweighted least squares. Set by hand.
        initial_weight: Measurements of more than this weight give the first offset, their median. Set by hand.
        gain_prior: Variance of the fill's values at which the gain lies midway between the estimate and 1. Set by
            hand, as a standard deviation of .05.
        min_gain: Least gain. Set by hand.
        max_gain: Greatest gain. Set by hand.
    """

    grid: int = 96
    hole_dilation: int = 5
    min_known: float = 0.9
    ring_width: float = 3.0
    stiffness: float = 4.0
    residual_scale: float = 6 / 255
    iterations: int = 6
    initial_weight: float = 1 / 3
    gain_prior: float = 0.05**2
    min_gain: float = 0.6
    max_gain: float = 1.6


@dataclass(frozen=True)
class _Measurements:
    """Colors of the cells in which both photo and fill are known.

    Attributes:
        photo: [M, 3] float64 RGB in 0..1.
        fill: [M, 3] float64 RGB in 0..1.
        weight: Falls with the distance from the hole, [M] float64, 0 to 1.
        ring: Which cells they are, [grid, grid] bool.
    """

    photo: np.ndarray
    fill: np.ndarray
    weight: np.ndarray
    ring: np.ndarray


def match_ring_colors(
    canvas: np.ndarray,
    mask: np.ndarray,
    window: Window,
    fill: np.ndarray,
    settings: RingColorSettings = RingColorSettings(),
) -> np.ndarray:
    """Bring a fill to the colors of the photo.

    One gain per channel, then an offset o that minimizes sum w |o - d|^2 + stiffness |grad o|^2 over the window, with
    the differences d that are left in the ring: it continues them smoothly into the hole. The weights w fall with the
    distance from the hole, and with the size of the residual (Cauchy's function, by iterative reweighting): where the
    fill continues the photo wrongly, a difference is one of content and not of color.

    Args:
        canvas: [H, W, 3] uint8 RGB, or float32 RGB in 0..1; the pixels in the hole are not used.
        mask: [H, W] uint8, 255 = fill.
        window: The square of the canvas that the fill shows.
        fill: [R, R, 3] float32 RGB in 0..1.
        settings: Thresholds.

    Returns:
        [R, R, 3] float32, perhaps slightly beyond 0..1; the fill itself where nothing is known around the hole.

    Raises:
        NumericalError: The gain or the offset is not finite.
    """
    measured = _measure_ring(canvas, mask, window, fill, settings)
    if measured is None:
        return fill
    gain, bias = _estimate_gain(measured, settings)
    differences = measured.photo - gain * measured.fill
    require_finite(gain=gain, bias=bias, differences=differences)  # the solver crashes on what is not
    offset = _solve_offset(differences, bias, measured, settings)
    require_finite(offset=offset)
    height, width = fill.shape[:2]
    return np.asarray(fill * gain + resize(offset, width, height), np.float32)


def _measure_ring(
    canvas: np.ndarray, mask: np.ndarray, window: Window, fill: np.ndarray, settings: RingColorSettings
) -> _Measurements | None:
    """Measure the colors around the hole; None where nothing is known there."""
    grid, least = settings.grid, settings.min_known
    near = cv2.dilate(mask, np.ones((settings.hole_dilation, settings.hole_dilation)))
    known = crop_window((near == 0).astype(np.float32), window, fill=0)  # [side, side]
    share = resize(known, grid, grid)  # [grid, grid] float32
    ring = share > least
    if not ring.any():
        return None
    channels = [resize(to_float(crop_window(canvas[..., c], window)) * known, grid, grid) for c in range(3)]
    photo = (np.dstack(channels) / np.maximum(share, least)[..., None])[ring].astype(np.float64)  # [M, 3]
    hole = resize((crop_window(mask, window, fill=0) > 0).astype(np.float32), grid, grid) > 0
    distance = distance_transform(hole)
    weight = np.exp((distance[ring].min() - distance[ring]) / settings.ring_width).astype(np.float64)  # [M]
    return _Measurements(photo, resize(fill, grid, grid)[ring].astype(np.float64), weight, ring)


def _estimate_gain(measured: _Measurements, settings: RingColorSettings) -> tuple[np.ndarray, np.ndarray]:
    """Fit photo = gain * fill + bias per channel, robustly, [3] each; the gain is drawn towards 1."""
    photo, fill = measured.photo, measured.fill
    gain, bias = np.ones(3), np.median((photo - fill)[measured.weight > settings.initial_weight], axis=0)
    for _ in range(settings.iterations):
        weight = _robust_weights(photo - gain * fill - bias, measured.weight, settings)
        x, y = (values - np.average(values, axis=0, weights=weight) for values in (fill, photo))
        variance, covariance = (np.average(values, axis=0, weights=weight) for values in (x * x, x * y))
        gain = (covariance + settings.gain_prior) / (variance + settings.gain_prior)
        gain = gain.clip(settings.min_gain, settings.max_gain)
        bias = np.average(photo - gain * fill, axis=0, weights=weight)
    return gain, bias


def _solve_offset(
    differences: np.ndarray, bias: np.ndarray, measured: _Measurements, settings: RingColorSettings
) -> np.ndarray:
    """Continue differences [M, 3] smoothly from the ring over the grid, starting at `bias` [3].

    Returns:
        [grid, grid, 3] float32.
    """
    grid, ring = settings.grid, measured.ring.ravel()  # [grid^2] bool
    smoothness = settings.stiffness * _graph_laplacian(grid)
    offset = np.broadcast_to(bias, (grid * grid, 3))
    for _ in range(settings.iterations):
        weight, right = np.zeros(grid * grid), np.zeros((grid * grid, 3))
        weight[ring] = _robust_weights(differences - offset[ring], measured.weight, settings)
        right[ring] = weight[ring, None] * differences
        offset = spsolve(csc_array(smoothness + diags_array(weight)), right)
    return offset.reshape(grid, grid, 3).astype(np.float32)


def _robust_weights(residuals: np.ndarray, weight: np.ndarray, settings: RingColorSettings) -> np.ndarray:
    """Cauchy's weights of residuals [M, 3], times `weight` [M]."""
    return np.asarray(weight / (1 + (residuals**2).sum(axis=1) / settings.residual_scale**2))


def _graph_laplacian(side: int) -> csc_array:
    """Graph Laplacian of a square grid, [side^2, side^2]."""
    line = diags_array(
        [-np.ones(side - 1), np.r_[1, np.full(side - 2, 2), 1], -np.ones(side - 1)], offsets=[-1, 0, 1]
    )
    return csc_array(kron(line, eye_array(side)) + kron(eye_array(side), line))
