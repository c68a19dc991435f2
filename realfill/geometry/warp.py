"""FIXME DOCSTRING."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from realfill.geometry.projection import in_bounds
from realfill.imaging.ops import Pixels, resize

Maps = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray]]
_MOST_STRETCHED = 3.0  # octaves


@dataclass(frozen=True)
class Warp:
    """How the canvas lies in a reference.

    Attributes:
        maps: From columns and rows of the canvas, float32 [h, w], to those of the reference, and whether they are
            defined.
        parallax: Angle between the two cameras as seen from the scene, radians.
        seen: Where nothing nearer hides the scene from the reference, bool at the working scale; None: everywhere.
        exact: Whether the geometry of the scene says so; what is laid only about right is never certain.
    """

    maps: Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray]]
    parallax: float
    seen: np.ndarray | None = None
    exact: bool = True


def remap_prefiltered(
    image: Pixels, columns: np.ndarray, rows: np.ndarray, defined: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Colours [h, w, 3] float32 in 0..1 of a picture at places, prefiltered where it has finer pixels; validity."""
    valid = defined & in_bounds(columns, rows, image.shape)
    shrink = max(1.0, _spacing(columns, rows, valid))
    if shrink > 1.2:
        size = (max(1, round(image.shape[1] / shrink)), max(1, round(image.shape[0] / shrink)))
        columns = (columns + 0.5) * (size[0] / image.shape[1]) - 0.5
        rows = (rows + 0.5) * (size[1] / image.shape[0]) - 0.5
        image = resize(image, *size)
    sampled = cv2.remap(image, columns, rows, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return sampled.astype(np.float32) / 255, valid


def relative_stretch(columns: np.ndarray, rows: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """See `Lit.stretch`: by the smaller singular value of the map's derivative."""
    slopes = [cv2.GaussianBlur(part, (0, 0), 2.0) for field in (columns, rows) for part in np.gradient(field)]
    (a, b), (c, d) = slopes[:2], slopes[2:]
    size, twist = a * a + b * b + c * c + d * d, 2 * np.abs(a * d - b * c)
    finest = (np.sqrt(np.maximum(size + twist, 0)) - np.sqrt(np.maximum(size - twist, 0))) / 2
    usual = float(np.median(finest[valid])) if valid.any() else 1.0
    octaves = np.log2(max(usual, 1e-6) / np.maximum(finest, 1e-6))
    return np.asarray(np.nan_to_num(octaves).clip(0, _MOST_STRETCHED), np.float32)


def _spacing(columns: np.ndarray, rows: np.ndarray, valid: np.ndarray) -> float:
    """Median distance of neighbouring places, pixels of the reference."""
    if not valid[:, 1:].any():
        return 1.0
    steps = np.hypot(np.diff(columns, axis=1), np.diff(rows, axis=1))
    return float(np.median(steps[valid[:, 1:]]))


def homography_warp(homography: np.ndarray) -> Warp:
    def maps(columns: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        x, y, z = np.tensordot(homography.astype(np.float32), np.stack([columns, rows, np.ones_like(rows)]), axes=1)
        before = z > 1e-6
        safe = np.where(before, z, 1)
        return x / safe, y / safe, before

    return Warp(maps, 0.0)
