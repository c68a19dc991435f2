"""Photoshop's image resources (8BIM), in which JPEG and TIFF files keep IPTC records and the copyright flag."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

Resource = tuple[int, bytes]
"""Number and data."""

PREFIX = b"Photoshop 3.0\0"
IPTC, COPYRIGHT_FLAG, COPYRIGHT_URL, EXIF, XMP = 0x0404, 0x040A, 0x040B, 0x0422, 0x0424
_SIGNATURES = (b"8BIM", b"PHUT", b"DCSR", b"AgHg", b"MeSa")


def read_resources(data: bytes) -> Iterator[Resource]:
    """The resources, up to the first that cannot be followed."""
    start = 0
    while data[start : start + 4] in _SIGNATURES and start + 12 <= len(data):
        number, name_size = struct.unpack_from(">HB", data, start + 4)
        begin = start + 7 + name_size + (name_size + 1) % 2
        size = int.from_bytes(data[begin : begin + 4])
        if begin + 4 + size > len(data):
            return
        yield number, data[begin + 4 : begin + 4 + size]
        start = begin + 4 + size + size % 2


def merge(resources: tuple[Resource, ...], others: tuple[Resource, ...]) -> tuple[Resource, ...]:
    """Complete resources by those of others whose number they lack."""
    present = {number for number, _ in resources}
    return (*resources, *(resource for resource in others if resource[0] not in present))


def write_resources(resources: Iterable[Resource]) -> bytes:
    """The bytes of resources, without names."""
    return b"".join(
        b"8BIM" + struct.pack(">HHI", number, 0, len(data)) + data + bytes(len(data) % 2)
        for number, data in resources
    )
