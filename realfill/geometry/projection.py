"""FIXME DOCSTRING."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from realfill.geometry.camera import Camera

_HIDING = 8.0  # pixels by which a nearer point moves more than what it hides


@dataclass(frozen=True)
class View:
    """A reference as the sweep sees it.

    Attributes:
        gray: [h, w] float32, 0 to 1.
        camera: Seen from the target's camera.
    """

    gray: np.ndarray
    camera: Camera


def project(
    camera: Camera, rays: np.ndarray, inverse: np.ndarray | float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where points of the target's view lie in a reference.

    Args:
        camera: Of the reference, seen from the target's.
        rays: [H, W, 3] float32 directions.
        inverse: Inverse depth, [H, W] float32 or one for all.

    Returns:
        Columns and rows [H, W] float32, and whether the point lies before the camera.
    """
    turned = rays @ camera.rotation.T.astype(np.float32)
    shift = camera.translation.astype(np.float32)
    moved = turned + (inverse[..., None] * shift if isinstance(inverse, np.ndarray) else np.float32(inverse) * shift)
    columns, rows, depth = camera.project(moved)
    return columns.astype(np.float32), rows.astype(np.float32), depth > 1e-6


def in_bounds(columns: np.ndarray, rows: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """Which places lie on a picture of this shape, bool."""
    inside: np.ndarray = (columns >= 0) & (rows >= 0) & (columns <= shape[1] - 1) & (rows <= shape[0] - 1)
    return inside


def visible(camera: Camera, rays: np.ndarray, inverse: np.ndarray) -> np.ndarray:
    """Which points of the target's view no nearer one hides from a reference, bool [H, W].

    Every point is drawn into the reference with what is nearest on top (a z-buffer as coarse as the rays).

    Args:
        camera: Of the reference, seen from the target's.
        rays: [H, W, 3] float32 directions.
        inverse: Inverse depth, [H, W] float32.
    """
    shift = float(np.linalg.norm(camera.translation))
    if shift == 0:
        return np.ones(inverse.shape, bool)
    columns, rows, before = project(camera, rays, inverse)
    spacing = float(np.median(np.hypot(np.diff(columns, axis=1), np.diff(rows, axis=1))))
    x, y = np.rint(columns / spacing).astype(int), np.rint(rows / spacing).astype(int)
    x, y = x - x.min(), y - y.min()
    nearest = np.zeros((int(y.max()) + 1, int(x.max()) + 1), np.float32)
    np.maximum.at(nearest, (y, x), np.where(before, inverse, 0))
    nearest = cv2.morphologyEx(nearest, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    hidden_by = _HIDING * spacing / (camera.focal * shift)
    shown: np.ndarray = before & (inverse >= nearest[y, x] - hidden_by)
    return shown
