"""Flat patches: what a program or a person painted over a part of a photo."""

from __future__ import annotations

import cv2
import numpy as np

from realfill.imaging.ops import Pixels


def is_flat_patch(
    picture: Pixels, inside: Pixels, around: Pixels, max_deviation: float, min_difference: float
) -> bool:
    """Whether a picture shows one flat color in a place, other than around it.

    Args:
        picture: [H, W, 3] uint8.
        inside: The place, [H, W] uint8, not 0 = inside.
        around: Its surroundings, [H, W] uint8.
        max_deviation: Largest standard deviation of a channel inside, 8-bit levels.
        min_difference: Least difference of the mean colors, in one channel, 8-bit levels.

    Returns:
        False where nothing is inside or around.
    """
    if not inside.any() or not around.any():
        return False
    mean, deviation = cv2.meanStdDev(picture, mask=inside)
    mean_around, _ = cv2.meanStdDev(picture, mask=around)
    return bool(deviation.max() <= max_deviation and np.abs(mean - mean_around).max() >= min_difference)
