"""The photos that detail is taken from.

A cell is the square of the canvas that one pixel of the fill covers; patches of the fill and of the photos are
compared at one pixel per cell. Detail is what a photo has beyond its version of one pixel per cell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from realfill.album.canvas import crop_window
from realfill.album.schemas import Window
from realfill.imaging.ops import Pixels, resize, to_uint8
from realfill.photo_io.color_management import read_rgb


@dataclass(frozen=True)
class DetailSourceSettings:
    """Thresholds of `DetailSources`.

    Attributes:
        luma_sigma: Standard deviation of the Gaussian that smooths luma before patches are compared, cells. The fill
            is uncertain in what is finer. Set by hand.
        chroma_window: Side of the box filter that smooths chroma before patches are compared, cells. Set by hand.
        min_relative_size: Longer side of a photo / longer side of the target below which the photo has no detail to
            give. Set by hand.
    """

    luma_sigma: float = 0.5
    chroma_window: int = 3
    min_relative_size: float = 0.7


@dataclass(frozen=True)
class DetailSources:
    """The canvas in the window, which is photo 0, and the references, photos 1 and up.

    Attributes:
        canvas: The canvas in the window, [side, side, 3] uint8 RGB.
        unknown: Where it shows nothing: in the hole and beyond the canvas, [side, side] bool.
        scale: Side of a cell, pixels of the canvas.
        window: The square of the canvas that the fill shows.
        references: Paths of the references.
        profile: ICC profile of the working space; None for sRGB.
        settings: Thresholds.
    """

    canvas: Pixels
    unknown: Pixels
    scale: float
    window: Window
    references: Sequence[Path]
    profile: bytes | None = None
    settings: DetailSourceSettings = DetailSourceSettings()

    @classmethod
    def from_canvas(
        cls,
        canvas: np.ndarray,
        mask: np.ndarray,
        window: Window,
        references: Sequence[Path],
        cells: int,
        profile: bytes | None = None,
        settings: DetailSourceSettings = DetailSourceSettings(),
    ) -> DetailSources:
        """Crop the canvas to the window.

        Args:
            canvas: [H, W, 3] uint8 RGB, or float32 RGB in 0..1.
            mask: [H, W] uint8, 255 = fill.
            window: The square of the canvas that the fill shows.
            references: Paths of the references.
            cells: Side of the fill, pixels: the number of cells along the side of the window.
            profile: ICC profile of the working space; None for sRGB.
            settings: Thresholds.
        """
        pixels = to_uint8(crop_window(canvas, window))
        unknown = crop_window(mask, window, fill=255) > 0
        return cls(pixels, unknown, window.side / cells, window, references, profile, settings)

    @property
    def count(self) -> int:
        """Number of photos."""
        return 1 + len(self.references)

    def read(self, number: int) -> Pixels:
        """Read a photo at the canvas's scale.

        Args:
            number: 0 is the canvas in the window, 1 the first reference.

        Returns:
            [h, w, 3] uint8 RGB, reduced to the size of the target if it is larger; empty if it is too small to have
            detail.

        Raises:
            PhotoError: The reference cannot be read.
        """
        if number == 0:
            return self.canvas
        photo = read_rgb(self.references[number - 1], self.profile)
        height, width = photo.shape[:2]
        ratio = max(self.window.photo_width, self.window.photo_height) / max(height, width)
        if ratio > 1 / self.settings.min_relative_size:
            return photo[:0, :0]
        return resize(photo, round(width * ratio), round(height * ratio)) if ratio < 1 else photo

    def downsample(self, photo: Pixels) -> Pixels:
        """Resize a photo [h, w, 3] to one pixel per cell."""
        if photo.size == 0:
            return photo
        return resize(photo, *(max(1, round(side / self.scale)) for side in photo.shape[1::-1]))

    def extract_detail(self, photo: Pixels) -> np.ndarray:
        """Subtract from a photo its version of one pixel per cell, [h, w, 3] uint8 -> float32 in -1..1."""
        coarse = resize(self.downsample(photo).astype(np.float32), photo.shape[1], photo.shape[0])
        detail = np.subtract(photo, coarse, out=coarse)
        return np.divide(detail, np.float32(255), out=detail)


def to_smooth_ycrcb(image: Pixels, settings: DetailSourceSettings = DetailSourceSettings()) -> Pixels:
    """Convert an image to smoothed luma and chroma (Rec. 601, full range).

    Args:
        image: [h, w, 3] uint8 RGB.
        settings: Widths of the filters.

    Returns:
        [h, w, 3] uint8: Y, Cr, Cb.
    """
    planes: Pixels = cv2.cvtColor(image, cv2.COLOR_RGB2YCrCb)
    planes[..., 0] = cv2.GaussianBlur(planes[..., 0], (0, 0), settings.luma_sigma)
    planes[..., 1:] = cv2.blur(planes[..., 1:], (settings.chroma_window, settings.chroma_window))
    return planes


def crop_area_to_window(values: Pixels, area: tuple[slice, slice], window: Window) -> Pixels:
    """Move a mask from an area of the canvas into the window.

    Args:
        values: [h, w] bool, over the area.
        area: Rows and columns of the canvas.
        window: The window.

    Returns:
        [side, side] bool; False where the window lies outside the area.
    """
    inside = np.zeros((window.side, window.side), bool)
    rows, columns = (
        np.arange(span.start, span.stop) - corner
        for span, corner in zip(area, (window.top, window.left), strict=True)
    )
    row_inside, column_inside = ((span >= 0) & (span < window.side) for span in (rows, columns))
    inside[np.ix_(rows[row_inside], columns[column_inside])] = values[np.ix_(row_inside, column_inside)]
    return inside
