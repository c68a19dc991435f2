"""What XMP tells of a photo's colors, where an ICC profile tells it."""

from __future__ import annotations

from xml.dom import minidom

from realfill.photo_io.xmp_xml import iterate_nodes, qualified_name, remove, set_text, text_of

_EXIF, _TIFF = "http://ns.adobe.com/exif/1.0/", "http://ns.adobe.com/tiff/1.0/"
_COLORS = {
    (_TIFF, "WhitePoint"),
    (_TIFF, "PrimaryChromaticities"),
    (_TIFF, "TransferFunction"),
    (_EXIF, "Gamma"),
    ("http://cipa.jp/exif/1.0/", "Gamma"),
}
_COLOR_SPACE, _SRGB, _UNCALIBRATED = (_EXIF, "ColorSpace"), "1", "65535"


def update_colors(document: minidom.Document, *, is_srgb: bool) -> None:
    """Leave the colors to the photo's ICC profile; `is_srgb` is whether it is that of sRGB."""
    for node in iterate_nodes(document):
        name = qualified_name(node)
        if name in _COLORS:
            remove(node)
        elif name == _COLOR_SPACE and not is_srgb and text_of(node).strip() == _SRGB:
            set_text(document, node, _UNCALIBRATED)
