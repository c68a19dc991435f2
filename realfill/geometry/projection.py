"""Projection of the target's pixels into a reference by their inverse depth, and visibility there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from realfill.geometry.camera import MIN_DEPTH, Camera


@dataclass(frozen=True)
class VisibilitySettings:
    """When a nearer point hides a farther one.

    Attributes:
        min_disparity: A point hides another one if it is displaced by this much more between the two views, in units
            of the projected pixels' spacing; set by hand.
        closing_size: Side of the square that closes gaps between projected pixels, in the same units; set by hand.
        max_extent: How far from the median projected pixel others are drawn, in widths and heights of the target's
            part; set by hand. Wrong depths near the camera are projected anywhere, and a z-buffer that held them all
            took up to 95 GiB.
    """

    min_disparity: float = 8.0
    closing_size: int = 3
    max_extent: float = 8.0


class RayProjection:
    """Projection of a target's pixels into a reference, for many inverse depths.

    Args:
        camera: Of the reference, relative to the target's camera.
        rays: Directions of the target's pixels, [H, W, 3] float32 with z = 1.
    """

    def __init__(self, camera: Camera, rays: np.ndarray) -> None:
        self._camera = camera
        self._turned = cv2.split(cv2.transform(rays, camera.rotation))  # [H, W] float32 each

    def at(self, inverse_depth: np.ndarray | float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Project the pixels at an inverse depth; see `project`."""
        if isinstance(inverse_depth, np.ndarray):
            inverse_depth = inverse_depth.astype(np.float32, copy=False)
        shift = (np.float32(value) * inverse_depth for value in self._camera.translation)
        # points times inverse depth: the same pixels
        x, y, depth = (turned + part for turned, part in zip(self._turned, shift, strict=True))
        return _project_points(self._camera, x, y, depth)


def _project_points(
    camera: Camera, x: np.ndarray, y: np.ndarray, depth: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Project points [H, W] float32 in a camera's own coordinates, in place; see `project`."""
    in_front = depth > MIN_DEPTH
    np.fmax(depth, np.float32(MIN_DEPTH), out=depth)
    x /= depth
    y /= depth
    scale: np.ndarray | np.float32 = np.float32(camera.focal)
    if any(camera.radial_distortion):
        scale = camera.distort(x, y)
        scale *= np.float32(camera.focal)
    x *= scale
    y *= scale
    x += np.float32(camera.center[0])
    y += np.float32(camera.center[1])
    return x, y, in_front


def project_pixels(
    target: Camera, reference: Camera, columns: np.ndarray, rows: np.ndarray, inverse_depth: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Project pixels of the target, which need not lie on a grid, into a reference.

    Args:
        target: The target's camera.
        reference: The reference's, relative to the target's.
        columns: [H, W] float32.
        rows: [H, W] float32.
        inverse_depth: 1 / depth in the target's view, [H, W] float32.

    Returns:
        As `project`.
    """
    x, y = (plane.astype(np.float32, copy=False) for plane in target.undistort(columns, rows))
    turned = []
    for (along_x, along_y, along_z), shift in zip(reference.rotation, reference.translation, strict=True):
        plane = x * np.float32(along_x)
        plane += y * np.float32(along_y)
        plane += inverse_depth * np.float32(shift)
        plane += np.float32(along_z)
        turned.append(plane)
    return _project_points(reference, *turned)


def project(
    camera: Camera, rays: np.ndarray, inverse_depth: np.ndarray | float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Project pixels of the target into a reference.

    Args:
        camera: Of the reference, relative to the target's camera.
        rays: Directions of the target's pixels, [H, W, 3] float32 with z = 1.
        inverse_depth: 1 / depth in the target's view, [H, W] float32 or one value for all.

    Returns:
        Columns and rows in the reference, [H, W] float32, and whether the point lies before its camera, bool [H, W].
    """
    return RayProjection(camera, rays).at(inverse_depth)


def pixel_rays(camera: Camera, shape: Sequence[int]) -> np.ndarray:
    """Directions of the pixels of a picture, [h, w, 3] float32."""
    rows, columns = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    return camera.rays(columns, rows)


def inverse_depth_in(camera: Camera, rays: np.ndarray, inverse_depth: np.ndarray) -> np.ndarray:
    """Inverse depth of points in another camera.

    Args:
        camera: The other, relative to the one that sees the points.
        rays: Directions of the points, [h, w, 3] float32 with z = 1.
        inverse_depth: [h, w] float32.

    Returns:
        [h, w] float32; 0 behind the camera.
    """
    along = rays @ camera.rotation[2].astype(np.float32) + inverse_depth * np.float32(camera.translation[2])
    return np.asarray(np.where(along > 0, inverse_depth / np.where(along > 0, along, 1), 0), np.float32)


def in_bounds(columns: np.ndarray, rows: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """Tell which points lie between the pixel centers of a picture of this shape (height, width, ...), bool."""
    inside: np.ndarray = (columns >= 0) & (rows >= 0) & (columns <= shape[1] - 1) & (rows <= shape[0] - 1)
    return inside


def compute_visibility(
    camera: Camera, rays: np.ndarray, inverse_depth: np.ndarray, settings: VisibilitySettings = VisibilitySettings()
) -> np.ndarray:
    """Tell which pixels of the target a reference sees, because no nearer one hides them there.

    All pixels are drawn into a z-buffer of the reference whose cells are as large as the spacing of the projected
    pixels.

    Args:
        camera: Of the reference, relative to the target's camera.
        rays: Directions of the target's pixels, [H, W, 3] float32 with z = 1.
        inverse_depth: 1 / depth in the target's view, [H, W] float32.
        settings: When a nearer point hides a farther one.

    Returns:
        bool [H, W].
    """
    baseline = float(np.linalg.norm(camera.translation))
    if baseline == 0:
        return np.ones(inverse_depth.shape, bool)
    columns, rows, in_front = project(camera, rays, inverse_depth)
    with np.errstate(invalid="ignore", over="ignore"):
        spacing = _finite_median(np.hypot(np.diff(columns, axis=1), np.diff(rows, axis=1)))
    center = _finite_median(columns), _finite_median(rows)
    if not np.finfo(np.float32).eps * max(map(abs, center)) < spacing < np.inf:  # too fine for float32
        return np.zeros(inverse_depth.shape, bool)
    drawn = in_front & _is_near(columns, rows, center, settings.max_extent * spacing)
    if not drawn.any():
        return drawn
    x, y = np.rint(columns[drawn] / spacing).astype(int), np.rint(rows[drawn] / spacing).astype(int)
    x, y = x - x.min(), y - y.min()
    z_buffer = np.zeros((int(y.max()) + 1, int(x.max()) + 1), np.float32)  # inverse depth of the nearest point
    np.maximum.at(z_buffer, (y, x), inverse_depth[drawn])
    kernel = np.ones((settings.closing_size, settings.closing_size), np.uint8)
    z_buffer = cv2.morphologyEx(z_buffer, cv2.MORPH_CLOSE, kernel)
    tolerance = settings.min_disparity * spacing / (camera.focal * baseline)
    visible = drawn.copy()
    visible[drawn] = inverse_depth[drawn] >= z_buffer[y, x] - tolerance
    return visible


def _finite_median(values: np.ndarray) -> float:
    """Return the median of the finite values, NaN if there are none."""
    finite = values[np.isfinite(values)]
    return float(np.median(finite)) if finite.size else np.nan


def _is_near(columns: np.ndarray, rows: np.ndarray, center: tuple[float, float], reach: float) -> np.ndarray:
    """Tell which projected pixels lie at most `reach` widths and heights of the array from a center, bool [H, W]."""
    height, width = columns.shape
    x, y = center
    near: np.ndarray = (np.abs(columns - x) <= reach * width) & (np.abs(rows - y) <= reach * height)
    return near
