"""Lens data in a photo's EXIF metadata."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from PIL import ExifTags, Image

from realfill.photo_io.decode import FORMATS


@dataclass(frozen=True)
class LensSettings:
    """Which focal lengths are plausible.

    Attributes:
        min_focal: Shortest 35 mm equivalent focal length that is believed, millimeters; set by hand.
        max_focal: Longest 35 mm equivalent focal length that is believed, millimeters; set by hand.
    """

    min_focal: float = 5.0
    max_focal: float = 2000.0


def read_lens(path: Path, settings: LensSettings = LensSettings()) -> tuple[float | None, str | None]:
    """Read the focal length and an identity of camera and zoom setting.

    Args:
        path: A photo.
        settings: Which focal lengths are plausible.

    Returns:
        The 35 mm equivalent focal length in millimeters, and a name that photos of one camera model, at one focal
        length and of one size share. Each is None if the metadata does not hold it or cannot be read.
    """
    try:
        with Image.open(path, formats=FORMATS) as image:
            main = image.getexif()
            details = main.get_ifd(ExifTags.IFD.Exif)
            size = sorted(image.size)
    except Exception:  # on damaged metadata Pillow raises errors of any type; nothing here is required
        return None, None
    equivalent, focal = details.get(ExifTags.Base.FocalLengthIn35mmFilm), details.get(ExifTags.Base.FocalLength)
    maker, model = main.get(ExifTags.Base.Make), main.get(ExifTags.Base.Model)
    if not isinstance(equivalent, int | float) or not settings.min_focal <= equivalent <= settings.max_focal:
        equivalent = None
    is_named = all(isinstance(text, str) and text.strip() for text in (maker, model)) and focal
    name = f"{maker} {model} {focal} {size}" if is_named else None
    return None if equivalent is None else float(equivalent), name
