"""Level the seams of a mosaic of pictures (Lempitsky and Ivanov, CVPR 2007).

Each picture gets a smooth offset of its colours, so that neighbours meet without a step: the offsets differ across a
seam by what the pictures differ there, vary little elsewhere, and fade away from the seams.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from scipy.sparse import csc_array, diags_array
from scipy.sparse.linalg import splu

from realfill.imaging.ops import fill_from_nearest

_SIDE = 160  # cells along the longer side of the grid that is solved on
_REACH = 30.0  # cells over which an offset fades
_MOST = 0.25  # difference of colours beyond which the contents differ rather than the light


def seam_offsets(pictures: Sequence[np.ndarray], valid: Sequence[np.ndarray], labels: np.ndarray) -> list[np.ndarray]:
    """The offset of each picture.

    Args:
        pictures: K of [H, W, 3] float32 in 0..1.
        valid: Where they show anything, K of bool [H, W].
        labels: Number of the picture taken at each place, [H, W].

    Returns:
        K of [h, w, 3] float32, smaller than the pictures by one factor: to be added to each, resized.
    """
    shrink = min(1.0, _SIDE / max(labels.shape))
    size = (max(2, round(labels.shape[1] * shrink)), max(2, round(labels.shape[0] * shrink)))
    taken = cv2.resize(labels.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    small = np.stack([_extended(picture, seen, size) for picture, seen in zip(pictures, valid, strict=True)])
    shift = _solved(*_steps(small, taken), taken.shape)
    return [fill_from_nearest(shift, taken == number) for number in range(len(pictures))]


def _extended(picture: np.ndarray, valid: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The picture at another size [h, w, 3]; where it shows nothing, what it shows nearest."""
    share = cv2.resize(valid.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    small = cv2.resize(picture * valid[..., None].astype(np.float32), size, interpolation=cv2.INTER_AREA)
    small = small / np.maximum(share, 1e-3)[..., None]
    return fill_from_nearest(small, share > 0.5)


def _steps(pictures: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs of neighbouring cells (first, second, each [E]) and by how much the first's offset is larger [E, 3]."""
    cells = np.arange(labels.size).reshape(labels.shape)
    pairs = [(cells[:, :-1], cells[:, 1:]), (cells[:-1], cells[1:])]
    first, second = (np.concatenate([pair[end].ravel() for pair in pairs]) for end in (0, 1))
    flat, taken = pictures.reshape(len(pictures), -1, 3), labels.ravel()
    one, other = taken[first], taken[second]
    between = [flat[other, place] - flat[one, place] for place in (first, second)]  # [E, 3] each; 0 inside a picture
    wanted = (between[0] + between[1]) / 2
    wanted[np.abs(wanted).max(axis=1) > _MOST] = 0
    return first, second, wanted


def _solved(first: np.ndarray, second: np.ndarray, wanted: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Offsets [h, w, 3] float32 that minimise sum |o_first - o_second - wanted|² + sum |o|² / reach²."""
    count, edges = shape[0] * shape[1], np.arange(len(first))
    signs = np.ones(len(first))
    ends = (np.concatenate([signs, -signs]), (np.concatenate([edges, edges]), np.concatenate([first, second])))
    slope = csc_array(ends, (len(first), count))
    normal = csc_array(slope.T @ slope + diags_array(np.full(count, _REACH**-2)))
    return np.asarray(splu(normal).solve(slope.T @ wanted.astype(np.float64)), np.float32).reshape(*shape, 3)
