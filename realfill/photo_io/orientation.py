"""Orientation that XMP tells and EXIF does not."""

from __future__ import annotations

from contextlib import suppress

from realfill.photo_io.xmp_xml import BrokenXmpError, iterate_nodes, parse, qualified_name, text_of

_NAME = ("http://ns.adobe.com/tiff/1.0/", "Orientation")
_TURNED = ("2", "3", "4", "5", "6", "7", "8")


def unapplied_orientation(packet: bytes | None) -> str:
    """A warning if an XMP packet asks for turning; for photos whose EXIF metadata tells no orientation.

    EXIF alone decides, also against XMP, since browsers, viewers and editors turn photos by EXIF (or by the
    container, in HEIC and AVIF): the photo, a mask drawn over it and the finished photo lie as they are seen there.
    """
    told = ""
    with suppress(BrokenXmpError):
        nodes = iterate_nodes(parse(packet)) if packet else ()
        told = next((text_of(node).strip() for node in nodes if qualified_name(node) == _NAME), "")
    if told not in _TURNED:
        return ""
    return (
        f"Its XMP metadata alone tells an orientation ({told}), which is not applied, as in most viewers. "
        "If it lies on its side, turn it in an image editor."
    )
