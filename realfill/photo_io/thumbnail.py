"""The small JPEG of a thumbnail, encoded; `exif` puts it into the metadata."""

from __future__ import annotations

import io
from dataclasses import dataclass

from PIL import Image

from realfill.imaging.ops import Pixels, resize


@dataclass(frozen=True)
class ThumbnailSettings:
    """Size and quality of thumbnails.

    Attributes:
        side: Longer side, pixels; set by hand, equal to that of DCF's thumbnails (CIPA DC-009: 160 x 120).
        quality: JPEG quality, 0 to 100; set by hand.
    """

    side: int = 160
    quality: int = 80


def encode_thumbnail(image: Pixels, settings: ThumbnailSettings = ThumbnailSettings()) -> bytes:
    """Scale an image [H, W, 3] uint8 sRGB down to a small JPEG."""
    scale = settings.side / max(image.shape[:2])
    height, width = (max(1, round(side * scale)) for side in image.shape[:2])
    data = io.BytesIO()
    Image.fromarray(resize(image, width, height)).save(data, "JPEG", quality=settings.quality)
    return data.getvalue()
