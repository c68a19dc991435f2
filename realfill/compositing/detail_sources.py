"""FIXME DOCSTRING."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from realfill.album.schemas import Window
from realfill.imaging.ops import Pixels, resize
from realfill.photo_io.color_management import read_srgb

_BLUR = 0.5  # cells; what the fill is unsure of matters less
_SMALLER = 0.7  # photos this much smaller than the target have no detail to give


@dataclass(frozen=True)
class DetailSources:
    """What detail is taken from: the canvas in the window, then the references.

    Attributes:
        own: [side, side, 3] uint8 sRGB.
        unknown: Where it shows nothing, [side, side] bool.
        scale: Pixels a cell.
        window: Tells the target's size.
        references: The other photos.
    """

    own: Pixels
    unknown: Pixels
    scale: float
    window: Window
    references: Sequence[Path]

    def read(self, number: int) -> Pixels:
        """A photo at the canvas's pixel scale, [h, w, 3] uint8 sRGB; empty where it has no detail to give."""
        if number == 0:
            return self.own
        photo = read_srgb(self.references[number - 1])
        height, width = photo.shape[:2]
        ratio = max(self.window.photo_width, self.window.photo_height) / max(height, width)
        if ratio > 1 / _SMALLER:
            return photo[:0, :0]
        return resize(photo, round(width * ratio), round(height * ratio)) if ratio < 1 else photo

    def small(self, photo: Pixels) -> Pixels:
        """A photo with a pixel a cell."""
        if photo.size == 0:
            return photo
        return resize(photo, *(max(1, round(side / self.scale)) for side in photo.shape[1::-1]))

    def fine(self, photo: Pixels) -> np.ndarray:
        """What a photo has beyond its small version, [h, w, 3] float32."""
        coarse = resize(self.small(photo).astype(np.float32), photo.shape[1], photo.shape[0])
        return np.asarray((photo - coarse) / 255, np.float32)


def luma_chroma(picture: Pixels) -> Pixels:
    """[h, w, 3] uint8 luma and chroma of uint8 sRGB, smoothed."""
    planes: Pixels = cv2.cvtColor(picture, cv2.COLOR_RGB2YCrCb)
    planes[..., 0] = cv2.GaussianBlur(planes[..., 0], (0, 0), _BLUR)
    planes[..., 1:] = cv2.blur(planes[..., 1:], (3, 3))
    return planes


def region_in_window(region: Pixels, window: Window, place: tuple[slice, slice]) -> Pixels:
    """A region [h, w] bool of a place in the canvas as [side, side] bool of the window."""
    inside = np.zeros((window.side, window.side), bool)
    rows, columns = (
        np.arange(p.start, p.stop) - corner for p, corner in zip(place, (window.top, window.left), strict=True)
    )
    r, c = ((span >= 0) & (span < window.side) for span in (rows, columns))
    inside[np.ix_(rows[r], columns[c])] = region[np.ix_(r, c)]
    return inside
