"""Level the seams of a mosaic of pictures (Lempitsky and Ivanov, CVPR 2007).

Each picture gets a smooth offset of its colors, so that neighbors meet without a step: the offsets differ across a
seam by what the pictures differ there, vary little elsewhere, and decay away from the seams.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from scipy.sparse import csc_array, diags_array
from scipy.sparse.linalg import splu

from realfill.core.failures import require_finite
from realfill.imaging.grid_graph import grid_edges, grid_gradient
from realfill.imaging.ops import fill_from_nearest


@dataclass(frozen=True)
class SeamLevelingSettings:
    """How the offsets are solved for.

    Attributes:
        grid_side: Cells along the longer side of the grid that is solved on, which bounds the time; set by hand.
        decay: Distance from a seam over which an offset decays, cells; set by hand.
        max_difference: Largest difference of a color channel across a seam, in 0..1, that is leveled; where it is
            larger, the contents differ rather than the light. Set by hand.
        min_valid: Share of a cell that a picture has to cover to have a color there; set by hand.
    """

    grid_side: int = 160
    decay: float = 30.0
    max_difference: float = 0.25
    min_valid: float = 0.5


def estimate_seam_offsets(
    pictures: Sequence[np.ndarray],
    valid: Sequence[np.ndarray],
    labels: np.ndarray,
    settings: SeamLevelingSettings = SeamLevelingSettings(),
) -> list[np.ndarray]:
    """Estimate the offset that each picture of a mosaic needs.

    Args:
        pictures: K of [H, W, 3] float32 in 0..1.
        valid: Where they show anything, K of bool [H, W].
        labels: Number of the picture shown at each place, int [H, W].
        settings: How the offsets are solved for.

    Returns:
        K of [h, w, 3] float32, smaller than the pictures by one factor: to be resized and added to each.

    Raises:
        NumericalError: The offsets are not finite.
    """
    scale = min(1.0, settings.grid_side / max(labels.shape))
    size = (max(2, round(labels.shape[1] * scale)), max(2, round(labels.shape[0] * scale)))
    cells = cv2.resize(labels.astype(np.int16), size, interpolation=cv2.INTER_NEAREST)  # [h, w]
    small = np.stack(
        [_shrink(picture, mask, size, settings.min_valid) for picture, mask in zip(pictures, valid, strict=True)]
    )  # [K, h, w, 3]
    offsets = _solve(*_seam_differences(small, cells, settings.max_difference), cells.shape, settings.decay)
    require_finite(offsets=offsets)
    return [fill_from_nearest(offsets, cells == number) for number in range(len(pictures))]


def _shrink(picture: np.ndarray, valid: np.ndarray, size: tuple[int, int], min_valid: float) -> np.ndarray:
    """Shrink a picture to (width, height); cells where it shows too little get the nearest color. [h, w, 3]."""
    share = cv2.resize(valid.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    small = cv2.resize(picture * valid[..., None].astype(np.float32), size, interpolation=cv2.INTER_AREA)
    small = small / np.maximum(share, 1e-3)[..., None]
    return fill_from_nearest(small, share > min_valid)


def _seam_differences(
    pictures: np.ndarray, labels: np.ndarray, max_difference: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """List the edges between neighboring cells, and how much the offsets at their ends should differ.

    Args:
        pictures: [K, h, w, 3] float32.
        labels: int [h, w].
        max_difference: Larger differences of a channel are not leveled.

    Returns:
        First and second cell of each edge, int [E]; difference of the first's offset to the second's, [E, 3], which
        is 0 inside a picture.
    """
    first, second = grid_edges(labels.shape)
    colors, flat_labels = pictures.reshape(len(pictures), -1, 3), labels.ravel()
    label0, label1 = flat_labels[first], flat_labels[second]
    steps = [colors[label1, cell] - colors[label0, cell] for cell in (first, second)]  # [E, 3] each
    differences = (steps[0] + steps[1]) / 2
    differences[np.abs(differences).max(axis=1) > max_difference] = 0
    return first, second, differences


def _solve(
    first: np.ndarray, second: np.ndarray, differences: np.ndarray, shape: tuple[int, ...], decay: float
) -> np.ndarray:
    """Find the offsets [h, w, 3] float32 that minimize sum |o_first - o_second - d|² + sum |o|² / decay²."""
    count = shape[0] * shape[1]
    gradient = grid_gradient(first, second, count)
    normal = csc_array(gradient.T @ gradient + diags_array(np.full(count, decay**-2)))
    solution = splu(normal).solve(gradient.T @ differences.astype(np.float64))
    return np.asarray(solution, np.float32).reshape(*shape, 3)
