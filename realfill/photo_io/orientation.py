"""Orientation that XMP tells and EXIF does not."""

from __future__ import annotations

import re

_TOLD = re.compile(rb"""tiff:Orientation\s*(?:=\s*["']|>)\s*([2-8])""")


def unapplied_orientation(packet: bytes | None) -> str:
    """A warning if an XMP packet asks for turning; for photos whose EXIF metadata tells no orientation.

    EXIF alone decides, also against XMP, since browsers, viewers and editors turn photos by EXIF (or by the
    container, in HEIC and AVIF): the photo, a mask drawn over it and the finished photo lie as they are seen there.
    """
    told = _TOLD.search(packet or b"")
    if told is None:
        return ""
    return (
        f"Its XMP metadata alone tells an orientation ({int(told[1])}), which is not applied, as in most viewers. "
        "If it lies on its side, turn it in an image editor."
    )
