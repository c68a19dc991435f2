"""The proposal for the hole that `align` made of the references, and how much of it each kind of candidate shows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from realfill.album.layout import Album
from realfill.album.store import accepted_references, canvas_path, mask_path, read_placement_summary
from realfill.imaging.ops import Pixels, resize
from realfill.photo_io.color_management import read_srgb
from realfill.photo_io.working_files import read_png, write_png

# Least confidence in confidence.png of a certain and of a likely pixel. A certain one is taken for what the scene
# showed there. Measured on 59 views placed by geometry, a third of the albums for reporting only: 97 % of the certain
# pixels, 84 % of the likely ones and 53 % of the others lie within 25 levels of the truth (for reporting 95, 85 and
# 50 %), and their errors have this order in all views. 72 to 88 for likely ones did alike.
CERTAIN, LIKELY = 144, 80
TURNED = "turned"  # folder of the views of references, in that of `align`


@dataclass(frozen=True)
class ProposalSettings:
    """How a proposal passes into what is generated beside it.

    Attributes:
        transition: Half the width of the transition at the border of what is shown, as a share of the longer side;
            set by hand.
    """

    transition: float = 0.004


@dataclass(frozen=True)
class Proposal:
    """The references' own pixels where they belong, in a box of the canvas.

    Attributes:
        left: Left edge of the box, pixels of the canvas; may be negative after `crop`.
        top: Top edge of the box, pixels of the canvas; may be negative after `crop`.
        colors: [h, w, 3] in the working space, uint8, or uint16 where that is wider than sRGB.
        confidence: [h, w] uint8: 0 where nothing is proposed, else 1 to 255.
    """

    left: int
    top: int
    colors: Pixels
    confidence: Pixels

    def crop(self, left: int, top: int, width: int, height: int) -> Proposal:
        """Crop to another box of the canvas; beyond its own box nothing is proposed."""
        colors = np.zeros((height, width, 3), self.colors.dtype)
        confidence = np.zeros((height, width), np.uint8)
        x0, y0 = max(left, self.left), max(top, self.top)
        x1 = min(left + width, self.left + self.confidence.shape[1])
        y1 = min(top + height, self.top + self.confidence.shape[0])
        if x1 > x0 and y1 > y0:
            to = np.s_[y0 - top : y1 - top, x0 - left : x1 - left]
            source = np.s_[y0 - self.top : y1 - self.top, x0 - self.left : x1 - self.left]
            colors[to], confidence[to] = self.colors[source], self.confidence[source]
        return Proposal(left, top, colors, confidence)

    def weight(self, kind: str, settings: ProposalSettings = ProposalSettings()) -> np.ndarray:
        """Compute how much of the proposal a candidate of a kind shows at each pixel.

        Args:
            kind: "placed" shows all of the proposal, "guided" what is certain, other kinds nothing.
            settings: Width of the transition.

        Returns:
            [h, w] float32, 0 to 1; less than 1 only in the transition inside the border of what is shown.
        """
        if kind not in ("placed", "guided"):
            return np.zeros(self.confidence.shape, np.float32)
        shown = (self.confidence >= (1 if kind == "placed" else CERTAIN)).astype(np.uint8)
        reach = max(1, round(settings.transition * max(shown.shape)))
        window = (2 * reach + 1, 2 * reach + 1)
        inner = cv2.erode(shown, np.ones(window, np.uint8), borderValue=1)
        weight: np.ndarray = cv2.blur(inner.astype(np.float32), window)
        return weight

    def resize(self, width: int, height: int) -> Proposal:
        """Resize to a smaller size; a pixel is proposed where all that it covers is, with the mean confidence."""
        size = (width, height)
        colors = cv2.resize(self.colors, size, interpolation=cv2.INTER_AREA)
        share = cv2.resize((self.confidence > 0).astype(np.float32), size, interpolation=cv2.INTER_AREA)
        mean = cv2.resize(self.confidence, size, interpolation=cv2.INTER_AREA)
        confidence = np.where(share > 0.999, np.maximum(mean, 1), 0)  # a share of 1 up to rounding
        return replace(self, colors=colors, confidence=confidence.astype(np.uint8))


def read_completed_canvas(album: Album) -> Pixels | None:
    """Read the canvas with its hole as `align` filled it: what it placed, and patches where it placed nothing.

    Returns:
        [H, W, 3] uint8 in the working space; None where `align` is switched off.

    Raises:
        StageError: `masks` or `align` has not run.
    """
    left, top, right, bottom = read_placement_summary(album).box
    path = album.work("align") / "completed.png"
    if not path.exists():
        return None
    canvas, mask = read_png(canvas_path(album)), read_png(mask_path(album))
    area = np.s_[top:bottom, left:right]
    completed = resize(read_png(path), right - left, bottom - top)
    canvas[area] = np.where(mask[area][..., None] > 0, completed, canvas[area])
    return canvas


def read_proposal(album: Album, read: Callable[[Path], Pixels] = read_png) -> Proposal | None:
    """Read what `align` placed; None where it placed nothing.

    Args:
        album: The album.
        read: How its colors are read: `read_png` in the working space, `read_srgb` in sRGB.

    Raises:
        StageError: `align` has not run.
    """
    summary = read_placement_summary(album)
    if summary.model == "none":
        return None
    folder = album.work("align")
    return Proposal(*summary.box[:2], read(folder / "proposal.png"), read_png(folder / "confidence.png"))


def write_turned_view(folder: Path, number: int, colors: Pixels, known: np.ndarray, profile: bytes | None) -> None:
    """Write what `align` places in the view of a reference.

    Args:
        folder: Of `align`.
        number: Of the reference, from 1.
        colors: [h, w, 3] uint8 in the working space.
        known: Where another photo shows the scene, bool [h, w].
        profile: ICC profile of the working space; None for sRGB.
    """
    (folder / TURNED).mkdir(exist_ok=True)
    write_png(folder / TURNED / f"{number:03}.png", colors, profile)
    write_png(folder / TURNED / f"{number:03}-known.png", np.where(known, np.uint8(255), np.uint8(0)))


def read_turned_view(album: Album, path: Path) -> tuple[Pixels, np.ndarray] | None:
    """Read what `align` placed in the view of a reference.

    Args:
        album: The album.
        path: The reference's file.

    Returns:
        [h, w, 3] uint8 sRGB, the whole reference at a smaller size, and where another photo shows the scene, bool
        [h, w]; None where nothing was placed.

    Raises:
        StageError: `validate` has not run.
    """
    number = accepted_references(album).index(path) + 1
    file = album.work("align") / TURNED / f"{number:03}.png"
    if not file.exists():
        return None
    return read_srgb(file), read_png(file.with_name(f"{number:03}-known.png")) > 0
