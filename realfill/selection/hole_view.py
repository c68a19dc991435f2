"""The view of the hole in which candidates are judged: the window without what lies beyond the canvas, scaled."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from realfill.album.canvas import crop_window
from realfill.album.placement import Proposal
from realfill.album.schemas import Window
from realfill.imaging.ops import resize


@dataclass(frozen=True)
class HoleViewSettings:
    """Scale at which candidates are judged.

    Attributes:
        side: Side of the whole window, pixels. Set by hand.
        max_reference_side: Longer side of a reference, pixels, at most. Set by hand.
    """

    side: int = 640
    max_reference_side: int = 1024


@dataclass(frozen=True)
class HoleView:
    """The part of the window that lies on the canvas, scaled.

    Attributes:
        known: [h, w, 3] uint8 sRGB; the pixels in the hole are not used.
        hole: [h, w] bool.
        slices: Rows and columns that the view takes of the scaled window, [side, side].
        window: The window.
        settings: Scale.
    """

    known: np.ndarray
    hole: np.ndarray
    slices: tuple[slice, slice]
    window: Window
    settings: HoleViewSettings = HoleViewSettings()

    @classmethod
    def from_canvas(
        cls, canvas: np.ndarray, mask: np.ndarray, window: Window, settings: HoleViewSettings = HoleViewSettings()
    ) -> HoleView:
        """Scale the window.

        Args:
            canvas: [H, W, 3] uint8 sRGB.
            mask: [H, W] uint8, 255 = fill.
            window: The window.
            settings: Scale.
        """
        side = settings.side
        rows = slice(*_scale_span(window.top, window.canvas_height, window.side, side))
        columns = slice(*_scale_span(window.left, window.canvas_width, window.side, side))
        known = resize(crop_window(canvas, window), side, side)[rows, columns]
        hole = resize(crop_window(mask, window, fill=0), side, side)[rows, columns] > 0
        return cls(known, hole, (rows, columns), window, settings)

    def crop_proposal(self, proposal: Proposal) -> Proposal:
        """Crop a proposal to the whole window, and scale it; [side, side]."""
        window, side = self.window, self.settings.side
        return proposal.crop(window.left, window.top, window.side, window.side).resize(side, side)

    def complete(self, candidate: np.ndarray, kind: str = "noise", proposal: Proposal | None = None) -> np.ndarray:
        """Fill the hole.

        Args:
            candidate: [R, R, 3] uint8 sRGB: all of the window.
            kind: Of the candidate; it tells where the proposal takes the candidate's place.
            proposal: As `crop_proposal` returns it.

        Returns:
            [h, w, 3] uint8 sRGB.
        """
        fill = resize(candidate, self.settings.side, self.settings.side)[self.slices]
        if proposal is not None:
            weight = proposal.weight(kind)[self.slices][..., None]
            fill = np.rint((1 - weight) * fill + weight * proposal.colors[self.slices]).astype(np.uint8)
        return np.where(self.hole[..., None], fill, self.known)

    def to_canvas(self, points: np.ndarray) -> np.ndarray:
        """Convert points [N, 2] xy of the view to pixels of the canvas; the first pixel's center is at (0, 0)."""
        rows, columns = self.slices
        scale = self.window.side / self.settings.side
        x = (points[:, 0] + columns.start + 0.5) * scale - 0.5 + self.window.left
        y = (points[:, 1] + rows.start + 0.5) * scale - 0.5 + self.window.top
        return np.stack([x, y], axis=1)


def scale_reference(image: np.ndarray, window: Window, settings: HoleViewSettings = HoleViewSettings()) -> np.ndarray:
    """Scale a reference [H, W, 3] like the view, as if it showed as much of the scene as the canvas does."""
    canvas = max(window.canvas_width, window.canvas_height)
    longest = min(settings.max_reference_side, settings.side / window.side * canvas)
    scale = longest / max(image.shape)
    return resize(image, max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))


def _scale_span(start: int, canvas: int, window_side: int, side: int) -> tuple[int, int]:
    """First and last + 1 of the scaled window's pixels that lie on the canvas, along one axis."""
    first, last = max(0, -start), min(window_side, canvas - start)
    return math.ceil(first * side / window_side), math.floor(last * side / window_side)
