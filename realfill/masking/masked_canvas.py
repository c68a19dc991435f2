"""The canvas: the photo, extended if it is outpainted, with the hole blanked out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from realfill.album.schemas import Window
from realfill.imaging.ops import UNKNOWN_LEVEL, Pixels
from realfill.masking.hole_mask import check_hole_share, grow_mask
from realfill.masking.model_window import ModelWindowSettings, choose_window
from realfill.masking.outpainting import Extension, extend_image

if TYPE_CHECKING:
    from realfill.core.params import MasksParams


@dataclass(frozen=True)
class MaskedCanvas:
    """The canvas, and where it is to be filled.

    Attributes:
        pixels: [H, W, 3] uint8 sRGB; middle gray in the hole, so that later stages see nothing of what it showed.
        mask: [H, W] uint8, 255 = fill.
        window: Canvas, photo, and the window that the model sees.
    """

    pixels: Pixels
    mask: Pixels
    window: Window


def build_masked_canvas(
    picture: Pixels,
    hole: Pixels,
    source: str,
    extension: Extension,
    params: MasksParams,
    settings: ModelWindowSettings = ModelWindowSettings(),
) -> MaskedCanvas:
    """Extend a photo and its hole, and blank the hole out.

    Args:
        picture: The photo, [h, w, 3] uint8 sRGB.
        hole: The part of the hole inside the photo, [h, w] uint8, 255 = fill.
        source: What described the hole, as in `Window.source`.
        extension: Pixels added at each side of the photo; they belong to the hole.
        params: Growth of the hole, its largest share, and the context of the window.
        settings: Limits of the window.

    Raises:
        MaskError: Nothing is to be filled, or too much.
    """
    mask = grow_mask(extend_image(hole, extension, 255), params.grow)
    share = float(np.count_nonzero(mask) / mask.size)
    check_hole_share(share, params.max_hole)
    pixels = extend_image(picture, extension, UNKNOWN_LEVEL)
    pixels[mask > 0] = UNKNOWN_LEVEL
    left, top, side = choose_window(mask, params.context, settings)
    window = Window(
        source=source,
        canvas_width=pixels.shape[1],
        canvas_height=pixels.shape[0],
        photo_left=extension.left,
        photo_top=extension.top,
        photo_width=picture.shape[1],
        photo_height=picture.shape[0],
        left=left,
        top=top,
        side=side,
        hole=share,
    )
    return MaskedCanvas(pixels, mask, window)
