"""FIXME DOCSTRING."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from realfill.album.canvas import crop_window
from realfill.album.placement import Proposal
from realfill.album.schemas import Window
from realfill.imaging.ops import resize

SIDE = 640  # of the window, pixels
_LONGEST = 1024  # of a reference, pixels


@dataclass(frozen=True)
class HoleView:
    """The part of the window that lies on the canvas, at the scale at which the whole window has `SIDE` pixels.

    Attributes:
        known: [h, w, 3] uint8 sRGB; what is inside the hole is not looked at.
        hole: [h, w] bool.
        part: Rows and columns of the window at that scale.
    """

    known: np.ndarray
    hole: np.ndarray
    part: tuple[slice, slice]

    @classmethod
    def of(cls, canvas: np.ndarray, mask: np.ndarray, window: Window) -> HoleView:
        """The view of a canvas [H, W, 3] uint8 sRGB whose mask [H, W] uint8 is 255 in the hole."""
        rows = slice(*_span(window.top, window.canvas_height, window.side))
        columns = slice(*_span(window.left, window.canvas_width, window.side))
        known = resize(crop_window(canvas, window), SIDE, SIDE)[rows, columns]
        hole = resize(crop_window(mask, window, fill=0), SIDE, SIDE)[rows, columns] > 0
        return cls(known, hole, (rows, columns))

    def complete(self, candidate: np.ndarray, proposal: Proposal | None = None, kind: str = "noise") -> np.ndarray:
        """The view [h, w, 3] with its hole filled from a candidate [R, R, 3], uint8 sRGB.

        Where a candidate of this kind shows the proposal, which is given at the view's scale, that is taken.
        """
        fill = resize(candidate, SIDE, SIDE)[self.part]
        if proposal is not None:
            weight = proposal.weight(kind)[self.part][..., None]
            fill = np.rint((1 - weight) * fill + weight * proposal.colours[self.part]).astype(np.uint8)
        return np.where(self.hole[..., None], fill, self.known)


def scale_reference(image: np.ndarray, window: Window) -> np.ndarray:
    """Scale a reference [H, W, 3] as the view is, as if it showed as much as the canvas; at most 1024 pixels long."""
    longest = min(_LONGEST, SIDE / window.side * max(window.canvas_width, window.canvas_height))
    scale = longest / max(image.shape)
    return resize(image, max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))


def _span(start: int, canvas: int, side: int) -> tuple[int, int]:
    """First and last + 1 of the window's pixels at `SIDE` that lie on the canvas, along one axis."""
    first, last = max(0, -start), min(side, canvas - start)
    return math.ceil(first * SIDE / side), math.floor(last * SIDE / side)
