"""Warps: where the pixels of the target's canvas lie in a reference, and how the reference is sampled there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from realfill.geometry.projection import in_bounds
from realfill.imaging.ops import Pixels, resize, to_float

CoordinateMap = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class WarpSettings:
    """How a reference is sampled, and how its stretch is measured.

    Attributes:
        min_shrink: Spacing of the samples, pixels of the reference, beyond which the reference is shrunk before it is
            sampled, against aliasing; set by hand.
        stretch_blur: Sigma of the Gaussian that smooths the warp's derivative, pixels of the target; set by hand.
        max_stretch: The most stretch that is told apart, octaves; set by hand.
    """

    min_shrink: float = 1.2
    stretch_blur: float = 2.0
    max_stretch: float = 3.0


@dataclass(frozen=True)
class Warp:
    """How the target's canvas is mapped into a reference.

    Attributes:
        maps: From columns and rows of the canvas, float32 [h, w], to columns and rows of the reference, float32
            [h, w], and whether they are defined, bool [h, w]. Both are pixels at full size.
        parallax: Angle between the two cameras as seen from the scene, radians; 0 for warps without cameras.
        visible: Where no nearer surface hides the scene from the reference, bool at the working scale; None:
            everywhere.
        approximate: Whether the warp is an approximate alignment rather than derived from the scene's geometry; such
            a reference is never certain.
    """

    maps: CoordinateMap
    parallax: float
    visible: np.ndarray | None = None
    approximate: bool = False


def homography_warp(homography: np.ndarray) -> Warp:
    """Return the warp of a homography [3, 3] from the canvas to the reference, pixels at full size."""

    def maps(columns: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        points = np.stack([columns, rows, np.ones_like(rows)])  # [3, h, w]
        x, y, z = np.tensordot(homography.astype(np.float32), points, axes=1)
        in_front = z > 1e-6
        safe_z = np.where(in_front, z, 1)
        return x / safe_z, y / safe_z, in_front

    return Warp(maps, 0.0)


def remap_prefiltered(
    image: Pixels,
    columns: np.ndarray,
    rows: np.ndarray,
    defined: np.ndarray,
    settings: WarpSettings = WarpSettings(),
) -> tuple[np.ndarray, np.ndarray]:
    """Sample a picture at given points as floats, about 0 to 1; see `sample_prefiltered`."""
    sampled, valid = sample_prefiltered(image, columns, rows, defined, settings)
    return to_float(sampled), valid


def sample_prefiltered(
    image: Pixels,
    columns: np.ndarray,
    rows: np.ndarray,
    defined: np.ndarray,
    settings: WarpSettings = WarpSettings(),
) -> tuple[Pixels, np.ndarray]:
    """Sample a picture at given points, without aliasing where they lie wider apart than its pixels.

    Args:
        image: [H, W, 3] uint8 or uint16.
        columns: [h, w] float32, pixels of the picture.
        rows: [h, w] float32.
        defined: Which points are defined, bool [h, w].
        settings: When the picture is shrunk.

    Returns:
        Colors [h, w, 3] of the picture's dtype, and which of them it shows, bool [h, w].
    """
    valid = defined & in_bounds(columns, rows, image.shape)
    shrink = max(1.0, _median_spacing(columns, rows, valid))
    if shrink > settings.min_shrink:
        size = (max(1, round(image.shape[1] / shrink)), max(1, round(image.shape[0] / shrink)))
        columns = (columns + 0.5) * (size[0] / image.shape[1]) - 0.5
        rows = (rows + 0.5) * (size[1] / image.shape[0]) - 0.5
        image = resize(image, *size)
    return cv2.remap(image, columns, rows, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE), valid


def relative_stretch(
    columns: np.ndarray, rows: np.ndarray, valid: np.ndarray, settings: WarpSettings = WarpSettings()
) -> np.ndarray:
    """Measure how much coarser a reference shows a place than it shows most places, in the worst direction.

    The resolution of a place is the smaller singular value of the warp's derivative there: it is small where the
    reference sees a surface at a grazing angle.

    Args:
        columns: Of the reference at the target's pixels, [h, w] float32.
        rows: The same.
        valid: Which of them the reference shows, bool [h, w].
        settings: Smoothing and the largest value.

    Returns:
        Octaves, [h, w] float32, 0 to `settings.max_stretch`.
    """
    blur = settings.stretch_blur
    slopes = [cv2.GaussianBlur(part, (0, 0), blur) for field in (columns, rows) for part in np.gradient(field)]
    (a, b), (c, d) = slopes[:2], slopes[2:]
    # singular values s >= t of [[a, b], [c, d]]: (s + t)² = |.|² + 2 |det|, (s - t)² = |.|² - 2 |det|
    squared_norm, twice_determinant = a * a + b * b + c * c + d * d, 2 * np.abs(a * d - b * c)
    total = np.sqrt(np.maximum(squared_norm + twice_determinant, 0))
    difference = np.sqrt(np.maximum(squared_norm - twice_determinant, 0))
    smallest = (total - difference) / 2
    measured = smallest[valid & np.isfinite(smallest)]
    usual = float(np.median(measured)) if measured.size else 1.0
    octaves = np.log2(max(usual, 1e-6) / np.maximum(smallest, 1e-6))
    return np.asarray(np.nan_to_num(octaves).clip(0, settings.max_stretch), np.float32)


def _median_spacing(columns: np.ndarray, rows: np.ndarray, valid: np.ndarray) -> float:
    """Return the median distance of points [h, w] that are neighbors in a row, pixels of the reference."""
    if not valid[:, 1:].any():
        return 1.0
    steps = np.hypot(np.diff(columns, axis=1), np.diff(rows, axis=1))
    return float(np.median(steps[valid[:, 1:]]))
