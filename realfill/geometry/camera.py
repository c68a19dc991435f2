"""FIXME DOCSTRING."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True)
class IntrinsicsPrior:
    """What is known of a photo's lens before.

    Attributes:
        width: Of the photo, pixels.
        height: Of the photo, pixels.
        centre: Principal point, pixels from the top left corner.
        focal: Focal length in pixels, or None.
        camera: Photos with the same name were taken with the same camera and focal length; None: not known.
    """

    width: int
    height: int
    centre: tuple[float, float]
    focal: float | None = None
    camera: str | None = None


@dataclass(frozen=True)
class Camera:
    """A posed camera with one radial coefficient (COLMAP's SIMPLE_RADIAL).

    Pixels are counted as arrays are: the centre of the first one is at (0, 0).

    Attributes:
        focal: Pixels.
        centre: Principal point, pixels.
        bend: Radial distortion: an undistorted point x lies at x (1 + bend |x|²).
        rotation: World to camera, float64 [3, 3].
        translation: World to camera, float64 [3].
    """

    focal: float
    centre: tuple[float, float]
    bend: float
    rotation: np.ndarray
    translation: np.ndarray

    def scaled(self, scale: float) -> Camera:
        """The camera of the photo resized by this factor."""
        x, y = ((c + 0.5) * scale - 0.5 for c in self.centre)
        return replace(self, focal=self.focal * scale, centre=(x, y))

    def seen_from(self, other: Camera) -> Camera:
        """The same camera with the other's coordinates for the world."""
        rotation = self.rotation @ other.rotation.T
        return replace(self, rotation=rotation, translation=self.translation - rotation @ other.translation)

    def rays(self, columns: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Directions of pixels in the camera's own coordinates, float32 [..., 3] with z = 1."""
        x, y = (np.asarray(columns) - self.centre[0]) / self.focal, (np.asarray(rows) - self.centre[1]) / self.focal
        straight_x, straight_y = x, y
        for _ in range(8 if self.bend else 0):  # fixed point of x (1 + bend |x|²)
            stretch = 1 + self.bend * (straight_x * straight_x + straight_y * straight_y)
            straight_x, straight_y = x / stretch, y / stretch
        return np.stack([straight_x, straight_y, np.ones_like(straight_x)], axis=-1).astype(np.float32)

    def project(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Columns, rows and depths of points [..., 3] in the camera's own coordinates."""
        depth = points[..., 2]
        safe = np.where(depth > 1e-6, depth, 1e-6)
        x, y = points[..., 0] / safe, points[..., 1] / safe
        stretch = self.focal * (1 + self.bend * (x * x + y * y))
        return x * stretch + self.centre[0], y * stretch + self.centre[1], depth
