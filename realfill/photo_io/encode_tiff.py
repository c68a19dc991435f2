"""Encoding of TIFF files that keep the original's EXIF block, maker notes included."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import Literal

from PIL import ExifTags

from realfill.core.errors import ExportError
from realfill.imaging.ops import Pixels
from realfill.photo_io.metadata import Metadata
from realfill.photo_io.photo import Photo
from realfill.photo_io.photoshop_resources import write_resources
from realfill.photo_io.tiff_block import DataType, TiffBlock

TagValue = tuple[DataType | int, int, bytes]
"""Data type, number of values, and the values in the file's byte order."""

_TAG = ExifTags.Base
_EMPTY_BLOCK = b"II*\0" + struct.pack("<IHI", 8, 0, 0)  # little-endian, one directory without tags
_RESOLUTION = (_TAG.XResolution, _TAG.YResolution, _TAG.ResolutionUnit)
_DEFLATE = 8  # Adobe's, tag Compression
_CHUNKY = 1  # samples of a pixel side by side, tag PlanarConfiguration
_HORIZONTAL_DIFFERENCING = 2  # tag Predictor
_UNASSOCIATED_ALPHA = 2  # not premultiplied, tag ExtraSamples
_PHOTOMETRIC = {1: 1, 3: 2, 4: 5}  # by the number of color channels: black is zero, RGB, CMYK


@dataclass(frozen=True)
class TiffEncodeSettings:
    """How TIFF files are compressed.

    Attributes:
        level: Deflate level, 0 to 9; zlib's default.
        rows_per_strip: Rows in a strip; set by hand.
        max_pixel_bytes: Photos are refused if their compressed pixels and the EXIF block take more bytes: offsets
            have 32 bits, and the tags follow behind the pixels. Set by hand.
    """

    level: int = 6
    rows_per_strip: int = 256
    max_pixel_bytes: int = 0xF000_0000


def encode_tiff(photo: Photo, metadata: Metadata, settings: TiffEncodeSettings = TiffEncodeSettings()) -> bytes:
    """Encode a photo without loss, with all its bits and channels.

    The file begins with the original's EXIF block, so that all offsets inside the block, maker notes included, stay
    right. The strips of pixels follow, then a directory with the block's own tags and those of the file.

    Raises:
        ExportError: The photo is too large for a TIFF file.
    """
    block = TiffBlock(bytearray(metadata.exif or _EMPTY_BLOCK))
    file = bytearray(block.data) + bytes(len(block.data) % 2)
    starts, sizes = _append_strips(file, photo.samples, block.byte_order, settings)
    if len(file) > settings.max_pixel_bytes:
        raise ExportError("The photo is too large for a TIFF file.", "Set export.format to png.")
    tags = _kept_tags(block)
    tags |= _storage_tags(photo, starts, sizes, block.byte_order, settings)
    tags |= _metadata_tags(photo, metadata)
    return _append_directory(file, tags, block.byte_order)


def _append_strips(
    file: bytearray, samples: Pixels, byte_order: Literal["<", ">"], settings: TiffEncodeSettings
) -> tuple[list[int], list[int]]:
    """Append the compressed rows of samples [H, W, C]; returns the offsets and the sizes of the strips."""
    starts, sizes = [], []
    for top in range(0, len(samples), settings.rows_per_strip):
        strip = samples[top : top + settings.rows_per_strip]
        differences = strip.copy()
        differences[:, 1:] -= strip[:, :-1]  # modulo 256 or 65536
        data = zlib.compress(differences.astype(strip.dtype.newbyteorder(byte_order)).tobytes(), settings.level)
        starts.append(len(file))
        sizes.append(len(data))
        file += data + bytes(len(data) % 2)
    return starts, sizes


def _kept_tags(block: TiffBlock) -> dict[int, TagValue]:
    """The block's own tags; not a resolution that is no number, at which readers give up."""
    numbers = (DataType.SHORT, DataType.LONG, DataType.RATIONAL)
    return {
        entry.tag: (entry.data_type, entry.count, block.value(entry))
        for entry in block.entries(block.first_directory)
        if entry.tag not in _RESOLUTION or (entry.count == 1 and entry.data_type in numbers)
    }


def _storage_tags(
    photo: Photo, starts: list[int], sizes: list[int], byte_order: Literal["<", ">"], settings: TiffEncodeSettings
) -> dict[int, TagValue]:
    """Tags that say how and where the pixels are stored."""

    def short(*values: int) -> TagValue:
        return DataType.SHORT, len(values), struct.pack(f"{byte_order}{len(values)}H", *values)

    def long(*values: int) -> TagValue:
        return DataType.LONG, len(values), struct.pack(f"{byte_order}{len(values)}I", *values)

    colors = photo.pixels.shape[2]
    channels = colors + (photo.alpha is not None)
    tags: dict[int, TagValue] = {
        _TAG.ImageWidth: long(photo.width),
        _TAG.ImageLength: long(photo.height),
        _TAG.BitsPerSample: short(*[photo.bits] * channels),
        _TAG.Compression: short(_DEFLATE),
        _TAG.PhotometricInterpretation: short(_PHOTOMETRIC[colors]),
        _TAG.StripOffsets: long(*starts),
        _TAG.Orientation: short(1),
        _TAG.SamplesPerPixel: short(channels),
        _TAG.RowsPerStrip: long(settings.rows_per_strip),
        _TAG.StripByteCounts: long(*sizes),
        _TAG.PlanarConfiguration: short(_CHUNKY),
        _TAG.Predictor: short(_HORIZONTAL_DIFFERENCING),
    }
    if photo.alpha is not None:
        tags[_TAG.ExtraSamples] = short(_UNASSOCIATED_ALPHA)
    return tags


def _metadata_tags(photo: Photo, metadata: Metadata) -> dict[int, TagValue]:
    """Tags for metadata outside of EXIF."""
    values = (
        (_TAG.XMLPacket, DataType.BYTE, metadata.xmp),
        (_TAG.IPTCNAA, DataType.UNDEFINED, metadata.iptc),
        (_TAG.InterColorProfile, DataType.UNDEFINED, photo.icc),
        (_TAG.ImageResources, DataType.BYTE, write_resources(metadata.resources)),
    )
    return {tag: (data_type, len(value), value) for tag, data_type, value in values if value}


def _append_directory(file: bytearray, tags: dict[int, TagValue], byte_order: str) -> bytes:
    """Append a directory and the values that it does not hold itself, and link it as the first one of the file."""
    table = struct.pack(byte_order + "H", len(tags))
    for tag, (data_type, count, value) in sorted(tags.items()):
        inline = value.ljust(4, b"\0")
        if len(value) > 4:
            inline = struct.pack(byte_order + "I", len(file))
            file += value + bytes(len(value) % 2)
        table += struct.pack(byte_order + "HHI", tag, data_type, count) + inline
    struct.pack_into(byte_order + "I", file, 4, len(file))
    return bytes(file + table + bytes(4))
