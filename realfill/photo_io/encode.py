"""Finished photos as files: JPEG, PNG, TIFF, WebP and HEIC, with profile and metadata, byte for byte repeatable."""

from __future__ import annotations

import io
import logging
import struct
import zlib
from typing import Literal

import imagecodecs
import numpy as np
import pillow_heif
from PIL import Image

from realfill.core.errors import ExportError
from realfill.imaging.ops import Pixels
from realfill.photo_io import exif, xmp
from realfill.photo_io.decode import Photo
from realfill.photo_io.metadata import Metadata

logger = logging.getLogger(__name__)
SUFFIXES = {"JPEG": ".jpg", "PNG": ".png", "TIFF": ".tif", "WEBP": ".webp", "HEIF": ".heic"}
_SEGMENT = 65_533  # bytes that fit a JPEG segment
_ROWS = 256
_LARGEST_TIFF = 0xF000_0000  # offsets have 32 bits; the metadata comes behind
_NO_TAGS = b"II*\0" + struct.pack("<IHI", 8, 0, 0)
_RESOLUTION, _NUMBERS = (282, 283, 296), (3, 4, 5)  # readers give up where the former are none of the latter
_BYTE, _SHORT, _LONG, _UNDEFINED = 1, 3, 4, 7


def encode(photo: Photo, form: str, metadata: Metadata, quality: int, *, lossless: bool = False) -> bytes:
    """Encode a photo.

    PNG and TIFF are lossless and keep 16 bits. JPEG, WebP and HEIC hold 8 bits: deeper photos are rounded. JPEG
    keeps CMYK and drops the alpha channel; its colours are subsampled nowhere (4:4:4).

    Args:
        photo: The photo; its `format` does not matter.
        form: "JPEG", "PNG", "TIFF", "WEBP" or "HEIF".
        metadata: What is written besides the pixels and the photo's own ICC profile.
        quality: Of JPEG, WebP and HEIC, 0 to 100.
        lossless: Whether WebP is written without loss.

    Raises:
        ExportError: The format cannot hold the photo, or cannot be written on this machine.
    """
    if photo.pixels.shape[2] == 4 and form not in ("JPEG", "TIFF"):
        raise ExportError(f"{form} cannot hold CMYK.", "Set export.format to jpeg or tiff.")
    match form:
        case "JPEG":
            return _jpeg(photo, metadata, quality)
        case "PNG":
            return _png(photo, metadata)
        case "TIFF":
            return _tiff(photo, metadata)
        case "WEBP":
            return _webp(photo, metadata, quality, lossless)
        case "HEIF":
            return _heif(photo, metadata, quality)
    raise ExportError(f"{form} is not written.", "Set export.format to jpeg, png or tiff.")


def _samples(photo: Photo) -> Pixels:
    return photo.pixels if photo.alpha is None else np.dstack([photo.pixels, photo.alpha])


def _image(samples: Pixels, mode: str) -> Image.Image:
    if samples.dtype == np.uint16:
        samples = ((samples.astype(np.uint32) + 128) // 257).astype(np.uint8)
    return Image.frombytes(mode, (samples.shape[1], samples.shape[0]), np.ascontiguousarray(samples).tobytes())


def _jpeg(photo: Photo, metadata: Metadata, quality: int) -> bytes:
    image = _image(photo.pixels, {1: "L", 3: "RGB", 4: "CMYK"}[photo.pixels.shape[2]])
    block = metadata.exif or b""
    if len(block) > exif.JPEG_LIMIT:
        logger.warning("The EXIF data is too long for a JPEG and was left out.")
        block = b""
    packet, segments = _xmp_segments(metadata.xmp)
    options = {} if metadata.dpi is None else {"dpi": metadata.dpi}
    data = io.BytesIO()
    image.save(
        data,
        "JPEG",
        quality=quality,
        subsampling=0,
        icc_profile=photo.icc,
        exif=b"Exif\0\0" + block if block else b"",
        xmp=packet,
        extra=segments + _iptc_segment(metadata.iptc),
        **options,
    )
    return data.getvalue()


def _xmp_segments(packet: bytes | None) -> tuple[bytes | None, bytes]:
    if packet is None:
        return None, b""
    try:
        standard, extension, identifier = xmp.split(packet)
    except xmp.BrokenXmpError:
        logger.warning("The XMP data is too long for a JPEG and was left out.")
        return xmp.generated(), b""
    segments = b""
    for start in range(0, len(extension or b""), 65_000):
        part = (extension or b"")[start : start + 65_000]
        place = identifier.encode() + struct.pack(">II", len(extension or b""), start)
        segments += _segment(0xE1, b"http://ns.adobe.com/xmp/extension/\0" + place + part)
    return standard, segments


def _iptc_segment(records: bytes | None) -> bytes:
    if not records:
        return b""
    resource = b"8BIM\x04\x04\0\0" + struct.pack(">I", len(records)) + records + bytes(len(records) % 2)
    return _segment(0xED, b"Photoshop 3.0\0" + resource)


def _segment(marker: int, payload: bytes) -> bytes:
    if len(payload) > _SEGMENT:
        logger.warning("The IPTC data is too long for a JPEG and was left out.")
        return b""
    return bytes([0xFF, marker]) + struct.pack(">H", len(payload) + 2) + payload


def _png(photo: Photo, metadata: Metadata) -> bytes:
    samples = _samples(photo)
    data = bytes(imagecodecs.png_encode(samples if samples.shape[2] > 1 else samples[..., 0], level=6))
    chunks = b""
    if photo.icc:
        chunks += _chunk(b"iCCP", b"ICC profile\0\0" + zlib.compress(photo.icc, 9))
    if metadata.dpi:
        across, down = (round(value / 0.0254) for value in metadata.dpi)
        chunks += _chunk(b"pHYs", struct.pack(">IIB", across, down, 1))
    if metadata.exif:
        chunks += _chunk(b"eXIf", metadata.exif)
    if metadata.xmp:
        chunks += _chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + metadata.xmp)
    header = 8 + 25
    return data[:header] + chunks + data[header:]


def _chunk(name: bytes, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload)) + name + payload + struct.pack(">I", zlib.crc32(name + payload))


def _webp(photo: Photo, metadata: Metadata, quality: int, lossless: bool) -> bytes:
    samples = np.repeat(photo.pixels, 3, axis=2) if photo.pixels.shape[2] == 1 else photo.pixels
    if photo.alpha is not None:
        samples = np.dstack([samples, photo.alpha])
    data = io.BytesIO()
    _image(samples, {3: "RGB", 4: "RGBA"}[samples.shape[2]]).save(
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


def _heif(photo: Photo, metadata: Metadata, quality: int) -> bytes:
    if not pillow_heif.libheif_info()["HEIF"]:
        raise ExportError("HEIC cannot be written on this machine.", "Set export.format to jpeg, png or tiff.")
    samples = _samples(photo)
    data = io.BytesIO()
    _image(samples, {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[samples.shape[2]]).save(
        data,
        "HEIF",
        quality=quality,
        chroma=444,
        icc_profile=photo.icc,
        exif=b"Exif\0\0" + metadata.exif if metadata.exif else None,
        xmp=metadata.xmp,
    )
    return data.getvalue()


def _tiff(photo: Photo, metadata: Metadata) -> bytes:
    """Deflate strips behind the EXIF block: its tags are listed again in the file's own directory, so that all
    offsets inside the block, maker notes' too, stay right."""
    block = exif.Block(bytearray(metadata.exif or _NO_TAGS))
    order = block.order
    samples = _samples(photo)
    height, width, channels = samples.shape
    body = bytearray(block.data) + bytes(len(block.data) % 2)
    starts, sizes = [], []
    for top in range(0, height, _ROWS):
        strip = zlib.compress(_differenced(samples[top : top + _ROWS], order), 6)
        starts.append(len(body))
        sizes.append(len(strip))
        body += strip + bytes(len(strip) % 2)
    if len(body) > _LARGEST_TIFF:
        raise ExportError("The photo is too large for a TIFF file.", "Set export.format to png.")

    def numbers(kind: int, *values: int) -> tuple[int, int, bytes]:
        return kind, len(values), struct.pack(f"{order}{len(values)}{'H' if kind == _SHORT else 'I'}", *values)

    def raw(kind: int, value: bytes) -> tuple[int, int, bytes]:
        return kind, len(value), value

    kept = {
        entry.tag: (entry.kind, entry.count, block.value(entry))
        for entry in block.entries(block.first)
        if entry.tag not in _RESOLUTION or (entry.count == 1 and entry.kind in _NUMBERS)
    }
    tags = kept | {
        256: numbers(_LONG, width),
        257: numbers(_LONG, height),
        258: numbers(_SHORT, *[samples.dtype.itemsize * 8] * channels),
        259: numbers(_SHORT, 8),
        262: numbers(_SHORT, {1: 1, 3: 2, 4: 5}[photo.pixels.shape[2]]),
        273: numbers(_LONG, *starts),
        274: numbers(_SHORT, 1),
        277: numbers(_SHORT, channels),
        278: numbers(_LONG, _ROWS),
        279: numbers(_LONG, *sizes),
        284: numbers(_SHORT, 1),
        317: numbers(_SHORT, 2),
    }
    if photo.alpha is not None:
        tags[338] = numbers(_SHORT, 2)
    for tag, kind, value in (
        (exif.XMP, _BYTE, metadata.xmp),
        (exif.IPTC, _UNDEFINED, metadata.iptc),
        (34675, _UNDEFINED, photo.icc),
    ):
        if value:
            tags[tag] = raw(kind, value)
    return _with_directory(body, order, tags)


def _differenced(strip: Pixels, order: Literal["<", ">"]) -> bytes:
    differences = strip.copy()
    differences[:, 1:] -= strip[:, :-1]
    return differences.astype(strip.dtype.newbyteorder(order)).tobytes()


def _with_directory(body: bytearray, order: str, tags: dict[int, tuple[int, int, bytes]]) -> bytes:
    table = struct.pack(order + "H", len(tags))
    for tag, (kind, count, value) in sorted(tags.items()):
        inline = value.ljust(4, b"\0")
        if len(value) > 4:
            inline = struct.pack(order + "I", len(body))
            body += value + bytes(len(value) % 2)
        table += struct.pack(order + "HHI", tag, kind, count) + inline
    struct.pack_into(order + "I", body, 4, len(body))
    return bytes(body + table + bytes(4))
