"""Colors for what black-and-white references show: their structure, with the target's own colors.

The chroma of the target around the hole is spread into it, along the references' luma (Levin, Lischinski and Weiss,
Colorization using Optimization, SIGGRAPH 2004).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from scipy.sparse import coo_array, diags_array
from scipy.sparse.linalg import spsolve

from realfill.imaging.ops import Pixels, resize, resize_mask, shrink_to


@dataclass(frozen=True)
class ColorizationSettings:
    """How chroma is spread; all set by hand.

    Attributes:
        max_side: Longer side at which chroma is computed, pixels; the eye resolves it less than luma.
        softness: Difference of luma over which the weight of a neighbor falls to 1/e, 0 to 1.
        min_weight: Least weight of a neighbor: chroma crosses edges where it has no other way.
    """

    max_side: int = 320
    softness: float = 0.03
    min_weight: float = 1e-4


def colorize(picture: Pixels, hole: np.ndarray, settings: ColorizationSettings = ColorizationSettings()) -> Pixels:
    """Give the hole of a picture the chroma of its surroundings; its luma stays.

    Args:
        picture: [H, W, 3] uint8 sRGB: the target, its hole filled.
        hole: Whose chroma is not known, bool [H, W].
        settings: How chroma is spread.

    Returns:
        [H, W, 3] uint8 sRGB; the picture itself where nothing or everything is hole.
    """
    if hole.all() or not hole.any():
        return picture
    height, width = hole.shape
    ycc = cv2.cvtColor(picture, cv2.COLOR_RGB2YCrCb)
    small = shrink_to(picture, settings.max_side)
    small_hole = resize_mask(hole, small.shape[1], small.shape[0])
    if small_hole.all():
        return picture
    chroma = _spread(cv2.cvtColor(small, cv2.COLOR_RGB2YCrCb), small_hole, settings)
    ycc[..., 1:][hole] = resize(chroma, width, height)[hole].round().clip(0, 255).astype(np.uint8)
    colored: Pixels = np.where(hole[..., None], cv2.cvtColor(ycc, cv2.COLOR_YCrCb2RGB), picture)
    return colored


def _spread(ycc: Pixels, hole: np.ndarray, settings: ColorizationSettings) -> np.ndarray:
    """Chroma [h, w, 2] float32 that is known outside the hole and varies inside only where the luma does."""
    luma = ycc[..., 0].astype(np.float64) / 255
    numbers = np.arange(hole.size).reshape(hole.shape)
    pairs = [(numbers[:, 1:], numbers[:, :-1]), (numbers[1:], numbers[:-1])]
    first = np.concatenate([a.ravel() for a, _ in pairs])
    second = np.concatenate([b.ravel() for _, b in pairs])
    difference = luma.ravel()[first] - luma.ravel()[second]
    weight = np.maximum(np.exp(-((difference / settings.softness) ** 2)), settings.min_weight)
    both = (np.concatenate([weight, weight]), (np.concatenate([first, second]), np.concatenate([second, first])))
    links = coo_array(both, shape=(hole.size, hole.size)).tocsr()
    laplacian = (diags_array(links.sum(axis=1)) - links).tocsr()
    inside, outside = np.flatnonzero(hole), np.flatnonzero(~hole)
    chroma = ycc[..., 1:].reshape(-1, 2).astype(np.float64)
    known = -(laplacian[inside][:, outside] @ chroma[outside])
    chroma[inside] = spsolve(laplacian[inside][:, inside].tocsc(), known).reshape(-1, 2)
    return np.asarray(chroma.reshape(*hole.shape, 2), np.float32)
