"""Encoding of finished photos: JPEG, PNG, TIFF, WebP, HEIC and AVIF, with color profile and metadata.

The same photo and metadata give the same bytes.
"""

from __future__ import annotations

import io
import logging
import struct
import zlib
from dataclasses import dataclass, field

import imagecodecs
import numpy as np
import pillow_heif
from PIL import Image, features

from realfill.core.errors import ExportError
from realfill.imaging.ops import Pixels
from realfill.photo_io import exif, xmp
from realfill.photo_io import photoshop_resources as photoshop
from realfill.photo_io.encode_tiff import TiffEncodeSettings, encode_tiff
from realfill.photo_io.metadata import COMMENT, EXIF_PREFIX, XMP_EXTENSION_PREFIX, Metadata
from realfill.photo_io.photo import Photo, to_8_bits
from realfill.photo_io.png_chunks import pack_chunk, pack_text
from realfill.photo_io.png_colors import keep_true_chunks
from realfill.photo_io.xmp import XmpSettings
from realfill.photo_io.xmp_xml import BrokenXmpError

logger = logging.getLogger(__name__)
SUFFIXES = {"JPEG": ".jpg", "PNG": ".png", "TIFF": ".tif", "WEBP": ".webp", "HEIF": ".heic", "AVIF": ".avif"}
_COMMENT_LIMIT = 65_533  # bytes: lengths of JPEG segments have 16 bits and count themselves
_APP1, _APP13, _COM = 0xE1, 0xED, 0xFE  # JPEG markers of XMP, of Photoshop's resources, and of comments
_PNG_HEADER_SIZE = 8 + 25  # signature and IHDR, behind which the metadata goes
_METERS_PER_INCH = 0.0254


@dataclass(frozen=True)
class EncodeSettings:
    """How finished photos are compressed, besides their quality.

    Attributes:
        png_level: Deflate level of PNGs, 0 to 9; zlib's default.
        png_profile_level: Deflate level of the ICC profile in PNGs, 0 to 9; set by hand: the smallest.
        xmp_extension_bytes: Bytes of an extended XMP packet in one JPEG segment; set by hand, below the 65,458 that
            fit.
        resource_bytes: Bytes of Photoshop's image resources in one JPEG segment; set by hand, below the 65,519 that
            fit.
        xmp: How packets are split.
        tiff: How TIFF files are compressed.
    """

    png_level: int = 6
    png_profile_level: int = 9
    xmp_extension_bytes: int = 65_000
    resource_bytes: int = 65_000
    xmp: XmpSettings = field(default_factory=XmpSettings)
    tiff: TiffEncodeSettings = field(default_factory=TiffEncodeSettings)


def encode(
    photo: Photo,
    file_format: str,
    metadata: Metadata,
    quality: int,
    *,
    lossless: bool = False,
    settings: EncodeSettings = EncodeSettings(),
) -> bytes:
    """Encode a photo.

    PNG and TIFF are lossless and keep 16 bits. JPEG, WebP, HEIC and AVIF have 8 bits: deeper photos are rounded. JPEG
    keeps CMYK and drops the alpha channel. Colors are not subsampled in JPEG, HEIC and AVIF (4:4:4).

    Args:
        photo: The photo; its `format` does not matter.
        file_format: "JPEG", "PNG", "TIFF", "WEBP", "HEIF" or "AVIF".
        metadata: Written besides the pixels and the photo's own ICC profile.
        quality: Quality of JPEG, WebP, HEIC and AVIF, 0 to 100.
        lossless: Whether WebP is compressed without loss.
        settings: How the photo is compressed.

    Raises:
        ExportError: The format cannot hold the photo, or cannot be written on this machine.
    """
    if photo.pixels.shape[2] == 4 and file_format not in ("JPEG", "TIFF"):
        raise ExportError(f"{file_format} cannot hold CMYK.", "Set export.format to jpeg or tiff.")
    match file_format:
        case "JPEG":
            return _encode_jpeg(photo, metadata, quality, settings)
        case "PNG":
            return _encode_png(photo, metadata, settings)
        case "TIFF":
            return encode_tiff(photo, metadata, settings.tiff)
        case "WEBP":
            return _encode_webp(photo, metadata, quality, lossless)
        case "HEIF":
            return _encode_heif(photo, metadata, quality)
        case "AVIF":
            return _encode_avif(photo, metadata, quality)
    raise ExportError(f"{file_format} cannot be written.", "Set export.format to jpeg, png or tiff.")


def _to_image(samples: Pixels, mode: str) -> Image.Image:
    """A Pillow image of samples [H, W, C], reduced to 8 bits."""
    samples = to_8_bits(samples)
    return Image.frombytes(mode, (samples.shape[1], samples.shape[0]), np.ascontiguousarray(samples).tobytes())


def _encode_jpeg(photo: Photo, metadata: Metadata, quality: int, settings: EncodeSettings) -> bytes:
    image = _to_image(photo.pixels, {1: "L", 3: "RGB", 4: "CMYK"}[photo.pixels.shape[2]])
    block = metadata.exif or b""
    if len(block) > exif.JPEG_LIMIT:
        logger.warning("The EXIF data is too long for a JPEG and was left out.")
        block = b""
    packet, extension = _xmp_segments(metadata.xmp, settings)
    options = {} if metadata.dpi is None else {"dpi": metadata.dpi}
    data = io.BytesIO()
    image.save(
        data,
        "JPEG",
        quality=quality,
        subsampling=0,  # 4:4:4
        icc_profile=photo.icc,
        exif=EXIF_PREFIX + block if block else b"",
        xmp=packet,
        extra=extension + _resource_segments(metadata, settings) + _comment_segments(metadata),
        **options,
    )
    return data.getvalue()


def _xmp_segments(packet: bytes | None, settings: EncodeSettings) -> tuple[bytes | None, bytes]:
    """The standard XMP packet, and the segments of the extended one (XMP part 3, 1.1.3.1)."""
    if packet is None:
        return None, b""
    try:
        standard, extension, identifier = xmp.split_for_jpeg(packet, settings.xmp)
    except BrokenXmpError:
        logger.warning("The XMP data is too long for a JPEG and was left out.")
        return xmp.minimal_packet(xmp.read_source_type(packet) or xmp.PARTLY_GENERATED), b""
    if extension is None:
        return standard, b""
    segments = b""
    for start in range(0, len(extension), settings.xmp_extension_bytes):
        part = extension[start : start + settings.xmp_extension_bytes]
        position = identifier.encode() + struct.pack(">II", len(extension), start)
        segments += _jpeg_segment(_APP1, XMP_EXTENSION_PREFIX + position + part)
    return standard, segments


def _resource_segments(metadata: Metadata, settings: EncodeSettings) -> bytes:
    """IPTC records and Photoshop's copyright as its image resources, which is how JPEG files hold them.

    What does not fit into one segment goes on in the next.
    """
    records = ((photoshop.IPTC, metadata.iptc),) if metadata.iptc else ()
    resources = photoshop.write_resources((*records, *metadata.resources))
    return b"".join(
        _jpeg_segment(_APP13, photoshop.PREFIX + resources[start : start + settings.resource_bytes])
        for start in range(0, len(resources), settings.resource_bytes)
    )


def _comment_segments(metadata: Metadata) -> bytes:
    comments = (text.encode("utf-8", "replace")[:_COMMENT_LIMIT] for key, text in metadata.texts if key == COMMENT)
    return b"".join(_jpeg_segment(_COM, comment) for comment in comments)


def _jpeg_segment(marker: int, payload: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(payload) + 2) + payload


def _encode_png(photo: Photo, metadata: Metadata, settings: EncodeSettings) -> bytes:
    samples = photo.samples
    data = bytes(
        imagecodecs.png_encode(samples if samples.shape[2] > 1 else samples[..., 0], level=settings.png_level)
    )
    colors = keep_true_chunks(metadata.colors, has_profile=bool(photo.icc))
    chunks = b"".join(pack_chunk(*chunk) for chunk in colors)
    if photo.icc:
        profile = zlib.compress(photo.icc, settings.png_profile_level)
        chunks += pack_chunk(b"iCCP", b"ICC profile\0\0" + profile)
    if metadata.dpi:
        horizontal, vertical = (round(dpi / _METERS_PER_INCH) for dpi in metadata.dpi)
        chunks += pack_chunk(b"pHYs", struct.pack(">IIB", horizontal, vertical, 1))  # 1: pixels per meter
    if metadata.exif:
        chunks += pack_chunk(b"eXIf", metadata.exif)
    if metadata.xmp:
        chunks += pack_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + metadata.xmp)
    chunks += b"".join(pack_text(*text) for text in metadata.texts)
    return data[:_PNG_HEADER_SIZE] + chunks + data[_PNG_HEADER_SIZE:]


def _encode_webp(photo: Photo, metadata: Metadata, quality: int, lossless: bool) -> bytes:
    samples = np.repeat(photo.pixels, 3, axis=2) if photo.pixels.shape[2] == 1 else photo.pixels
    if photo.alpha is not None:
        samples = np.dstack([samples, photo.alpha])
    data = io.BytesIO()
    _to_image(samples, {3: "RGB", 4: "RGBA"}[samples.shape[2]]).save(
        data,
        "WEBP",
        quality=quality,
        lossless=lossless,
        exact=True,
        icc_profile=photo.icc or b"",
        exif=metadata.exif or b"",
        xmp=metadata.xmp or b"",
    )
    return data.getvalue()


def _encode_heif(photo: Photo, metadata: Metadata, quality: int) -> bytes:
    if not pillow_heif.libheif_info()["HEIF"]:
        raise ExportError("HEIC cannot be written on this machine.", "Set export.format to jpeg, png or tiff.")
    samples = photo.samples
    data = io.BytesIO()
    _to_image(samples, {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[samples.shape[2]]).save(
        data,
        "HEIF",
        quality=quality,
        chroma=444,
        icc_profile=photo.icc,
        exif=EXIF_PREFIX + metadata.exif if metadata.exif else None,
        xmp=metadata.xmp,
    )
    return data.getvalue()


def _encode_avif(photo: Photo, metadata: Metadata, quality: int) -> bytes:
    if not features.check("avif"):
        raise ExportError("AVIF cannot be written on this machine.", "Set export.format to jpeg, png or tiff.")
    samples = photo.samples
    data = io.BytesIO()
    _to_image(samples, {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[samples.shape[2]]).save(
        data,
        "AVIF",
        quality=quality,
        subsampling="4:4:4",
        icc_profile=photo.icc or b"",
        exif=EXIF_PREFIX + metadata.exif if metadata.exif else b"",
        xmp=metadata.xmp or b"",
    )
    return data.getvalue()
