"""Breaks between surfaces on which the reference itself shows no edge: islands of wrong depth in a sky or on a wall.

What lies to both sides of such a break comes from places far apart, which light alone may tell apart: a dark blot
with a sharp outline. A reference is cut there into surfaces, whose tone can be leveled as that of different pictures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from realfill.imaging.ops import Pixels, fill_from_nearest, to_float


@dataclass(frozen=True)
class SurfaceBreakSettings:
    """Where a reference is cut. All values were set by hand on one album, and looked at on the others.

    Attributes:
        min_jump: How much farther apart than usual neighbors come from, in usual distances (of a pixel at least).
        radius: How far around a place the reference has to be even, usual distances of neighbors.
        max_contrast: Largest range of a color channel there, 0 to 1.
        min_area: Least size of a surface, as a share of the region; smaller ones belong to what is around them.
            Depth maps have hardly any that are smaller than .002.
    """

    min_jump: float = 2.0
    radius: int = 3
    max_contrast: float = 0.06
    min_area: float = 0.001


@dataclass(frozen=True)
class Surface:
    """A part of a reference without breaks.

    Attributes:
        reference: Number of the reference.
        extent: Where it lies in the region, whether it is shown there or not, bool [h, w].
    """

    reference: int
    extent: np.ndarray


def detect_breaks(
    photo: Pixels, columns: np.ndarray, rows: np.ndarray, settings: SurfaceBreakSettings = SurfaceBreakSettings()
) -> np.ndarray:
    """Detect breaks in a warped photo where it is even.

    Args:
        photo: [H, W, 3] uint8, before it is warped.
        columns: Where each place comes from, pixels of the photo, [h, w] float32.
        rows: The same.
        settings: What is a break.

    Returns:
        bool [h, w]: whether between a place and the next one, to the right or below, there is a break.
    """
    limit = 2 * max(photo.shape)  # pixels; what comes from beyond is not shown
    columns, rows = (np.nan_to_num(places).clip(-limit, limit) for places in (columns, rows))
    steps = [(np.diff(columns, axis=axis), np.diff(rows, axis=axis)) for axis in (0, 1)]
    usual = [(np.median(x), np.median(y)) for x, y in steps]
    spacing = max(1.0, float(np.mean([np.hypot(x, y) for x, y in usual])))
    even = _sample_contrast(photo, columns, rows, spacing, settings.radius) < settings.max_contrast
    breaks = np.zeros(columns.shape, bool)
    for axis, ((x, y), (usual_x, usual_y)) in enumerate(zip(steps, usual, strict=True)):
        jumps = np.hypot(x - usual_x, y - usual_y) > settings.min_jump * spacing
        here, there = (slice(None, -1), slice(None)), (slice(1, None), slice(None))
        if axis:
            here, there = here[::-1], there[::-1]
        breaks[here] |= jumps & even[here] & even[there]
    return breaks


def cut_at_breaks(
    labels: np.ndarray, breaks: Sequence[np.ndarray], settings: SurfaceBreakSettings = SurfaceBreakSettings()
) -> tuple[np.ndarray, list[Surface]]:
    """Cut the parts of a mosaic along the breaks of the reference that each shows.

    Args:
        labels: Number of the reference shown at each place, int [h, w].
        breaks: As `detect_breaks` returns them, one per reference.
        settings: How small a surface may be.

    Returns:
        Number of the surface at each place, int [h, w], and the surfaces.
    """
    pieces = np.zeros(labels.shape, int)
    surfaces: list[Surface] = []
    for number in np.unique(labels).tolist():
        shown = labels == number
        parts = _separate(breaks[number], settings.min_area)
        for part in np.unique(parts[shown]):
            extent = parts == part
            pieces[shown & extent] = len(surfaces)
            surfaces.append(Surface(number, extent))
    return pieces, surfaces


def _separate(breaks: np.ndarray, min_area: float) -> np.ndarray:
    """Number the parts that breaks separate, int [h, w]; small ones and breaks belong to the nearest large one."""
    _, parts, statistics, _ = cv2.connectedComponentsWithStats((~breaks).astype(np.uint8), connectivity=4)
    large = statistics[:, cv2.CC_STAT_AREA] >= min_area * breaks.size
    large[0] = False
    return fill_from_nearest(parts, large[parts])


def _sample_contrast(photo: Pixels, columns: np.ndarray, rows: np.ndarray, spacing: float, radius: int) -> np.ndarray:
    """Range of the photo's colors around where each place comes from, [h, w] float32 in 0..1."""
    scale = 1 / spacing
    small = cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    window = np.ones((2 * radius + 1, 2 * radius + 1), np.uint8)
    contrast = to_float(cv2.morphologyEx(small, cv2.MORPH_GRADIENT, window).max(axis=2))
    height, width = contrast.shape
    x = ((columns + 0.5) * scale - 0.5).clip(0, width - 1).astype(np.float32)
    y = ((rows + 0.5) * scale - 0.5).clip(0, height - 1).astype(np.float32)
    return np.asarray(cv2.remap(contrast, x, y, cv2.INTER_NEAREST))
