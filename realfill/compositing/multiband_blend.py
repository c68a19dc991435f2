"""Blend a fill into a canvas, at its native size.

The fill's colors are matched to the ring around the hole; then fill and photo are blended in frequency bands (Burt
and Adelson, ACM Transactions on Graphics 1983) across a feather that lies outside the hole. What the canvas shows in
the hole is not used; its pixels beyond the feather stay identical.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from realfill.album.placement import Proposal
from realfill.album.schemas import Window
from realfill.compositing.blended_patch import BlendedPatch
from realfill.compositing.detail_sources import DetailSources, DetailSourceSettings
from realfill.compositing.detail_transfer import DetailTransferSettings, transfer_detail
from realfill.compositing.ring_color_matching import RingColorSettings, match_ring_colors
from realfill.core.failures import skip_failing
from realfill.imaging.ops import distance_transform, resize, to_float
from realfill.imaging.pyramid import blend_pyramids

if TYPE_CHECKING:
    from realfill.core.params import BlendParams


@dataclass(frozen=True)
class BlendSettings:
    """What `params.yaml` does not say about blending.

    Attributes:
        margin: What is worked on around the hole, in widths of the feather. Set by hand.
        extra_margin: Added to that, pixels. Set by hand.
        blend_start: Distance from the hole at which the bands of the photo replace those of the fill, in widths of
            the feather. Set by hand.
        ring_colors: Settings of the color matching.
        sources: Settings of what detail is taken from.
        detail: Settings of the detail transfer.
    """

    margin: int = 3
    extra_margin: int = 2
    blend_start: float = 0.5
    ring_colors: RingColorSettings = RingColorSettings()
    sources: DetailSourceSettings = DetailSourceSettings()
    detail: DetailTransferSettings = DetailTransferSettings()


@dataclass(frozen=True)
class Fill:
    """What the hole is filled with.

    Attributes:
        candidate: [R, R, 3] uint8 RGB: all of the window, its known part too.
        kind: Of the candidate: "noise" shows nothing of the proposal, "guided" what is certain, "placed" all of it.
        proposal: What `align` placed. Where the candidate shows it, its own pixels replace the enlarged ones of the
            candidate, in the colors that the candidate is matched to.
        references: Photos that detail is taken from for the rest; None adds no detail.
        profile: ICC profile of the space that canvas, candidate and proposal are in; None for sRGB.
    """

    candidate: np.ndarray
    kind: str = "noise"
    proposal: Proposal | None = None
    references: Sequence[Path] | None = None
    profile: bytes | None = None


def complete_canvas(
    canvas: np.ndarray,
    mask: np.ndarray,
    window: Window,
    fill: Fill,
    params: BlendParams,
    settings: BlendSettings = BlendSettings(),
) -> np.ndarray:
    """Fill the hole of a canvas.

    Args:
        canvas: [H, W, 3] float32 RGB in 0..1.
        mask: [H, W] uint8, 255 = fill.
        window: The square of the canvas that the fill shows.
        fill: What the hole is filled with.
        params: Width of the feather, and whether colors are matched.
        settings: What `params` does not say.

    Returns:
        [H, W, 3] float32; identical to `canvas` beyond the feather.

    Raises:
        PhotoError: A reference cannot be read.
    """
    patch = blend_fill(canvas, mask, window, fill, params, settings)
    completed = canvas.copy()
    completed[patch.area] = patch.composite(patch.colors, canvas[patch.area])
    return completed


def compute_feather_width(window: Window, params: BlendParams) -> int:
    """Convert the feather of the parameters, % of the window's side, to pixels of the canvas."""
    return round(params.feather / 100 * window.side)


def blend_fill(
    canvas: np.ndarray,
    mask: np.ndarray,
    window: Window,
    fill: Fill,
    params: BlendParams,
    settings: BlendSettings = BlendSettings(),
) -> BlendedPatch:
    """Blend a fill with the canvas around the hole.

    Args:
        canvas: [H, W, 3] uint8 RGB, or float32 RGB in 0..1; the pixels in the hole are not used.
        mask: [H, W] uint8, 255 = fill.
        window: The square of the canvas that the fill shows.
        fill: What the hole is filled with.
        params: Width of the feather, and whether colors are matched.
        settings: What `params` does not say.

    Returns:
        The patch that completes the canvas.

    Raises:
        PhotoError: A reference cannot be read.
    """
    feather = compute_feather_width(window, params)
    area = _grow_bounding_box(mask, settings.margin * feather + settings.extra_margin)
    hole = mask[area] > 0  # [h, w]
    distance = distance_transform(hole)
    weight = _feather_weight(distance, feather)
    candidate = to_float(fill.candidate)  # [R, R, 3]
    matched = candidate
    if params.match_color:
        with skip_failing("The matching of the fill's colors"):
            matched = match_ring_colors(canvas, mask, window, candidate, settings.ring_colors)
    proposal = _crop_proposal(fill, area)
    shown = np.zeros(hole.shape, np.float32) if proposal is None else proposal.weight(fill.kind)
    colors = _enlarge_fill(matched, candidate, proposal, shown, area, window)  # [h, w, 3]
    if fill.references is not None:
        sources = DetailSources.from_canvas(
            canvas, mask, window, fill.references, len(matched), fill.profile, settings.sources
        )
        amount = np.where(weight > 0, 1 - shown, 0).astype(np.float32)
        colors += transfer_detail(matched, sources, area, amount, settings.detail)
    with skip_failing("The blending in frequency bands"):
        for channel in range(3):  # one at a time, to save memory
            difference = np.where(hole, 0, to_float(canvas[area][..., channel]) - colors[..., channel])
            colors[..., channel] += spread_difference(difference, distance, feather, settings)
    return BlendedPatch(area, np.clip(colors, 0, 1), weight)


def spread_difference(
    difference: np.ndarray, distance: np.ndarray, feather: int, settings: BlendSettings = BlendSettings()
) -> np.ndarray:
    """Spread the difference of photo and fill around the hole into it, in frequency bands.

    Args:
        difference: [h, w] or [h, w, 3] float32; 0 where it is not known.
        distance: From the hole, pixels, [h, w] float32.
        feather: Width of the coarsest band, pixels.
        settings: Where the photo's bands replace those of the fill.

    Returns:
        What is to be added to the fill, like `difference`.
    """
    photo_weight = (distance > settings.blend_start * feather).astype(np.float32)
    return blend_pyramids([(difference, photo_weight)], int(math.log2(max(feather, 1))))


def _feather_weight(distance: np.ndarray, feather: int) -> np.ndarray:
    """Opacity that falls smoothly (3 t^2 - 2 t^3) from 1 in the hole to 0 beyond the feather, [h, w] float32."""
    nearness = np.clip(1 - distance / (feather + 1), 0, 1)
    return np.where(distance <= feather, nearness**2 * (3 - 2 * nearness), 0).astype(np.float32)


def _enlarge_fill(
    matched: np.ndarray,
    candidate: np.ndarray,
    proposal: Proposal | None,
    shown: np.ndarray,
    area: tuple[slice, slice],
    window: Window,
) -> np.ndarray:
    """Enlarge a candidate to native size, and replace what it shows of the proposal by the proposal's own pixels.

    Args:
        matched: The candidate with matched colors, [R, R, 3] float32.
        candidate: The same in its own colors, which are the proposal's.
        proposal: What was placed, over the area; None if nothing of it is shown.
        shown: How much of the proposal is shown, [h, w] float32.
        area: Rows and columns of the canvas.
        window: The square of the canvas that the candidate shows.

    Returns:
        [h, w, 3] float32.
    """
    pixels = np.empty((*shown.shape, 3), np.float32)
    for channel in range(3):  # one at a time, to save memory
        pixels[..., channel] = _enlarge(matched[..., channel], window, area)
        if proposal is not None:
            placed = to_float(proposal.colors[..., channel])
            pixels[..., channel] += shown * (placed - _enlarge(candidate[..., channel], window, area))
    return pixels


def _enlarge(plane: np.ndarray, window: Window, area: tuple[slice, slice]) -> np.ndarray:
    """Resize a plane [R, R] of the window to native size and crop it to an area of the canvas; edges are repeated."""
    full = resize(plane, window.side, window.side)
    rows = np.arange(area[0].start, area[0].stop) - window.top
    columns = np.arange(area[1].start, area[1].stop) - window.left
    return np.asarray(full[np.ix_(rows.clip(0, window.side - 1), columns.clip(0, window.side - 1))])


def _grow_bounding_box(mask: np.ndarray, margin: int) -> tuple[slice, slice]:
    """Rows and columns of the mask's bounding box and a margin, within the canvas."""
    left, top, width, height = cv2.boundingRect(mask)
    rows = slice(max(0, top - margin), min(mask.shape[0], top + height + margin))
    return rows, slice(max(0, left - margin), min(mask.shape[1], left + width + margin))


def _crop_proposal(fill: Fill, area: tuple[slice, slice]) -> Proposal | None:
    """Crop the proposal to an area of the canvas; None if the candidate shows nothing of it."""
    if fill.proposal is None or fill.kind == "noise":
        return None
    rows, columns = area
    return fill.proposal.crop(columns.start, rows.start, columns.stop - columns.start, rows.stop - rows.start)
