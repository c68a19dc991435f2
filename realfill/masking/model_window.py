"""The square window of the canvas that the model sees."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from realfill.imaging.ops import Pixels


@dataclass(frozen=True)
class ModelWindowSettings:
    """Limits of `choose_window`.

    Attributes:
        min_side: Least side of the window where the canvas is that large, pixels. It is the resolution of the
            smallest base model.
        max_hole_share: Share of the hole in the window up to which the canvas's shorter side limits the window. Set
            by hand.
    """

    min_side: int = 256
    max_hole_share: float = 0.75


def choose_window(
    mask: Pixels, context: float, settings: ModelWindowSettings = ModelWindowSettings()
) -> tuple[int, int, int]:
    """Choose a square around the hole with context, inside the canvas where possible.

    Its side is `context` times the longer side of the hole's bounding box, at least `min_side`, and at most the
    canvas's shorter side. Only if the hole is longer than that, or would fill most of such a window, the side may
    reach the canvas's longer side; then the window reaches beyond the canvas equally far at both ends.

    Args:
        mask: [H, W] uint8, nonzero = fill, not empty.
        context: Side of the window / longer side of the hole.
        settings: Limits.

    Returns:
        Left, top (negative where it reaches beyond the canvas) and side, pixels of the canvas.
    """
    height, width = mask.shape
    box_left, box_top, box_width, box_height = cv2.boundingRect(mask)
    longest = max(box_width, box_height)
    wanted = max(math.ceil(longest * context), settings.min_side)
    shorter, longer = min(height, width), max(height, width)
    fits = longest <= shorter and np.count_nonzero(mask) <= settings.max_hole_share * shorter**2
    side = min(wanted, shorter if fits else longer)
    return _center(box_left, box_width, side, width), _center(box_top, box_height, side, height), side


def _center(start: int, length: int, side: int, limit: int) -> int:
    """First pixel of a span of `side` pixels around another one, within 0..limit, or centered over that."""
    if side > limit:
        return (limit - side) // 2
    return min(max(start + (length - side) // 2, 0), limit - side)
