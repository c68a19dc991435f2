"""Fill a hole with photographed pixels only: what the references show for certain; nothing else of it changes.

This is what `blend.generate: never` delivers. Colors are matched to the photo around the hole; no pixel outside of
those that are placed is touched, so that there is no feather around the hole.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from realfill.album.canvas import crop_window
from realfill.album.placement import Proposal
from realfill.album.schemas import AuthenticityClass, Window
from realfill.album.verdict import LEFT
from realfill.compositing.authenticity_map import find_reference_pixels
from realfill.compositing.blended_patch import BlendedPatch
from realfill.compositing.multiband_blend import compute_feather_width, spread_difference
from realfill.compositing.ring_color_matching import RingColorSettings, match_ring_colors
from realfill.core.failures import skip_failing
from realfill.imaging.ops import Pixels, distance_transform, resize, to_float, to_uint8
from realfill.photo_io.photo import Photo

if TYPE_CHECKING:
    from realfill.core.params import BlendParams


@dataclass(frozen=True)
class PhotographedSettings:
    """How photographed pixels are placed.

    Attributes:
        picture_side: Side of the picture of the window, pixels, at most. Set by hand.
        ring_colors: Settings of the color matching.
    """

    picture_side: int = 1024
    ring_colors: RingColorSettings = RingColorSettings()


def find_photographed(mask: Pixels, proposal: Proposal | None) -> np.ndarray:
    """Find the pixels of the hole that the references show for certain, [H, W] bool."""
    if proposal is None:
        return np.zeros(mask.shape, bool)
    return find_reference_pixels(mask, proposal, "placed")


def picture_photographed(
    canvas: Pixels,
    mask: Pixels,
    window: Window,
    proposal: Proposal | None,
    settings: PhotographedSettings = PhotographedSettings(),
) -> Pixels:
    """Picture the window with the photographed pixels in its hole, in the references' own colors.

    Args:
        canvas: [H, W, 3] uint8 RGB.
        mask: [H, W] uint8, 255 = fill.
        window: The square of the canvas that is pictured.
        proposal: The placed references, if there are any.
        settings: Size of the picture.

    Returns:
        [R, R, 3] uint8 RGB; what is left of the hole is as it is in the canvas.
    """
    shown = canvas.copy()
    if proposal is not None:
        placed = find_photographed(mask, proposal)
        shown[placed] = to_uint8(proposal.crop(0, 0, mask.shape[1], mask.shape[0]).colors[placed])
    side = min(settings.picture_side, window.side)
    return resize(crop_window(shown, window), side, side)


def place_photographed(
    canvas: Pixels,
    mask: Pixels,
    window: Window,
    proposal: Proposal | None,
    params: BlendParams,
    settings: PhotographedSettings = PhotographedSettings(),
) -> BlendedPatch:
    """Place the photographed pixels in the colors of the photo around the hole.

    Args:
        canvas: [H, W, 3] uint8 RGB; the pixels in the hole are not used.
        mask: [H, W] uint8, 255 = fill.
        window: The square of the canvas around the hole.
        proposal: The placed references, if there are any.
        params: Whether colors are matched, and the width of the band around the hole that they are matched in.
        settings: What `params` does not say.

    Returns:
        The patch, of opacity 1 where pixels are placed and 0 everywhere else.
    """
    left, top = max(0, window.left), max(0, window.top)
    right = min(window.canvas_width, window.left + window.side)
    bottom = min(window.canvas_height, window.top + window.side)
    area = np.s_[top:bottom, left:right]
    weight = find_photographed(mask, proposal)[area].astype(np.float32)
    if proposal is None:
        return BlendedPatch(area, to_float(canvas[area]), weight)
    cropped = proposal.crop(left, top, right - left, bottom - top)
    colors = to_float(cropped.colors)
    if params.match_color:
        with skip_failing("The matching of the placed pixels' colors"):
            offset = _color_offset(canvas, mask, window, proposal, settings)
            colors = colors + offset[top - window.top :, left - window.left :][: len(colors), : colors.shape[1]]
    with skip_failing("The blending in frequency bands"):
        known = (mask[area] == 0) & (cropped.confidence > 0)  # shown by both
        distance = distance_transform(mask[area] > 0)
        difference = np.where(known[..., None], to_float(canvas[area]) - colors, 0)
        colors = colors + spread_difference(difference, distance, compute_feather_width(window, params))
    return BlendedPatch(area, np.clip(colors, 0, 1), weight)


def classify_photographed(placed: np.ndarray) -> Pixels:
    """Map the authenticity: reference pixels where they are placed, [H, W] bool, and 0, not filled, elsewhere."""
    return np.where(placed, np.uint8(AuthenticityClass.REFERENCE_PIXEL), np.uint8(0))


def compute_photographed_shares(placed: np.ndarray, mask: Pixels) -> dict[str, float]:
    """Compute the shares of the hole as `compute_authenticity_shares` does, and of what was left as it was."""
    share = round(float(placed.sum() / max(1, np.count_nonzero(mask))), 4)
    shares = {entry.key: 0.0 for entry in AuthenticityClass} | {AuthenticityClass.REFERENCE_PIXEL.key: share}
    return shares | {LEFT: round(1 - share, 4), "score": share}


def make_left_transparent(photo: Photo, window: Window, left: np.ndarray) -> Photo:
    """Make what was left of the extension of an outpainted photo transparent.

    Args:
        photo: A completed photo of the canvas's size.
        window: Where the target lies in it.
        left: Pixels that were not filled, [H, W] bool.

    Returns:
        The photo, with an alpha channel if it is needed.
    """
    beyond = left.copy()
    beyond[
        window.photo_top : window.photo_top + window.photo_height,
        window.photo_left : window.photo_left + window.photo_width,
    ] = False
    if photo.alpha is not None or not beyond.any():
        return photo
    opaque = np.iinfo(photo.pixels.dtype).max
    return replace(photo, alpha=np.where(beyond, 0, opaque).astype(photo.pixels.dtype))


def _color_offset(
    canvas: Pixels, mask: Pixels, window: Window, proposal: Proposal, settings: PhotographedSettings
) -> np.ndarray:
    """Difference between matched and own colors of the proposal over the window, [side, side, 3] float32."""
    side = min(settings.picture_side, window.side)
    around = proposal.crop(window.left, window.top, window.side, window.side)
    shown = np.where((around.confidence > 0)[..., None], to_uint8(around.colors), crop_window(canvas, window))
    picture = to_float(resize(shown, side, side))
    matched = match_ring_colors(canvas, mask, window, picture, settings.ring_colors)
    return resize(matched - picture, window.side, window.side)
