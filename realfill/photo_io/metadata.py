"""Metadata of a photo, as it is read from a file of any format.

Metadata is untrusted and optional. A part that is damaged is left out with a warning and never stops the export. What
is not understood stays as it is.
"""

from __future__ import annotations

import logging
import math
import mmap
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from pathlib import Path
from typing import Any, TypeVar

from PIL import Image

from realfill.photo_io import iptc, xmp
from realfill.photo_io import photoshop_resources as photoshop
from realfill.photo_io.decode import FORMATS
from realfill.photo_io.decode_tiff import TIFF_MAGIC, find_photo
from realfill.photo_io.exif_copy import ExifSettings, extract_from_tiff
from realfill.photo_io.iptc import decode_text
from realfill.photo_io.png_chunks import SIGNATURE, BrokenChunkError, read_chunks, read_raw_profile, read_text
from realfill.photo_io.png_colors import COLOR_CHUNKS, Chunk
from realfill.photo_io.tiff_block import BYTE_ORDERS
from realfill.photo_io.xmp_xml import BrokenXmpError
from realfill.photo_io.xmp_xml import merge as merge_packets

logger = logging.getLogger(__name__)
Part = TypeVar("Part")
EXIF_PREFIX = b"Exif\0\0"
XMP_PREFIX = b"http://ns.adobe.com/xap/1.0/\0"  # XMP part 3, 1.1.3
XMP_EXTENSION_PREFIX = b"http://ns.adobe.com/xmp/extension/\0"  # XMP part 3, 1.1.3.1
COMMENT = "Comment"  # keyword of the text that a JPEG has
_PNG_XMP = "XML:com.adobe.xmp"
_PNG_TEXTS = (b"tEXt", b"zTXt", b"iTXt")
_KEPT_RESOURCES = (photoshop.COPYRIGHT_FLAG, photoshop.COPYRIGHT_URL)
_MAX_DPI = 65_535  # JFIF has 16 bits for it
_METERS_PER_INCH = 0.0254


@dataclass(frozen=True)
class MetadataSettings:
    """Limits for the metadata of untrusted files.

    Attributes:
        max_xmp_extension_bytes: A larger extended XMP packet is left out; set by hand.
        max_chunk_bytes: Chunks of PNG files and texts in them that are larger are left out; set by hand.
        exif: Limits for the metadata of TIFF files.
    """

    max_xmp_extension_bytes: int = 1 << 26
    max_chunk_bytes: int = 1 << 26
    exif: ExifSettings = field(default_factory=ExifSettings)


@dataclass(frozen=True)
class Metadata:
    """What a photo file holds besides its pixels and its color profile.

    Attributes:
        exif: EXIF block, from its byte order mark on.
        xmp: XMP packet.
        xmp_extension: The extended packet that a JPEG has if one segment does not hold everything.
        iptc: IPTC-IIM records.
        resources: Photoshop's copyright flag and URL, as image resources.
        texts: Texts of a PNG by keyword, and the comment of a JPEG.
        colors: What a PNG tells of its colors besides a profile.
        dpi: Pixels per inch, horizontally and vertically, if the file has them outside of EXIF.
    """

    exif: bytes | None = None
    xmp: bytes | None = None
    xmp_extension: bytes | None = None
    iptc: bytes | None = None
    resources: tuple[photoshop.Resource, ...] = ()
    texts: tuple[tuple[str, str], ...] = ()
    colors: tuple[Chunk, ...] = ()
    dpi: tuple[float, float] | None = None


def read(path: Path, settings: MetadataSettings = MetadataSettings()) -> Metadata:
    """Read the metadata of a photo; parts that cannot be read are left out with a warning."""
    with path.open("rb") as file:
        magic = file.read(len(SIGNATURE))
    reader = _read_image
    if magic[:4] in TIFF_MAGIC:
        reader = _read_tiff
    elif magic == SIGNATURE:
        reader = _read_png
    return attempt("metadata", path, lambda: reader(path, settings)) or Metadata()


def attempt(part: str, path: Path, action: Callable[[], Part]) -> Part | None:
    """Run an action on a part of a photo's metadata; None, with a warning, if it fails."""
    try:
        return action()
    except Exception as error:  # on damaged metadata readers raise errors of any type
        logger.warning("%s: The %s is damaged and was left out (%s).", path, part, str(error)[:200])
        return None


def _read_tiff(path: Path, settings: MetadataSettings) -> Metadata:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        about = extract_from_tiff(mapped, attempt("list of pages", path, lambda: find_photo(path)), settings.exif)
    pages = [tuple(photoshop.read_resources(resources)) for resources in about.resources]
    return Metadata(
        exif=about.exif,
        xmp=_merge(merge_packets, about.xmp or _join_each(pages, photoshop.XMP)),
        iptc=_merge(iptc.merge, about.iptc or _join_each(pages, photoshop.IPTC)),
        resources=_keep(_merge(photoshop.merge, pages) or ()),
    )


def _merge(merge: Callable[[Part, Part], Part], parts: Sequence[Part]) -> Part | None:
    """Metadata of a page, completed by that of the file's first page; None without any."""
    return reduce(merge, parts) if parts else None


def _join_each(pages: Sequence[tuple[photoshop.Resource, ...]], number: int) -> tuple[bytes, ...]:
    """The data of the resources of a number, of each page that has it."""
    return tuple(data for data in (_join(resources, number) for resources in pages) if data)


def _read_png(path: Path, settings: MetadataSettings) -> Metadata:
    parts: dict[str, bytes] = {}
    texts, colors = [], []
    dpi = None
    for name, data in read_chunks(path, settings.max_chunk_bytes):
        if name == b"eXIf":
            parts.setdefault("exif", data.removeprefix(EXIF_PREFIX))
        elif name == b"pHYs" and len(data) == 9 and data[8] == 1:  # pixels per meter
            dpi = _check_dpi(*(int.from_bytes(side) * _METERS_PER_INCH for side in (data[:4], data[4:8])))
        elif name in COLOR_CHUNKS:
            colors.append((name, data))
        elif name in _PNG_TEXTS:
            entry = attempt("text", path, lambda name=name, data=data: _read_png_text(name, data, settings))  # type: ignore[misc]
            if isinstance(entry, dict):
                parts = {**entry, **parts}
            elif entry is not None:
                texts.append(entry)
    resources = tuple(photoshop.read_resources(parts.get("8bim", b"")))
    return Metadata(
        exif=parts.get("exif"),
        xmp=parts.get("xmp"),
        iptc=parts.get("iptc") or _join(resources, photoshop.IPTC),
        resources=_keep(resources),
        texts=tuple(texts),
        colors=tuple(colors),
        dpi=dpi,
    )


def _read_png_text(name: bytes, data: bytes, settings: MetadataSettings) -> tuple[str, str] | dict[str, bytes]:
    """Keyword and text; or, of texts that hold metadata of another kind, that metadata."""
    keyword, text = read_text(name, data, settings.max_chunk_bytes)
    if keyword == _PNG_XMP:
        return {"xmp": text}
    profile = read_raw_profile(keyword, text)
    if profile is None:
        return keyword, text.decode("utf-8", "replace") if name == b"iTXt" else text.decode("latin-1")
    kind, value = profile
    if value.startswith(XMP_PREFIX):
        return {"xmp": value.removeprefix(XMP_PREFIX)}
    if value.startswith(EXIF_PREFIX) or value[:4] in BYTE_ORDERS:
        return {"exif": value.removeprefix(EXIF_PREFIX)}
    if value.removeprefix(photoshop.PREFIX).startswith(b"8BIM"):
        return {"8bim": value.removeprefix(photoshop.PREFIX)}
    if kind in ("xmp", "iptc"):
        return {kind: value}
    raise BrokenChunkError(f"a raw profile of the type {kind[:20]!r} is not understood")


def _read_image(path: Path, settings: MetadataSettings) -> Metadata:
    """Read what Pillow finds in a JPEG, WebP or HEIC file."""
    with Image.open(path, formats=FORMATS) as image:
        segments: list[tuple[str, bytes]] = getattr(image, "applist", [])
        packet = image.info.get("xmp")
        packet = packet if isinstance(packet, bytes) and packet else None
        exif = image.info.get("exif") or b""
        resources = tuple(photoshop.read_resources(b"".join(_bodies(segments, "APP13", photoshop.PREFIX))))
        comments = [decode_text(data).strip("\0 ") for marker, data in segments if marker == "COM"]
        return Metadata(
            exif=_first_block(list(_bodies(segments, "APP1", EXIF_PREFIX)) or [exif.removeprefix(EXIF_PREFIX)], path),
            xmp=packet or _join(resources, photoshop.XMP),
            xmp_extension=attempt("extended XMP", path, lambda: _read_xmp_extension(segments, packet, settings)),
            iptc=_join(resources, photoshop.IPTC),
            resources=_keep(resources),
            texts=tuple((COMMENT, comment) for comment in comments if comment),
            dpi=_read_dpi(image.info),
        )


def _bodies(segments: list[tuple[str, bytes]], marker: str, prefix: bytes) -> Iterator[bytes]:
    """What follows a prefix in each segment of a JPEG that begins with it."""
    return (data.removeprefix(prefix) for name, data in segments if name == marker and data.startswith(prefix))


def _first_block(bodies: list[bytes], path: Path) -> bytes | None:
    """Join the segments of an EXIF block that is longer than one; further blocks are left out."""
    block = bodies[0]
    for body in bodies[1:]:
        if body[:4] in BYTE_ORDERS:
            logger.warning("%s: There is a second EXIF block, which was left out.", path)
            break
        block += body
    return block or None


def _read_xmp_extension(
    segments: list[tuple[str, bytes]], packet: bytes | None, settings: MetadataSettings
) -> bytes | None:
    """Join the segments of the extended packet.

    After the prefix, a segment has the packet's identifier (32 bytes), the packet's length and the offset of its own
    part (4 bytes each, big-endian), and the part.
    """
    bodies = list(_bodies(segments, "APP1", XMP_EXTENSION_PREFIX))
    if not packet or not bodies:
        return None
    identifier = xmp.extension_identifier(packet).encode()
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


def _join(resources: tuple[photoshop.Resource, ...], number: int) -> bytes | None:
    """Join the data of all resources of a number; None if there is none."""
    return b"".join(data for each, data in resources if each == number) or None


def _keep(resources: tuple[photoshop.Resource, ...]) -> tuple[photoshop.Resource, ...]:
    return tuple(resource for resource in resources if resource[0] in _KEPT_RESOURCES)


def _read_dpi(info: Mapping[Any, Any]) -> tuple[float, float] | None:
    dpi = info.get("dpi")
    return _check_dpi(*dpi) if isinstance(dpi, tuple) and len(dpi) == 2 else None


def _check_dpi(horizontal: float, vertical: float) -> tuple[float, float] | None:
    sides = float(horizontal), float(vertical)
    return sides if all(math.isfinite(side) and 1 <= side < _MAX_DPI for side in sides) else None
