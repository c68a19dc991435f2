"""FIXME DOCSTRING."""

from __future__ import annotations

import cv2
import numpy as np
from scipy.sparse import csc_array, diags_array, eye_array, kron
from scipy.sparse.linalg import spsolve

from realfill.album.canvas import crop_window
from realfill.album.schemas import Window
from realfill.imaging.ops import distance_transform, resize, to_float

_GRID = 96  # cells a side of the window, on which the colour offset is solved
_RING = 3.0  # cells in which a measurement loses its weight away from the rim
_STIFFNESS = 4.0  # cells squared
_SPREAD = 6 / 255  # a measurement this far off weighs half
_ROUNDS = 6
_DOUBT = 0.05**2  # variance of brightness below which a gain is not to be trusted


def match_ring_colors(canvas: np.ndarray, mask: np.ndarray, window: Window, candidate: np.ndarray) -> np.ndarray:
    """Bring a candidate to the colours of the photo, as told by the ring around the hole, which both show.

    One gain a colour, then an offset that minimises sum w |o - d|^2 + stiffness |grad o|^2 over the window, d the
    differences left in the ring: it continues them smoothly into the hole. The weights w fall away from the rim, and
    with the distance from what was found (Cauchy's; by iterated reweighting): where the candidate continues the
    photo wrongly, a difference is one of content rather than of colour.

    Args:
        canvas: [H, W, 3] uint8 or float32 sRGB.
        mask: [H, W] uint8, 255 = fill.
        window: The square of the canvas that the candidate shows.
        candidate: [R, R, 3] float32 sRGB in 0..1.

    Returns:
        [R, R, 3] float32, perhaps slightly beyond 0..1; the candidate itself where nothing is known around the hole.
    """
    known = crop_window((cv2.dilate(mask, np.ones((5, 5))) == 0).astype(np.float32), window, fill=0)  # [side, side]
    share = resize(known, _GRID, _GRID)
    ring = share > 0.9
    if not ring.any():
        return candidate
    seen = [resize(to_float(crop_window(canvas[..., c], window)) * known, _GRID, _GRID) for c in range(3)]
    wanted = (np.dstack(seen) / np.maximum(share, 0.9)[..., None])[ring].astype(np.float64)  # [M, 3]
    given = resize(candidate, _GRID, _GRID)[ring].astype(np.float64)  # [M, 3]
    hole = resize((crop_window(mask, window, fill=0) > 0).astype(np.float32), _GRID, _GRID) > 0
    away = distance_transform(hole)
    trust = np.exp((away[ring].min() - away[ring]) / _RING).astype(np.float64)  # [M]
    gain, bias = _gain(given, wanted, trust)
    offset = _offset(wanted - gain * given, bias, trust, ring)
    height, width = candidate.shape[:2]
    return np.asarray(candidate * gain + resize(offset, width, height), np.float32)


def _gain(given: np.ndarray, wanted: np.ndarray, trust: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Robust line wanted = gain * given + bias a colour, [3] each; a gain that little speaks for stays near 1."""
    gain, bias = np.ones(3), np.median((wanted - given)[trust > 1 / 3], axis=0)
    for _ in range(_ROUNDS):
        weight = _robust(wanted - gain * given - bias, trust)
        x, y = (values - np.average(values, axis=0, weights=weight) for values in (given, wanted))
        spread, shared = (np.average(values, axis=0, weights=weight) for values in (x * x, x * y))
        gain = ((shared + _DOUBT) / (spread + _DOUBT)).clip(0.6, 1.6)
        bias = np.average(wanted - gain * given, axis=0, weights=weight)
    return gain, bias


def _offset(wanted: np.ndarray, bias: np.ndarray, trust: np.ndarray, ring: np.ndarray) -> np.ndarray:
    """Smooth offset over the grid, [96, 96, 3] float32, from differences [M, 3] in the ring [96, 96] bool."""
    bending = _STIFFNESS * _laplacian(_GRID)
    offset = np.broadcast_to(bias, (_GRID * _GRID, 3))
    for _ in range(_ROUNDS):
        weight, pulled = np.zeros(_GRID * _GRID), np.zeros((_GRID * _GRID, 3))
        weight[ring.ravel()] = _robust(wanted - offset[ring.ravel()], trust)
        pulled[ring.ravel()] = weight[ring.ravel(), None] * wanted
        offset = spsolve(csc_array(bending + diags_array(weight)), pulled)
    return offset.reshape(_GRID, _GRID, 3).astype(np.float32)


def _robust(residual: np.ndarray, trust: np.ndarray) -> np.ndarray:
    """Cauchy's weights of residuals [M, 3], times `trust` [M]."""
    return np.asarray(trust / (1 + (residual**2).sum(axis=1) / _SPREAD**2))


def _laplacian(side: int) -> csc_array:
    """Graph Laplacian of a square grid."""
    line = diags_array(
        [-np.ones(side - 1), np.r_[1, np.full(side - 2, 2), 1], -np.ones(side - 1)], offsets=[-1, 0, 1]
    )
    return csc_array(kron(line, eye_array(side)) + kron(eye_array(side), line))
