"""Islands of depth whose edges no edge of the picture follows: mistakes in sky, walls and other even surfaces.

Where a thing stands before another one, colors differ as a rule. Depth that jumps where nothing is to be seen was
taken from windows without texture, of which other views with as little texture confirm anything.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from realfill.imaging.ops import fill_from_nearest


@dataclass(frozen=True)
class DepthIslandSettings:
    """Which islands are mistakes.

    The values were chosen on castle-outpaint, where a blot in the sky is gone with them.

    Attributes:
        edge: Least range of depth among 3 x 3 pixels that makes an edge, pixels of displacement.
        max_area: Largest area of an island, as a share of the depth map.
        min_contrast: Least contrast of a picture's edge, 0 to 1.
        window: Side of the square in which that contrast is looked for, pixels.
        blur: Standard deviation of the Gaussian that removes the picture's noise before, pixels.
        min_followed: Share of an island's edge that the picture's edges have to follow.
    """

    edge: float = 1.5
    max_area: float = 0.05
    min_contrast: float = 0.04
    window: int = 7
    blur: float = 1.0
    min_followed: float = 0.3


def fill_islands(
    inverse_depth: np.ndarray, gray: np.ndarray, pixel: float, settings: DepthIslandSettings = DepthIslandSettings()
) -> np.ndarray:
    """Replace the depth of such islands by that of the nearest other place.

    Args:
        inverse_depth: [h, w] float32.
        gray: The picture, [h, w] float32, 0 to 1.
        pixel: Inverse depth that displaces a pixel by one in the other views.
        settings: Which islands are mistakes.

    Returns:
        [h, w] float32.
    """
    edges = cv2.morphologyEx(inverse_depth, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > settings.edge * pixel
    count, numbers = cv2.connectedComponents((~edges).astype(np.uint8), connectivity=4, ltype=cv2.CV_32S)
    numbers = fill_from_nearest(numbers, ~edges)  # the pixels of an edge belong to their own side
    area = np.bincount(numbers.ravel(), minlength=count)
    length = np.bincount(numbers[edges], minlength=count)
    followed = np.bincount(numbers[edges & _has_contrast(gray, settings)], minlength=count)
    mistaken = (area < settings.max_area * edges.size) & (followed < settings.min_followed * length)
    return np.asarray(fill_from_nearest(inverse_depth, ~mistaken[numbers]))


def _has_contrast(gray: np.ndarray, settings: DepthIslandSettings) -> np.ndarray:
    """Where an edge of the picture is near, bool [h, w]."""
    smooth = cv2.GaussianBlur(gray, (0, 0), settings.blur)
    window = np.ones((settings.window, settings.window), np.uint8)
    return np.asarray(cv2.morphologyEx(smooth, cv2.MORPH_GRADIENT, window) > settings.min_contrast)
