"""FIXME DOCSTRING."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from realfill.album.placement import Proposal
from realfill.album.schemas import Window
from realfill.compositing.detail_transfer import transfer_detail
from realfill.compositing.ring_color_matching import match_ring_colors
from realfill.core.params import BlendParams
from realfill.imaging.ops import distance_transform, resize, to_float
from realfill.photo_io.color_management import from_srgb
from realfill.photo_io.decode import Photo


@dataclass(frozen=True)
class Patch:
    """What is laid over the canvas.

    Attributes:
        place: Its rows and columns.
        colours: [h, w, 3] float32 sRGB in 0..1.
        weight: How much of them, [h, w] float32: 1 in the hole, falling to 0 across the feather.
    """

    place: tuple[slice, slice]
    colours: np.ndarray
    weight: np.ndarray

    def over(self, below: np.ndarray, colours: np.ndarray) -> np.ndarray:
        """Lay `colours` [h, w, C] over the pixels there, of any dtype; weight 0 leaves them untouched."""
        weight = self.weight[..., None]
        mixed = (1 - weight) * below + weight * colours
        if np.issubdtype(below.dtype, np.integer):
            mixed = np.rint(mixed)
        return np.where(weight > 0, mixed.astype(below.dtype), below)

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Left, top, right, bottom (exclusive) of everything that changes, pixels of the canvas."""
        left, top, width, height = cv2.boundingRect((self.weight > 0).astype(np.uint8))
        left, top = left + self.place[1].start, top + self.place[0].start
        return left, top, left + width, top + height


def compose(
    canvas: np.ndarray,
    mask: np.ndarray,
    window: Window,
    candidate: np.ndarray,
    params: BlendParams,
    proposal: Proposal | None = None,
    kind: str = "noise",
    references: Sequence[Path] | None = None,
) -> np.ndarray:
    """Complete a canvas.

    Args:
        canvas: [H, W, 3] float32 sRGB in 0..1; what is inside the hole is not looked at.
        mask: [H, W] uint8, 255 = fill.
        window: The square of the canvas that the candidate shows.
        candidate: [R, R, 3] uint8 sRGB: all of the window, the known part as the model sees it too.
        params: Feather and colour matching.
        proposal: What `align` placed.
        kind: Of the candidate: "noise" shows nothing of the proposal, "guided" what is certain, "placed" all.
        references: Photos to take detail from for what is not shown of the proposal; without them none is added.

    Returns:
        [H, W, 3] float32; identical to `canvas` beyond the feather.
    """
    patch = blend_patch(canvas, mask, window, candidate, params, proposal, kind, references)
    completed = canvas.copy()
    completed[patch.place] = patch.over(canvas[patch.place], patch.colours)
    return completed


def put(photo: Photo, patch: Patch) -> Photo:
    """Complete a photo of the canvas's size in its own colour space and depth; the patch becomes opaque."""
    pixels = photo.pixels.copy()
    pixels[patch.place] = patch.over(pixels[patch.place], from_srgb(patch.colours, photo))
    if photo.alpha is None:
        return dataclasses.replace(photo, pixels=pixels)
    alpha = photo.alpha.copy()
    alpha[patch.place][patch.weight > 0] = np.iinfo(alpha.dtype).max
    return dataclasses.replace(photo, pixels=pixels, alpha=alpha)


def place_on_canvas(photo: Photo, window: Window) -> Photo:
    """Place a photo on the canvas; the rest is zero."""
    right = window.canvas_width - window.photo_left - photo.width
    bottom = window.canvas_height - window.photo_top - photo.height
    pads = ((window.photo_top, bottom), (window.photo_left, right))
    alpha = None if photo.alpha is None else np.pad(photo.alpha, pads)
    return dataclasses.replace(photo, pixels=np.pad(photo.pixels, (*pads, (0, 0))), alpha=alpha)


def feather_width(window: Window, params: BlendParams) -> int:
    """Width of the blend band around the hole, pixels."""
    return round(params.feather / 100 * window.side)


def blend_patch(
    canvas: np.ndarray,
    mask: np.ndarray,
    window: Window,
    candidate: np.ndarray,
    params: BlendParams,
    proposal: Proposal | None = None,
    kind: str = "noise",
    references: Sequence[Path] | None = None,
) -> Patch:
    """What `compose` lays over the canvas, which may be uint8 here; one colour of one crop at a time is worked on.

    Where the candidate shows the proposal, the proposal's own pixels take the place of the candidate's upsampled
    ones, in the colours that the candidate is brought to. With references the rest of it gets detail.
    """
    feather = feather_width(window, params)
    place = _place(mask, 3 * feather + 2)
    hole = mask[place] > 0  # [h, w]
    distance = distance_transform(hole)
    known = (distance > feather / 2).astype(np.float32)
    levels = int(math.log2(max(feather, 1)))
    fill = candidate.astype(np.float32) / 255  # [R, R, 3]
    if params.match_colour:
        fill = match_ring_colors(canvas, mask, window, fill)
    colours = np.empty((*hole.shape, 3), np.float32)
    nearness = np.clip(1 - distance / (feather + 1), 0, 1)
    weight = np.where(distance <= feather, nearness**2 * (3 - 2 * nearness), 0).astype(np.float32)
    placed = None if proposal is None or kind == "noise" else proposal.over(*_extent(place))
    shown = np.zeros(hole.shape, np.float32) if placed is None else placed.weight(kind)
    added = None
    if references is not None:
        amount = np.where(weight > 0, 1 - shown, 0).astype(np.float32)
        added = transfer_detail(fill, canvas, mask, window, place, amount, references)
    plain = candidate.astype(np.float32) / 255
    for channel in range(3):
        grown = _grown(fill[..., channel], window, place)
        if placed is not None:
            finer = to_float(placed.colours[..., channel]) - _grown(plain[..., channel], window, place)
            grown += shown * finer
        if added is not None:
            grown += added[..., channel]
        difference = np.where(hole, 0, to_float(canvas[place][..., channel]) - grown)
        colours[..., channel] = grown + _banded(difference, known, levels)
    return Patch(place, np.clip(colours, 0, 1), weight)


def _banded(difference: np.ndarray, weight: np.ndarray, levels: int) -> np.ndarray:
    """Weigh the bands of a plane's Laplacian pyramid, the coarser the smoother, and add them up again."""
    if levels == 0:
        return np.asarray(weight * difference)
    size = difference.shape[::-1]
    coarse = cv2.pyrDown(difference)
    fine = difference - cv2.pyrUp(coarse, dstsize=size)
    return np.asarray(weight * fine + cv2.pyrUp(_banded(coarse, cv2.pyrDown(weight), levels - 1), dstsize=size))


def _grown(plane: np.ndarray, window: Window, place: tuple[slice, slice]) -> np.ndarray:
    """A plane [R, R] of the window at native size, cut to a place in the canvas; its edge is repeated beyond it."""
    full = resize(plane, window.side, window.side)
    rows = np.arange(place[0].start, place[0].stop) - window.top
    columns = np.arange(place[1].start, place[1].stop) - window.left
    return np.asarray(full[np.ix_(rows.clip(0, window.side - 1), columns.clip(0, window.side - 1))])


def _place(mask: np.ndarray, margin: int) -> tuple[slice, slice]:
    """Rows and columns of the mask's bounding box and a margin, within the canvas."""
    left, top, width, height = cv2.boundingRect(mask)
    rows = slice(max(0, top - margin), min(mask.shape[0], top + height + margin))
    return rows, slice(max(0, left - margin), min(mask.shape[1], left + width + margin))


def _extent(place: tuple[slice, slice]) -> tuple[int, int, int, int]:
    """Left, top, width, height."""
    rows, columns = place
    return columns.start, rows.start, columns.stop - columns.start, rows.stop - rows.start
