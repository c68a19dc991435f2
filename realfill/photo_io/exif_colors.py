"""Colors that EXIF metadata tells of a photo without an ICC profile."""

from __future__ import annotations

from PIL import ExifTags, Image

from realfill.photo_io.icc_profile import write_rgb_profile

_SRGB, _ADOBE_RGB = 1, 2  # tag ColorSpace; 2 is no value of the standard, but written by some cameras
_OPTION_FILE = "R03"  # tag InteroperabilityIndex of DCF's photos in Adobe RGB (CIPA DC-009)
_COLORS = ((0.64, 0.33), (0.21, 0.71), (0.15, 0.06), (0.3127, 0.3290))  # Adobe RGB (1998): red, green, blue, white
_GAMMA = 563 / 256


def read_exif_colors(exif: Image.Exif) -> bytes | None:
    """The ICC profile of Adobe RGB where EXIF tells it, as cameras do that embed no profile; otherwise None."""
    details, interop = exif.get_ifd(ExifTags.IFD.Exif), exif.get_ifd(ExifTags.IFD.Interop)
    told = details.get(ExifTags.Base.ColorSpace)
    index = str(interop.get(ExifTags.Interop.InteropIndex, "")).strip("\0 ")
    is_adobe_rgb = told == _ADOBE_RGB or (index == _OPTION_FILE and told != _SRGB)
    return write_rgb_profile("Adobe RGB (1998)", _COLORS, _GAMMA) if is_adobe_rgb else None
