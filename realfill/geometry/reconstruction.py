"""A sparse reconstruction: cameras and points of a scene, as structure from motion estimates them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from realfill.geometry.camera import Camera

# Pixels. Among 12 to 33 reconstructions of each of six albums that differ in what is known of the lens, the one with
# most support so counted predicts best, or within .1 permille of the photo's side, where points in the hole lie.
SUPPORT_ERROR = 1.0


def msac_shares(errors: np.ndarray, max_error: float) -> np.ndarray:
    """How much errors [N] support a model: 1 for none, 0 from `max_error` on (MSAC; Torr and Zisserman, 2000)."""
    return np.asarray(np.maximum(0, 1 - np.square(errors / max_error)))


@dataclass(frozen=True)
class Reconstruction:
    """Cameras and points of a scene.

    Attributes:
        cameras: By the number of the photo; photos that could not be posed are absent.
        points: World coordinates, float64 [N, 3].
        errors: Mean reprojection error of each point, pixels of the photos that were matched, float64 [N].
        track_lengths: How many photos see each point, int [N].
        focal_unresolved: Whether the focal lengths could not be estimated and were fixed at the values that fit best.
    """

    cameras: dict[int, Camera]
    points: np.ndarray
    errors: np.ndarray
    track_lengths: np.ndarray
    focal_unresolved: bool = False

    @property
    def support(self) -> float:
        """How many keypoints the points explain, each counted the less the larger its point's reprojection error is.

        See `msac_shares`, for errors up to `SUPPORT_ERROR`.
        """
        return float((self.track_lengths * msac_shares(self.errors, SUPPORT_ERROR)).sum())

    def write(self, path: Path) -> None:
        """Write the reconstruction to an .npz file."""
        cameras = self.cameras.values()
        np.savez(
            path,
            numbers=np.array(list(self.cameras)),
            intrinsics=np.array([(camera.focal, *camera.center, *camera.radial_distortion) for camera in cameras]),
            rotations=np.stack([camera.rotation for camera in cameras]),
            translations=np.stack([camera.translation for camera in cameras]),
            points=self.points,
            errors=self.errors,
            track_lengths=self.track_lengths,
            focal_unresolved=np.array(self.focal_unresolved),
        )

    @classmethod
    def read(cls, path: Path) -> Reconstruction:
        """Read what `write` wrote."""
        with np.load(path, allow_pickle=False) as arrays:
            names = ("numbers", "intrinsics", "rotations", "translations")
            cameras = {
                int(number): Camera(float(focal), (float(x), float(y)), (float(k1), float(k2)), rotation, translation)
                for number, (focal, x, y, k1, k2), rotation, translation in zip(
                    *(arrays[name] for name in names), strict=True
                )
            }
            return cls(
                cameras,
                arrays["points"],
                arrays["errors"],
                arrays["track_lengths"],
                bool(arrays["focal_unresolved"]),
            )
