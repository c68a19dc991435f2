"""The part of a picture around a hole, which is worked on instead of the whole picture."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from realfill.imaging.ops import Pixels, resize, resize_mask, to_uint8


@dataclass(frozen=True)
class RegionSettings:
    """How much around the hole is worked on, and at which size.

    Attributes:
        margin: Width of the margin around the hole, as a share of the hole's longer side; set by hand.
        min_margin: Added to the margin, pixels; set by hand.
        min_side: Least length of the box's longer side, pixels, as far as the canvas reaches: around a speck there
            have to be enough pixels to compare. Set by hand.
        working_side: Longest side at the working scale, pixels. Depth and the choice of references are computed at
            this scale; set by hand.
        min_working_side: Shortest side at the working scale, pixels, whatever the aspect; set by hand.
    """

    margin: float = 0.2
    min_margin: int = 8
    min_side: int = 96
    working_side: int = 800
    min_working_side: int = 16


@dataclass(frozen=True)
class Region:
    """A box of the canvas and its working scale.

    Attributes:
        canvas: The whole canvas, [H, W, 3] uint8 in the working space.
        mask: [H, W] uint8, 255 = fill.
        box: Left, top, right, bottom (exclusive), pixels of the canvas.
        scale: Working size / full size, at most 1.
        size: Width and height at the working scale, pixels.
        profile: ICC profile of the working space; None for sRGB.
    """

    canvas: Pixels
    mask: Pixels
    box: tuple[int, int, int, int]
    scale: float
    size: tuple[int, int]
    profile: bytes | None = None

    @classmethod
    def around(
        cls,
        canvas: Pixels,
        mask: Pixels,
        settings: RegionSettings = RegionSettings(),
        profile: bytes | None = None,
    ) -> Region:
        """Take the mask's bounding box and a margin around it, as far as the canvas reaches.

        Args:
            canvas: [H, W, 3] uint8 in the working space.
            mask: [H, W] uint8, 255 = fill; not empty.
            settings: Margin and working size.
            profile: ICC profile of the working space; None for sRGB.
        """
        left, top, width, height = cv2.boundingRect(mask)
        side = max(width, height)
        margin = max(round(settings.margin * side) + settings.min_margin, (settings.min_side - side) // 2)
        left, right = max(0, left - margin), min(mask.shape[1], left + width + margin)
        top, bottom = max(0, top - margin), min(mask.shape[0], top + height + margin)
        scale = min(1.0, settings.working_side / max(right - left, bottom - top))
        working = [max(settings.min_working_side, round(side * scale)) for side in (right - left, bottom - top)]
        return cls(canvas, mask, (left, top, right, bottom), scale, (working[0], working[1]), profile)

    @property
    def full_size(self) -> tuple[int, int]:
        """Width and height at full size, pixels."""
        left, top, right, bottom = self.box
        return right - left, bottom - top

    @property
    def hole(self) -> np.ndarray:
        """Whether a working pixel touches the hole, bool [h, w]."""
        return resize_mask(self.crop(self.mask) > 0, *self.size)

    def crop(self, image: Pixels) -> Pixels:
        """Return the box of a picture of the canvas's size, at full size, as a view."""
        left, top, right, bottom = self.box
        return image[top:bottom, left:right]

    def crop_rescaled(self, image: Pixels) -> Pixels:
        """Return the box of a picture of the canvas's size, at the working scale."""
        return resize(self.crop(image), *self.size)

    def fill(self, colors: Pixels, known: np.ndarray) -> Region:
        """Return the same region with some of its pixels filled and taken out of the mask.

        Args:
            colors: [h, w, 3] uint8 or uint16 in the working space, the box at full size.
            known: Which pixels to fill, bool [h, w].
        """
        canvas, mask = self.canvas.copy(), self.mask.copy()
        self.crop(canvas)[known] = to_uint8(colors[known])
        self.crop(mask)[known] = 0
        return replace(self, canvas=canvas, mask=mask)

    def grid(self, *, full: bool = False) -> tuple[np.ndarray, np.ndarray]:
        """Return the columns and rows of the canvas at the region's pixel centers.

        Args:
            full: Whether at full size instead of the working scale.

        Returns:
            Two arrays [h, w] float32; the center of the canvas's first pixel is at (0, 0).
        """
        left, top, right, bottom = self.box
        width, height = (right - left, bottom - top) if full else self.size
        columns = (np.arange(width, dtype=np.float32) + 0.5) * ((right - left) / width) - 0.5 + left
        rows = (np.arange(height, dtype=np.float32) + 0.5) * ((bottom - top) / height) - 0.5 + top
        x, y = np.meshgrid(columns.astype(np.float32), rows.astype(np.float32))
        return x, y

    def to_working(self, columns: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Convert pixels of the canvas to pixels of the region at the working scale."""
        left, top, right, bottom = self.box
        width, height = self.size
        x = (columns + 0.5 - left) * width / (right - left) - 0.5
        return x, (rows + 0.5 - top) * height / (bottom - top) - 0.5
