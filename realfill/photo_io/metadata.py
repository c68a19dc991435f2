"""A photo's metadata: taken from the original, brought up to date, handed to the encoders.

Metadata is untrusted and optional: a part that is broken is left out with a warning, and never stops the export.
EXIF is edited in place (`exif`) and XMP as XML (`xmp`), so that what is not understood stays as it was.
"""

from __future__ import annotations

import logging
import math
import mmap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from PIL import Image

from realfill.photo_io import exif, xmp
from realfill.photo_io.decode import FORMATS

logger = logging.getLogger(__name__)
Part = TypeVar("Part")
_IPTC_RESOURCE = 0x0404
_EXTENSION = b"http://ns.adobe.com/xmp/extension/\0"
_LARGEST_EXTENSION = 1 << 26


@dataclass(frozen=True)
class Metadata:
    """What a photo says besides its pixels and its colour profile.

    Attributes:
        exif: EXIF block, from its byte order mark on.
        xmp: XMP packet, UTF-8.
        xmp_extension: The second packet that a JPEG has where one segment does not hold all.
        iptc: IPTC-IIM records.
        dpi: Pixels an inch, across and down, where the file says so outside of EXIF.
    """

    exif: bytes | None = None
    xmp: bytes | None = None
    xmp_extension: bytes | None = None
    iptc: bytes | None = None
    dpi: tuple[float, float] | None = None


def read(path: Path) -> Metadata:
    """Read a photo's metadata; what cannot be read is left out with a warning."""
    with path.open("rb") as file:
        is_tiff = file.read(4) in exif.ORDERS
    found = _attempt("metadata", path, lambda: _of_tiff(path) if is_tiff else _of_image(path))
    return found or Metadata()


def update_for_export(
    metadata: Metadata,
    *,
    width: int,
    height: int,
    thumbnail: bytes,
    keep_gps: bool,
    path: Path,
    authenticity: Mapping[str, float] | None = None,
) -> Metadata:
    """Bring metadata up to date for the finished photo.

    The pixels are written upright, as every part of the pipeline sees them, and the orientation is set to 1: all
    viewers show that the same way, also those that ignore the tag. The dimensions are the new ones, a thumbnail is
    replaced (none is added), XMP says that the photo is partly generated (IPTC DigitalSourceType).

    Args:
        metadata: The original's.
        width: Pixels.
        height: Pixels.
        thumbnail: A JPEG of the finished photo, at most 160 pixels a side.
        keep_gps: Whether the position stays in EXIF and XMP.
        path: The original, to be named in warnings.
        authenticity: Told in XMP, see `xmp.renewed`.
    """
    block = metadata.exif and _attempt(
        "EXIF",
        path,
        lambda: exif.update_for_export(metadata.exif or b"", width, height, thumbnail, keep_gps=keep_gps),
    )
    packet = metadata.xmp and _attempt(
        "XMP",
        path,
        lambda: xmp.update_for_export(
            metadata.xmp, metadata.xmp_extension, width, height, keep_gps=keep_gps, authenticity=authenticity
        ),
    )
    return Metadata(
        exif=block or None,
        xmp=packet or xmp.update_for_export(None, None, width, height, keep_gps=keep_gps, authenticity=authenticity),
        iptc=metadata.iptc,
        dpi=metadata.dpi,
    )


def _attempt(part: str, path: Path, action: Callable[[], Part]) -> Part | None:
    try:
        return action()
    except Exception as error:  # damaged metadata makes its readers raise anything at all
        logger.warning("%s: The %s is damaged and was left out (%s).", path, part, str(error)[:200])
        return None


def _of_tiff(path: Path) -> Metadata:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        block, packet, iptc = exif.from_tiff(mapped)
    return Metadata(exif=block, xmp=packet, iptc=iptc)


def _of_image(path: Path) -> Metadata:
    with Image.open(path, formats=FORMATS) as image:
        block = _attempt("EXIF", path, lambda: _exif_of(image))
        packet = image.info.get("xmp")
        return Metadata(
            exif=block or None,
            xmp=packet if isinstance(packet, bytes) and packet else None,
            xmp_extension=_attempt("extended XMP", path, lambda: _extension_of(image, packet)),
            iptc=_attempt("IPTC", path, lambda: _iptc_of(image)),
            dpi=_dpi_of(image),
        )


def _exif_of(image: Image.Image) -> bytes:
    if image.format == "PNG" and "exif" not in image.info:
        image.load()  # PNG may hold metadata behind the pixels, or as text in older files
        if "exif" not in image.info and "Raw profile type exif" in image.info:
            return image.getexif().tobytes().removeprefix(b"Exif\0\0")
    block: bytes = image.info.get("exif") or b""
    return block.removeprefix(b"Exif\0\0")


def _extension_of(image: Image.Image, packet: bytes | None) -> bytes | None:
    segments = [data for _, data in getattr(image, "applist", []) if data.startswith(_EXTENSION)]
    if not packet or not segments:
        return None
    identifier = xmp.extension_identifier(packet).encode()
    parts = [data[len(_EXTENSION) :] for data in segments]
    chosen = [part for part in parts if part[:32] == identifier]
    length = int.from_bytes(chosen[0][32:36]) if chosen else 0
    if not 0 < length <= _LARGEST_EXTENSION:
        return None
    whole = bytearray(length)
    for part in chosen:
        start = int.from_bytes(part[36:40])
        if start + len(part) - 40 > length:
            raise xmp.BrokenXmpError("a segment lies outside the packet")
        whole[start : start + len(part) - 40] = part[40:]
    return bytes(whole)


def _iptc_of(image: Image.Image) -> bytes | None:
    resources: dict[int, Any] = image.info.get("photoshop") or {}
    records = resources.get(_IPTC_RESOURCE)
    return records if isinstance(records, bytes) and records else None


def _dpi_of(image: Image.Image) -> tuple[float, float] | None:
    dpi = image.info.get("dpi")
    if not isinstance(dpi, tuple) or len(dpi) != 2:
        return None
    across, down = float(dpi[0]), float(dpi[1])
    return (across, down) if all(math.isfinite(v) and 1 <= v < 65_535 for v in (across, down)) else None
