"""Metadata of a photo: read from the original, updated, and handed to the encoders.

Metadata is untrusted and optional. A part that is damaged is left out with a warning and never stops the export. What
is not understood stays as it is.
"""

from __future__ import annotations

import logging
import math
import mmap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from PIL import Image

from realfill.photo_io import exif, xmp
from realfill.photo_io.decode import FORMATS
from realfill.photo_io.exif import ExifSettings
from realfill.photo_io.tiff_block import BYTE_ORDERS
from realfill.photo_io.xmp_xml import BrokenXmpError

logger = logging.getLogger(__name__)
Part = TypeVar("Part")
EXIF_PREFIX = b"Exif\0\0"
XMP_EXTENSION_PREFIX = b"http://ns.adobe.com/xmp/extension/\0"  # XMP part 3, 1.1.3.1
_IPTC_RESOURCE = 0x0404  # of Photoshop's image resources
_MAX_DPI = 65_535  # JFIF has 16 bits for it


@dataclass(frozen=True)
class MetadataSettings:
    """Limits for the metadata of untrusted files.

    Attributes:
        max_xmp_extension_bytes: A larger extended XMP packet is left out; set by hand.
        exif: Limits for the metadata of TIFF files.
    """

    max_xmp_extension_bytes: int = 1 << 26
    exif: ExifSettings = field(default_factory=ExifSettings)


@dataclass(frozen=True)
class Metadata:
    """What a photo file holds besides its pixels and its color profile.

    Attributes:
        exif: EXIF block, from its byte order mark on.
        xmp: XMP packet, UTF-8.
        xmp_extension: The extended packet that a JPEG has if one segment does not hold everything.
        iptc: IPTC-IIM records.
        dpi: Pixels per inch, horizontally and vertically, if the file has them outside of EXIF.
    """

    exif: bytes | None = None
    xmp: bytes | None = None
    xmp_extension: bytes | None = None
    iptc: bytes | None = None
    dpi: tuple[float, float] | None = None


def read(path: Path, settings: MetadataSettings = MetadataSettings()) -> Metadata:
    """Read the metadata of a photo; parts that cannot be read are left out with a warning."""
    with path.open("rb") as file:
        is_tiff = file.read(4) in BYTE_ORDERS
    reader = _read_tiff if is_tiff else _read_image
    return _attempt("metadata", path, lambda: reader(path, settings)) or Metadata()


def update_for_export(
    metadata: Metadata,
    *,
    width: int,
    height: int,
    thumbnail: bytes,
    keep_gps: bool,
    path: Path,
    authenticity: Mapping[str, float] | None = None,
    source_type: str = xmp.PARTLY_GENERATED,
) -> Metadata:
    """Update the original's metadata for the finished photo.

    The pixels are written upright, as every stage sees them, and the orientation is set to 1: all viewers show that
    the same way, also those that ignore the tag. A thumbnail is replaced, but none is added. XMP, which is added if
    there is none, declares what the photo is a composite of (IPTC DigitalSourceType).

    Args:
        metadata: Metadata of the original.
        width: Width of the finished photo, pixels.
        height: Height of the finished photo, pixels.
        thumbnail: A JPEG of the finished photo; see `thumbnail.encode_thumbnail`.
        keep_gps: Whether the position stays in EXIF and XMP.
        path: The original, to be named in warnings.
        authenticity: Shares that are written into XMP, as for `xmp.update_for_export`.
        source_type: The digital source type.
    """
    update_exif = partial(exif.update_for_export, width=width, height=height, thumbnail=thumbnail, keep_gps=keep_gps)
    update_xmp = partial(
        xmp.update_for_export,
        width=width,
        height=height,
        keep_gps=keep_gps,
        authenticity=authenticity,
        source_type=source_type,
    )
    block, packet = metadata.exif, metadata.xmp
    block = _attempt("EXIF", path, partial(update_exif, block)) if block else None
    packet = _attempt("XMP", path, partial(update_xmp, packet, metadata.xmp_extension)) if packet else None
    return Metadata(
        exif=block or None,
        xmp=packet or update_xmp(None, None),
        iptc=metadata.iptc,
        dpi=metadata.dpi,
    )


def _attempt(part: str, path: Path, action: Callable[[], Part]) -> Part | None:
    """Run an action on a part of a photo's metadata; None, with a warning, if it fails."""
    try:
        return action()
    except Exception as error:  # on damaged metadata readers raise errors of any type
        logger.warning("%s: The %s is damaged and was left out (%s).", path, part, str(error)[:200])
        return None


def _read_tiff(path: Path, settings: MetadataSettings) -> Metadata:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        block, packet, iptc = exif.extract_from_tiff(mapped, settings.exif)
    return Metadata(exif=block, xmp=packet, iptc=iptc)


def _read_image(path: Path, settings: MetadataSettings) -> Metadata:
    with Image.open(path, formats=FORMATS) as image:
        block = _attempt("EXIF", path, lambda: _read_exif(image))
        packet = image.info.get("xmp")
        return Metadata(
            exif=block or None,
            xmp=packet if isinstance(packet, bytes) and packet else None,
            xmp_extension=_attempt("extended XMP", path, lambda: _read_xmp_extension(image, packet, settings)),
            iptc=_attempt("IPTC", path, lambda: _read_iptc(image)),
            dpi=_read_dpi(image),
        )


def _read_exif(image: Image.Image) -> bytes:
    if image.format == "PNG" and "exif" not in image.info:
        image.load()  # a PNG may hold metadata behind the pixels, older ones as text
        if "exif" not in image.info and "Raw profile type exif" in image.info:
            return image.getexif().tobytes().removeprefix(EXIF_PREFIX)
    block: bytes = image.info.get("exif") or b""
    return block.removeprefix(EXIF_PREFIX)


def _read_xmp_extension(image: Image.Image, packet: bytes | None, settings: MetadataSettings) -> bytes | None:
    """Join the segments of the extended packet.

    After the prefix, a segment has the packet's identifier (32 bytes), the packet's length and the offset of its own
    part (4 bytes each, big-endian), and the part.
    """
    segments = [data for _, data in getattr(image, "applist", []) if data.startswith(XMP_EXTENSION_PREFIX)]
    if not packet or not segments:
        return None
    identifier = xmp.extension_identifier(packet).encode()
    bodies = [data[len(XMP_EXTENSION_PREFIX) :] for data in segments]
    chosen = [body for body in bodies if body[:32] == identifier]
    length = int.from_bytes(chosen[0][32:36]) if chosen else 0
    if not 0 < length <= settings.max_xmp_extension_bytes:
        return None
    extension = bytearray(length)
    for body in chosen:
        start = int.from_bytes(body[36:40])
        if start + len(body) - 40 > length:
            raise BrokenXmpError("a segment lies outside the packet")
        extension[start : start + len(body) - 40] = body[40:]
    return bytes(extension)


def _read_iptc(image: Image.Image) -> bytes | None:
    resources: dict[int, Any] = image.info.get("photoshop") or {}
    records = resources.get(_IPTC_RESOURCE)
    return records if isinstance(records, bytes) and records else None


def _read_dpi(image: Image.Image) -> tuple[float, float] | None:
    dpi = image.info.get("dpi")
    if not isinstance(dpi, tuple) or len(dpi) != 2:
        return None
    horizontal, vertical = float(dpi[0]), float(dpi[1])
    is_valid = all(math.isfinite(value) and 1 <= value < _MAX_DPI for value in (horizontal, vertical))
    return (horizontal, vertical) if is_valid else None
