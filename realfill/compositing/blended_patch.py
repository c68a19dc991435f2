"""A patch that completes a canvas, or a photo in its own color space and depth."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from realfill.album.schemas import Window
from realfill.photo_io.color_management import from_rgb
from realfill.photo_io.photo import Photo


@dataclass(frozen=True)
class BlendedPatch:
    """Pixels that are composited over the canvas.

    Attributes:
        area: Rows and columns of the canvas, [h, w].
        colors: [h, w, 3] float32 RGB in 0..1.
        weight: Opacity, [h, w] float32: 1 in the hole, falling to 0 across the feather.
    """

    area: tuple[slice, slice]
    colors: np.ndarray
    weight: np.ndarray

    def composite(self, foreground: np.ndarray, background: np.ndarray) -> np.ndarray:
        """Composite by the patch's opacity.

        Args:
            foreground: [h, w, C], the patch's colors in the color space and range of the background.
            background: [h, w, C] of any dtype.

        Returns:
            [h, w, C] of the background's dtype; identical to it where the opacity is 0.
        """
        weight = self.weight[..., None]
        mixed = (1 - weight) * background + weight * foreground
        if np.issubdtype(background.dtype, np.integer):
            mixed = np.rint(mixed)
        return np.where(weight > 0, mixed.astype(background.dtype), background)

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Left, top, right, bottom (exclusive) of all pixels that change, pixels of the canvas."""
        left, top, width, height = cv2.boundingRect((self.weight > 0).astype(np.uint8))
        left, top = left + self.area[1].start, top + self.area[0].start
        return left, top, left + width, top + height


def complete_photo(photo: Photo, window: Window, patch: BlendedPatch, profile: bytes | None = None) -> Photo:
    """Extend a photo to the canvas, and composite a patch over it in the photo's own color space and depth.

    Args:
        photo: The target.
        window: Where it lies in the canvas.
        patch: What is composited over it.
        profile: ICC profile of the space that the patch is in; None for sRGB.

    Returns:
        A photo of the canvas's size; opaque wherever the patch changes it.
    """
    extended = _extend_to_canvas(photo, window)
    pixels, area = extended.pixels, patch.area
    pixels[area] = patch.composite(from_rgb(patch.colors, profile, photo), pixels[area])
    if extended.alpha is not None:
        extended.alpha[area][patch.weight > 0] = np.iinfo(extended.alpha.dtype).max
    return extended


def _extend_to_canvas(photo: Photo, window: Window) -> Photo:
    """Copy a photo to where it lies in the canvas; the rest is zero."""
    right = window.canvas_width - window.photo_left - photo.width
    bottom = window.canvas_height - window.photo_top - photo.height
    pads = ((window.photo_top, bottom), (window.photo_left, right))
    alpha = None if photo.alpha is None else np.pad(photo.alpha, pads)
    return replace(photo, pixels=np.pad(photo.pixels, (*pads, (0, 0))), alpha=alpha)
