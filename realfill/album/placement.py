"""What `align` placed, and how much of it each kind of candidate shows."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from realfill.album.layout import Album
from realfill.album.schemas import Placed
from realfill.album.store import read_placed
from realfill.imaging.ops import Pixels
from realfill.photo_io.working_files import read_png

CERTAIN = 144  # confidence from which on a reference is believed to show what was there
_SOFT = 0.004  # of the box's longer side: over which proposal and generated content pass into each other


@dataclass(frozen=True)
class Proposal:
    """The references' own pixels where they belong, in a box of the canvas.

    Attributes:
        left: Of the box, pixels of the canvas; may be negative after `over`.
        top: Of the box, pixels of the canvas.
        colours: [h, w, 3] uint8 sRGB.
        confidence: [h, w] uint8: 0 where nothing is proposed, else 1 to 255.
    """

    left: int
    top: int
    colours: Pixels
    confidence: Pixels

    def over(self, left: int, top: int, width: int, height: int) -> Proposal:
        """The same over another box of the canvas; nothing is proposed beyond the own one."""
        colours = np.zeros((height, width, 3), np.uint8)
        confidence = np.zeros((height, width), np.uint8)
        x0, y0 = max(left, self.left), max(top, self.top)
        x1 = min(left + width, self.left + self.confidence.shape[1])
        y1 = min(top + height, self.top + self.confidence.shape[0])
        if x1 > x0 and y1 > y0:
            there = np.s_[y0 - top : y1 - top, x0 - left : x1 - left]
            here = np.s_[y0 - self.top : y1 - self.top, x0 - self.left : x1 - self.left]
            colours[there], confidence[there] = self.colours[here], self.confidence[here]
        return Proposal(left, top, colours, confidence)

    def weight(self, kind: str) -> np.ndarray:
        """How much of the proposal a candidate of this kind shows, [h, w] float32, 0 to 1.

        "placed" shows all of it, "guided" what is certain, "noise" nothing.
        """
        if kind == "noise":
            return np.zeros(self.confidence.shape, np.float32)
        shown = (self.confidence >= (1 if kind == "placed" else CERTAIN)).astype(np.uint8)
        reach = max(1, round(_SOFT * max(shown.shape)))
        inner = cv2.erode(shown, np.ones((2 * reach + 1, 2 * reach + 1), np.uint8), borderValue=1)
        soft: np.ndarray = cv2.blur(inner.astype(np.float32), (2 * reach + 1, 2 * reach + 1))
        return soft

    def scaled(self, width: int, height: int) -> Proposal:
        """Resized; a pixel is as sure as its least sure part."""
        size = (width, height)
        colours = cv2.resize(self.colours, size, interpolation=cv2.INTER_AREA)
        known = cv2.resize((self.confidence > 0).astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0.999
        confidence = cv2.resize(self.confidence, size, interpolation=cv2.INTER_AREA)
        return replace(
            self, colours=colours, confidence=np.where(known, np.maximum(confidence, 1), 0).astype(np.uint8)
        )


def read_proposal(album: Album) -> Proposal | None:
    """What `align` placed; None where geometry had nothing to say.

    Raises:
        StageError: `align` has not run.
    """
    placed: Placed = read_placed(album)
    if placed.model == "none":
        return None
    folder = album.work("align")
    return Proposal(*placed.box[:2], read_png(folder / "proposal.png"), read_png(folder / "confidence.png"))
