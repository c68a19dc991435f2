"""Pictures on pages: saved without metadata, with the hole hatched, or colored by authenticity."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from realfill.album.schemas import AuthenticityClass
from realfill.imaging.ops import Pixels, shrink_to


@dataclass(frozen=True)
class Picture:
    """A picture beside a page.

    Attributes:
        source: Path relative to the page.
        width: Pixels.
        height: Pixels.
    """

    source: str
    width: int
    height: int


# Colors of the authenticity map, sRGB; the style sheet has the same. They are those of Okabe and Ito's palette (Color
# Universal Design), which people with any kind of color vision can tell apart.
AUTHENTICITY_COLORS = {
    AuthenticityClass.REFERENCE_PIXEL: (0, 114, 178),
    AuthenticityClass.CONFIRMED: (240, 228, 66),
    AuthenticityClass.GENERATED_ONLY: (213, 94, 0),
}


@dataclass(frozen=True)
class OverlaySettings:
    """How the hole and the authenticity map are drawn.

    Attributes:
        light_stripe: Color of every other stripe of the hatching, sRGB, 0 to 255. Set by hand.
        dark_stripe: Color of the stripes between. Set by hand.
        stripe_width: Width of a stripe along a row, as a share of the longer side. Set by hand.
        min_stripe_width: Its lower limit, pixels. Set by hand.
        opacity: Of the authenticity map inside the hole, 0 to 255: the photo stays visible below. Set by hand.
    """

    light_stripe: tuple[int, int, int] = (196, 192, 184)
    dark_stripe: tuple[int, int, int] = (164, 159, 150)
    stripe_width: float = 0.01
    min_stripe_width: int = 8
    opacity: int = 165


def draw_hatched(canvas: Pixels, mask: Pixels, settings: OverlaySettings = OverlaySettings()) -> Pixels:
    """Fill the hole with diagonal stripes.

    Args:
        canvas: [H, W, 3] uint8 sRGB.
        mask: [H, W] uint8, 255 = hole.
        settings: Colors and width of the stripes.

    Returns:
        [H, W, 3] uint8 sRGB.
    """
    height, width = mask.shape
    stripe = max(settings.min_stripe_width, int(settings.stripe_width * max(height, width)))
    rows, columns = np.ogrid[:height, :width]
    is_dark = ((rows + columns) // stripe % 2).astype(bool)[..., None]  # [H, W, 1]
    stripes = np.where(is_dark, np.array(settings.dark_stripe, np.uint8), np.array(settings.light_stripe, np.uint8))
    return np.where(mask[..., None] > 0, stripes, canvas)


def colorize_authenticity(classes: Pixels, mask: Pixels, settings: OverlaySettings = OverlaySettings()) -> Pixels:
    """Draw an authenticity map as a layer over the photo.

    Args:
        classes: [H, W] uint8, an `AuthenticityClass` inside the hole, or 0 where that was left as it was.
        mask: [H, W] uint8, 255 = hole.
        settings: Opacity of the layer.

    Returns:
        [H, W, 4] uint8 RGBA, transparent outside the hole and where it was left.
    """
    palette = np.full((256, 3), AUTHENTICITY_COLORS[AuthenticityClass.GENERATED_ONLY], np.uint8)
    for entry, color in AUTHENTICITY_COLORS.items():
        palette[entry] = color
    colors = palette[classes]  # [H, W, 3]
    opacity = np.where((mask > 0) & (classes > 0), np.uint8(settings.opacity), np.uint8(0))  # [H, W]
    return np.dstack([colors, opacity])


def save_picture(pixels: Pixels, path: Path, *, max_side: int, jpeg_quality: int) -> Picture:
    """Save pixels as a picture without any metadata, shrunk if it is too large.

    Args:
        pixels: [H, W, 3] uint8 sRGB, or [H, W, 4] RGBA for a PNG.
        path: A `.jpg` or `.png` file beside a page.
        max_side: Upper limit of the longer side, pixels.
        jpeg_quality: 1 to 95; without effect on a PNG.
    """
    shrunk = shrink_to(pixels, max_side)
    image = Image.fromarray(shrunk)
    if path.suffix == ".png":
        image.save(path, "PNG", optimize=True)
    else:
        image.save(path, "JPEG", quality=jpeg_quality, progressive=True)
    return Picture(path.name, shrunk.shape[1], shrunk.shape[0])
