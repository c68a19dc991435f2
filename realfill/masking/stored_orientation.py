"""Masks that were drawn over the stored picture of a photo that is shown turned or mirrored (EXIF orientation).

Where width and height are exchanged, the mask's size tells. Elsewhere only the damage itself can: a mask that
coincides with a flat patch of another color than its surroundings lies right.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from realfill.imaging.flat_patch import is_flat_patch
from realfill.imaging.ops import Pixels
from realfill.masking.hole_mask import Hole
from realfill.photo_io.photo import Photo, apply_orientation


@dataclass(frozen=True)
class DamageSettings:
    """When a mask coincides with damage; all set by hand.

    Attributes:
        rim: Width of the rim at either side of the outline that is not looked at, pixels: JPEG's ringing.
        ring: Width of the ring around the hole that is compared, pixels.
        max_deviation: Largest standard deviation of a channel inside, 8-bit levels.
        min_difference: Least difference of the mean colors inside and around, in one channel, 8-bit levels: the sky
            around a patch of sky differs less.
    """

    rim: int = 4
    ring: int = 8
    max_deviation: float = 4.0
    min_difference: float = 16.0


def settle_orientation(
    hole: Hole, photo: Photo, picture: Pixels, settings: DamageSettings = DamageSettings()
) -> Hole:
    """Decide over which picture a mask was drawn, the shown or the stored one, where its size does not tell.

    Args:
        hole: The hole as if it was drawn over the shown picture.
        photo: The target.
        picture: The target, [H, W, 3] uint8 sRGB.
        settings: When a mask coincides with damage.

    Returns:
        The hole, turned as the photo is if only so it coincides with the photo's damage; with a warning unless as it
        is it coincides with it.
    """
    orientation = photo.orientation
    height, width = hole.mask.shape
    if orientation == 1 or (orientation >= 5 and height != width):
        return hole
    if _coincides(hole.mask, picture, settings):
        return hole
    turned = np.ascontiguousarray(apply_orientation(hole.mask, orientation))
    about = f"The photo is shown turned or mirrored (EXIF orientation {orientation})."
    if _coincides(turned, picture, settings):
        warning = f"{about} The mask fits its damage only as it is stored, and was turned in the same way."
        return Hole(turned, (*hole.warnings, warning))
    warning = (
        f"{about} The mask was taken as drawn over the shown photo; see on the page whether the hole lies right."
    )
    return Hole(hole.mask, (*hole.warnings, warning))


def _coincides(mask: Pixels, picture: Pixels, settings: DamageSettings) -> bool:
    """Whether a mask marks a flat patch of another color than its surroundings."""
    inside = cv2.erode(mask, _disc(settings.rim), borderValue=255)
    near = cv2.dilate(mask, _disc(settings.rim))
    ring = cv2.dilate(near, _disc(settings.ring)) & ~near
    return is_flat_patch(picture, inside, ring, settings.max_deviation, settings.min_difference)


def _disc(radius: int) -> Pixels:
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
