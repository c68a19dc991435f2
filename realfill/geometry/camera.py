"""Pinhole cameras with radial distortion, and what is known of a photo's camera in advance.

Pixels are counted as array indices are: the center of the first pixel is at (0, 0). `IntrinsicsPrior.center` alone is
counted from the picture's corner, as COLMAP does.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

MIN_DEPTH = 1e-6  # points nearer than this count as behind the camera
# Times the radius of the photo's corner: farther out distortion grows no more, where its polynomial would fold what
# the photo does not show back into it. At 1.5 the lenses of two albums could no longer be adjusted.
DISTORTED_RADIUS = 1.2


@dataclass(frozen=True)
class IntrinsicsPrior:
    """What is known of a photo's camera before its pose is estimated.

    Attributes:
        width: Of the photo, pixels.
        height: Of the photo, pixels.
        center: Principal point, pixels from the photo's top left corner.
        focal: Focal length, pixels; None: unknown.
        camera: Photos with the same name share camera and focal length; None: unknown.
    """

    width: int
    height: int
    center: tuple[float, float]
    focal: float | None = None
    camera: str | None = None

    def rescale(self, scale: float) -> IntrinsicsPrior:
        """Return the prior of the photo resized by a factor."""
        return IntrinsicsPrior(
            max(1, round(self.width * scale)),
            max(1, round(self.height * scale)),
            (self.center[0] * scale, self.center[1] * scale),
            None if self.focal is None else self.focal * scale,
            self.camera,
        )


@dataclass(frozen=True)
class Camera:
    """A posed camera with two radial coefficients (COLMAP's RADIAL).

    Attributes:
        focal: Focal length f, pixels.
        center: Principal point c, pixels.
        radial_distortion: k1 and k2: the point x = (X / Z, Y / Z) is seen at the pixel
            f x (1 + k1 |x|² + k2 |x|⁴) + c.
        rotation: World to camera, float64 [3, 3].
        translation: World to camera, float64 [3].
    """

    focal: float
    center: tuple[float, float]
    radial_distortion: tuple[float, float]
    rotation: np.ndarray
    translation: np.ndarray

    def rescale(self, scale: float) -> Camera:
        """Return the camera of the photo resized by a factor."""
        x, y = ((coordinate + 0.5) * scale - 0.5 for coordinate in self.center)
        return replace(self, focal=self.focal * scale, center=(x, y))

    def relative_to(self, other: Camera) -> Camera:
        """Return the camera with the other camera's coordinate system for the world."""
        rotation = self.rotation @ other.rotation.T
        return replace(self, rotation=rotation, translation=self.translation - rotation @ other.translation)

    def undistort(self, columns: np.ndarray, rows: np.ndarray, iterations: int = 8) -> tuple[np.ndarray, np.ndarray]:
        """Compute where the rays of pixels meet the plane at depth 1, in the camera's own coordinates.

        Args:
            columns: [...], pixels.
            rows: [...], pixels.
            iterations: Of the fixed point iteration that inverts the distortion; the default was set by hand.

        Returns:
            X and Y, [...] each, of the pixels' dtype.
        """
        x = (np.asarray(columns) - self.center[0]) / self.focal
        y = (np.asarray(rows) - self.center[1]) / self.focal
        undistorted_x, undistorted_y = x, y
        for _ in range(iterations if any(self.radial_distortion) else 0):
            factor = self.distort(undistorted_x, undistorted_y)
            undistorted_x, undistorted_y = x / factor, y / factor
        return undistorted_x, undistorted_y

    def rays(self, columns: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Compute the directions in which pixels see, [..., 3] float32 with z = 1; see `undistort`."""
        x, y = self.undistort(columns, rows)
        return np.stack([x, y, np.ones_like(x)], axis=-1).astype(np.float32)

    def project(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Project points onto the picture.

        Args:
            points: [..., 3] in the camera's own coordinates.

        Returns:
            Columns, rows and depths, [...] each. Where the depth is not positive, columns and rows mean nothing.
        """
        depth = points[..., 2]
        safe_depth = np.where(depth > MIN_DEPTH, depth, MIN_DEPTH)
        x, y = points[..., 0] / safe_depth, points[..., 1] / safe_depth
        scale = self.focal * self.distort(x, y)
        return x * scale + self.center[0], y * scale + self.center[1], depth

    def project_world(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Project points [N, 3] in world coordinates; see `project`."""
        return self.project(points @ self.rotation.T + self.translation)

    def distort(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """By which factor distortion moves the points (x, y), [...], away from the center."""
        k1, k2 = self.radial_distortion
        corner = math.hypot(*self.center) / self.focal
        radius2 = np.asarray(x * x)
        radius2 += y * y
        np.minimum(radius2, (DISTORTED_RADIUS * corner) ** 2, out=radius2)
        factor = radius2 * k2
        factor += k1
        factor *= radius2
        factor += 1
        return np.asarray(factor)
