"""FIXME DOCSTRING."""

from __future__ import annotations

import math

import cv2
import numpy as np

from realfill.imaging.ops import Pixels

CROWDED = 0.75  # share of hole in a window above which it is widened beyond the canvas's shorter side


def window_around(mask: Pixels, context: float, minimum: int) -> tuple[int, int, int]:
    """The square that the model sees: around the hole, with context, inside the canvas where that is possible.

    Its side is `context` times the longer side of the hole's bounding box, at least `minimum`, at most the canvas's
    shorter side. Only where the hole is longer than that, or would leave hardly anything else to see, it grows up to
    the canvas's longer side and reaches beyond the canvas, equally far at both ends.

    Args:
        mask: [H, W] uint8, nonzero = fill, not empty.
        context: Side of the window / longer side of the hole.
        minimum: Side in pixels that it has at least where the canvas is that large.

    Returns:
        Left, top (negative where it reaches beyond the canvas) and side, in pixels.
    """
    height, width = mask.shape
    box_left, box_top, box_width, box_height = cv2.boundingRect(mask)
    longest = max(box_width, box_height)
    wanted = max(math.ceil(longest * context), minimum)
    shorter, longer = min(height, width), max(height, width)
    fits = longest <= shorter and np.count_nonzero(mask) <= CROWDED * shorter**2
    side = min(wanted, shorter if fits else longer)
    return _placed(box_left, box_width, side, width), _placed(box_top, box_height, side, height), side


def _placed(start: int, length: int, side: int, limit: int) -> int:
    if side > limit:
        return (limit - side) // 2
    return min(max(start + (length - side) // 2, 0), limit - side)
