"""FIXME DOCSTRING."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from realfill.imaging.ops import Pixels, resize


@dataclass(frozen=True)
class Region:
    """The part of the canvas that is worked on.

    Attributes:
        canvas: [H, W, 3] uint8 sRGB.
        mask: [H, W] uint8, 255 = fill.
        box: Left, top, right, bottom (exclusive), pixels of the canvas.
        scale: Working size / full size, at most 1.
    """

    canvas: Pixels
    mask: Pixels
    box: tuple[int, int, int, int]
    scale: float

    @classmethod
    def around(cls, canvas: Pixels, mask: Pixels, margin: float, side: int) -> Region:
        """The hole and a margin (a share of its longer side) around it, worked on with `side` pixels at most."""
        left, top, width, height = cv2.boundingRect(mask)
        pad = round(margin * max(width, height)) + 8
        box = (
            max(0, left - pad),
            max(0, top - pad),
            min(mask.shape[1], left + width + pad),
            min(mask.shape[0], top + height + pad),
        )
        return cls(canvas, mask, box, min(1.0, side / max(box[2] - box[0], box[3] - box[1])))

    @property
    def size(self) -> tuple[int, int]:
        """Width and height at the working scale."""
        left, top, right, bottom = self.box
        return max(16, round((right - left) * self.scale)), max(16, round((bottom - top) * self.scale))

    @property
    def hole(self) -> np.ndarray:
        """Whatever touches the hole, at the working scale, bool."""
        return np.asarray(resize((self.cut(self.mask) > 0).astype(np.float32), *self.size) > 0)

    def cut(self, image: Pixels) -> Pixels:
        """The part of a canvas-sized picture at full size."""
        left, top, right, bottom = self.box
        return image[top:bottom, left:right]

    def working(self, image: Pixels) -> Pixels:
        """The part of a canvas-sized picture at the working scale."""
        return resize(self.cut(image), *self.size)

    def filled(self, fusion: Fusion) -> Region:
        """The same with the hole filled as far as anything is proposed."""
        canvas, mask = self.canvas.copy(), self.mask.copy()
        shown = fusion.hole & (fusion.confidence > 0)
        self.cut(canvas)[shown] = fusion.proposal[shown]
        self.cut(mask)[shown] = 0
        return replace(self, canvas=canvas, mask=mask)

    def grid(self, *, full: bool = False) -> tuple[np.ndarray, np.ndarray]:
        """Columns and rows of the canvas that the part's pixels show, float32 [h, w] each."""
        left, top, right, bottom = self.box
        width, height = (right - left, bottom - top) if full else self.size
        columns = (np.arange(width, dtype=np.float32) + 0.5) * ((right - left) / width) - 0.5 + left
        rows = (np.arange(height, dtype=np.float32) + 0.5) * ((bottom - top) / height) - 0.5 + top
        x, y = np.meshgrid(columns.astype(np.float32), rows.astype(np.float32))
        return x, y

    def to_working(self, columns: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """From pixels of the canvas to those of the part at the working scale."""
        left, top, right, bottom = self.box
        width, height = self.size
        x = (columns + 0.5 - left) * width / (right - left) - 0.5
        return x, (rows + 0.5 - top) * height / (bottom - top) - 0.5


@dataclass(frozen=True)
class Fusion:
    """What the references say about the part, at full size.

    Attributes:
        proposal: [h, w, 3] uint8 sRGB.
        confidence: [h, w] uint8: 0 where nothing is proposed, else 1 to 255.
        references: Names of those that were used.
        hole: [h, w] bool.
    """

    proposal: Pixels
    confidence: Pixels
    references: list[str]
    hole: np.ndarray

    def share(self, least: int) -> float:
        """Share of the hole where the confidence is at least this."""
        return round(float((self.confidence[self.hole] >= least).mean()), 4)
