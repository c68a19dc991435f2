"""FIXME DOCSTRING."""

from __future__ import annotations

from pathlib import Path

from PIL import ExifTags, Image

from realfill.photo_io.decode import FORMATS


def read_lens(path: Path) -> tuple[float | None, str | None]:
    """Focal length as on a 35 mm film, in millimetres, and a name that photos of one camera at one setting share.

    Each is None where the photo does not say so, or its metadata cannot be read.
    """
    try:
        with Image.open(path, formats=FORMATS) as image:
            main = image.getexif()
            details = main.get_ifd(ExifTags.IFD.Exif)
            size = sorted(image.size)
    except Exception:  # Pillow raises anything at all on damaged metadata; nothing here is needed
        return None, None
    film, focal = details.get(ExifTags.Base.FocalLengthIn35mmFilm), details.get(ExifTags.Base.FocalLength)
    maker, model = main.get(ExifTags.Base.Make), main.get(ExifTags.Base.Model)
    on_film = float(film) if isinstance(film, int | float) and 5 <= film <= 2000 else None
    named = all(isinstance(text, str) and text.strip() for text in (maker, model)) and focal
    return on_film, f"{maker} {model} {focal} {size}" if named else None
